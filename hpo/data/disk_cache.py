"""What all runs of a user share on disk: folders that are there whole or not at all, each named by a digest.

The digest is of all that decides what a folder holds: images that were read, or what a function of the user's returned.
"""

import hashlib
import json
import os
import re
import shutil
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack, contextmanager, suppress
from pathlib import Path
from typing import Any

from hpo.system.home import cache_folder
from hpo.system.long_work import notes_while_waiting
from hpo.system.private_files import private_folder

META = "meta.json"
"""The file that each folder has, written last."""
ELSEWHERE = "the environment variable HPO_CACHE names another folder for what runs share"

_NAME = re.compile(r"([0-9a-f]{32})(\.new|\.lock)?")
_KEPT_SECONDS = 30 * 86_400
"""How long folders that no run uses are kept."""


def cached_folder(kind: str, described: Any) -> Path:
    """The folder of what JSON values describe completely, be it there or not. `kind`: images or data."""
    return cache_folder() / kind / hashlib.sha256(json.dumps(described).encode()).hexdigest()[:32]


def is_there(folder: Path) -> bool:
    """Whether there is such a folder, which then counts as used now."""
    if not (folder / META).is_file():
        return False
    with suppress(OSError):
        os.utime(folder / META)
    return True


@contextmanager
def held(folders: Sequence[Path], waiting: str) -> Iterator[None]:
    """While no other process makes these folders, which are of one kind; what nobody uses is deleted.

    `waiting`: what is noted while another one does.

    Raises:
        OSError, NotImplementedError: nothing can be written there, or the disk has no locks.
    """
    from filelock import FileLock

    ordered = sorted(folders)
    private_folder(ordered[0].parent)
    with ExitStack() as stack:
        with notes_while_waiting(lambda: waiting):
            for folder in ordered:
                stack.enter_context(FileLock(folder.with_suffix(".lock")))
        _delete_unused(ordered[0].parent, ordered)
        yield


@contextmanager
def written(folder: Path) -> Iterator[Path]:
    """A new folder, which replaces one that is held after the block has ended without an error."""
    new = folder.with_suffix(".new")
    shutil.rmtree(new, ignore_errors=True)
    try:
        new.mkdir(mode=0o700)
        yield new
        for file in (*new.iterdir(), new):
            _to_disk(file)
        # What is there is damaged.
        shutil.rmtree(folder, ignore_errors=True)
        new.rename(folder)
    finally:
        shutil.rmtree(new, ignore_errors=True)


def make_room(folder: Path, needed: int, most: int) -> bool:
    """Whether folders of this kind have room for so many bytes; those used longest ago are deleted for that.

    They take `most` bytes together, and half of the room that the disk would have without them.
    """
    sizes = {one: _bytes(one) for one in folder.parent.iterdir() if one.is_dir() and one.suffix != ".new"}
    sizes.pop(folder, None)
    total = sum(sizes.values())
    most = min(most, (shutil.disk_usage(folder.parent).free + total) // 2)
    if needed > most:
        return False
    for one in sorted(sizes, key=_last_use):
        if total + needed <= most:
            break
        _delete(one, lambda _: True)
        total -= 0 if one.exists() else sizes[one]
    return total + needed <= most


def _to_disk(file: Path) -> None:
    """Waits until a file is on the disk: else it may be empty after a power cut, under the name of a whole one."""
    opened = os.open(file, os.O_RDONLY)
    try:
        os.fsync(opened)
    finally:
        os.close(opened)


def _delete_unused(where: Path, own: Sequence[Path]) -> None:
    """Deletes what no run has used for a month, and at once what killed runs left; nothing that a run holds."""
    names = {found[1] for place in where.iterdir() if (found := _NAME.fullmatch(place.name))}
    for folder in {where / name for name in names} - {*own}:
        if folder.with_suffix(".new").exists() or not folder.is_dir() or _is_unused(folder):
            _delete(folder, _is_unused)


def _delete(folder: Path, wanted: Callable[[Path], bool]) -> None:
    """Deletes a folder that is not wanted any more, and what a killed run left of it; not if a run holds it."""
    from filelock import FileLock

    lock = folder.with_suffix(".lock")
    # A timeout is an OSError: another run makes this folder.
    with suppress(OSError, NotImplementedError), FileLock(lock).acquire(timeout=0):
        shutil.rmtree(folder.with_suffix(".new"), ignore_errors=True)
        if wanted(folder):
            shutil.rmtree(folder, ignore_errors=True)
        if not folder.exists():
            lock.unlink()


def _is_unused(folder: Path) -> bool:
    return time.time() - _last_use(folder) > _KEPT_SECONDS


def _last_use(folder: Path) -> float:
    return max((state.st_mtime for state in _states(folder)), default=0.0)


def _bytes(folder: Path) -> int:
    return sum(state.st_size for state in _states(folder)[1:])


def _states(folder: Path) -> list[os.stat_result]:
    """The states of a folder, and of its files."""
    found = []
    # Another run may delete them meanwhile.
    with suppress(OSError):
        for file in (folder, *folder.iterdir()):
            found.append(file.stat())
    return found
