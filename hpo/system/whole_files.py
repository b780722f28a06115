"""Files that are written completely or not at all."""

import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from hpo.errors import UserError


@contextmanager
def replaced(path: Path) -> Iterator[Path]:
    """A temporary file beside `path`, which replaces it after the block has ended without an error.

    Raises:
        UserError: it cannot be written.
    """
    temporary = path.with_name(f".{path.stem}.{os.getpid()}{path.suffix}")
    try:
        yield temporary
        temporary.replace(path)
    except OSError as error:
        raise UserError(f"{path}: cannot be written: {error.strerror or error}") from None
    finally:
        temporary.unlink(missing_ok=True)


def check_writable(path: Path) -> None:
    """Checks before long work that its result can be written.

    Raises:
        UserError: the folder does not exist or may not be written to, or the path is a folder.
    """
    folder = path.absolute().parent
    if not folder.is_dir():
        raise UserError(f"{path}: there is no folder {folder}; create it first")
    if path.is_dir():
        raise UserError(f"{path}: is a folder; name a file in it")
    if not os.access(folder, os.W_OK):
        raise UserError(f"{path}: the folder {folder} may not be written to")
