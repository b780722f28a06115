"""Folders and files that nobody but their owner may read: databases, artifacts, models."""

import os
from contextlib import suppress
from pathlib import Path


def private_folder(folder: Path) -> None:
    """Makes a folder, and those around it that are missing, with mode 0700; those that are there stay as they are."""
    for missing in reversed([place for place in (folder, *folder.parents) if not place.exists()]):
        with suppress(FileExistsError):
            missing.mkdir(mode=0o700)


def private_file(file: Path) -> None:
    """Makes an empty file with mode 0600, where there is none."""
    with suppress(FileExistsError):
        os.close(os.open(file, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600))
