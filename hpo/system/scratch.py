"""The temporary files of a process, in one folder with a lock.

The lock ends with the process. The next start of hpo removes folders whose process is gone.
"""

import atexit
import contextlib
import os
import shutil
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

_PREFIX = "hpo-run-"
_UNFINISHED = ".hpo-new-"
_LOCK = "lock"
# How old an unfinished folder is before it counts as left behind, seconds: making one takes milliseconds.
_AGE = 60.0
# A socket's path may have 107 bytes; multiprocessing and this module append 53.
_LONGEST_BASE = 54

# (process, folder for temporary files) -> path and lock. By process, since a fork inherits those of its parent.
_OWN: dict[tuple[int, str], tuple[Path, Any]] = {}
_everything: str | None = None


def use_own_temporary_folder() -> None:
    """Puts the temporary files of libraries into this process's own folder too; for commands.

    Folders of killed processes are removed at once, since a command that only reads a study makes no folder of its own.
    """
    global _everything  # noqa: PLW0603 - a process has one folder for temporary files
    _everything = _base()
    _sweep(Path(_everything))


@contextmanager
def scratch_folder() -> Iterator[Path]:
    """A folder that is removed at the end; folders of killed processes are removed at the start."""
    folder = Path(tempfile.mkdtemp(prefix="run-", dir=process_folder()))
    try:
        yield folder
    finally:
        shutil.rmtree(folder, ignore_errors=True)


def process_folder() -> Path:
    """The folder of this process, removed when the process ends."""
    base = _everything or _base()
    key = os.getpid(), base
    if key not in _OWN or not _OWN[key][0].is_dir():
        _sweep(Path(base))
        _OWN[key] = _held_folder(base)
        atexit.register(_remove, key)
        if _everything is not None:
            within = _OWN[key][0] / "tmp"
            within.mkdir()
            os.environ["TMPDIR"] = tempfile.tempdir = str(within)
    return _OWN[key][0]


def _base() -> str:
    """The folder for temporary files, or /tmp where its path is too long for the sockets of workers."""
    base = tempfile.gettempdir()
    return "/tmp" if len(os.fsencode(base)) > _LONGEST_BASE and os.access("/tmp", os.W_OK | os.X_OK) else base


def _held_folder(base: str) -> tuple[Path, Any]:
    """A new folder with a lock that ends with this process, however the process ends.

    The number of the process would not do: containers may share a folder, and each numbers its own processes.
    """
    from filelock import FileLock

    unfinished = Path(tempfile.mkdtemp(prefix=_UNFINISHED, dir=base))
    lock = FileLock(unfinished / _LOCK)
    # On a disk without locks no other process can take the folder for an abandoned one either.
    with contextlib.suppress(NotImplementedError, OSError):
        lock.acquire(timeout=0)
    folder = unfinished.with_name(_PREFIX + unfinished.name.removeprefix(_UNFINISHED))
    unfinished.rename(folder)
    return folder, lock


def _remove(key: tuple[int, str]) -> None:
    if key[0] == os.getpid():
        _delete(_OWN[key][0])


def _delete(folder: Path) -> None:
    """Deletes a folder, its lock last: if this process is killed meanwhile, the next start still removes the rest."""
    with contextlib.suppress(OSError):
        for entry in folder.iterdir():
            if entry.is_dir() and not entry.is_symlink():
                shutil.rmtree(entry, ignore_errors=True)
            elif entry.name != _LOCK:
                entry.unlink(missing_ok=True)
        # Without its lock it would count as another program's; under this name it is removed by its age.
        folder = folder.rename(folder.with_name(_UNFINISHED + folder.name.removeprefix(_PREFIX)))
    shutil.rmtree(folder, ignore_errors=True)


def _sweep(base: Path) -> None:
    for old in base.glob(f"{_PREFIX}*"):
        _delete_if_left(old)
    for old in base.glob(f"{_UNFINISHED}*"):
        with contextlib.suppress(OSError):
            if time.time() - old.stat().st_mtime > _AGE:
                shutil.rmtree(old, ignore_errors=True)


def _delete_if_left(folder: Path) -> None:
    from filelock import FileLock, Timeout

    if not (folder / _LOCK).is_file():
        if _is_older_version_s(folder):
            _delete(folder)
        return
    # The lock is held until the folder is gone, so that two starts do not remove the same folder.
    with contextlib.suppress(Timeout, NotImplementedError, OSError), FileLock(folder / _LOCK).acquire(timeout=0):
        _delete(folder)


def _is_older_version_s(folder: Path) -> bool:
    """Whether a run of an earlier version, which named its process in the folder's name, left it and is gone."""
    import psutil

    pid, dash, _ = folder.name.removeprefix(_PREFIX).partition("-")
    return bool(dash) and pid.isdigit() and not psutil.pid_exists(int(pid))
