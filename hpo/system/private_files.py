"""Folders and files that only their owner may read: databases, artifacts, models."""

import os
from contextlib import suppress
from pathlib import Path


def private_folder(folder: Path) -> None:
    """Creates a folder and its missing parents with mode 0700; existing folders keep their mode."""
    for missing in reversed([place for place in (folder, *folder.parents) if not place.exists()]):
        with suppress(FileExistsError):
            missing.mkdir(mode=0o700)


def private_file(file: Path) -> None:
    """Creates an empty file with mode 0600, where there is none."""
    with suppress(FileExistsError):
        os.close(os.open(file, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600))
