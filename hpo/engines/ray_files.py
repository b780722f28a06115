"""What travels to the machines of a Ray cluster, once to each: prepared data and the user's code; and other files."""

import fcntl
import hashlib
import json
import os
import shutil
import tempfile
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import IO, Any

import numpy as np
import ray

from hpo.data.dataset import Array
from hpo.system.private_files import private_file, private_folder

_PREFIX = "hpo-node-"
_LOCK = "lock"
# How old a folder without a lock is before it counts as left behind, seconds.
_AGE = 60.0
# Folders beside a user's code that hold none: environments, caches, results.
_NO_CODE = {"__pycache__", "site-packages", "node_modules", "mlruns"}
_NO_CODE_WITH = ("pyvenv.cfg", "optuna.db", "mlflow.db")
# What travels with the code: each file up to so many bytes, and all up to so many.
_LARGEST, _ALL = 16 * 2**20, 256 * 2**20


@dataclass(frozen=True)
class File:
    """A file in bytes."""

    name: str
    """Its path, relative to whatever folder it is for."""
    content: bytes
    sha256: str

    @classmethod
    def of(cls, path: Path, name: str | None = None) -> "File":
        """The file at a path."""
        content = path.read_bytes()
        return cls(name or path.name, content, hashlib.sha256(content).hexdigest())

    @property
    def is_whole(self) -> bool:
        """Whether it came as it was sent."""
        return hashlib.sha256(self.content).hexdigest() == self.sha256

    def write(self, path: Path) -> None:
        """Writes it, whole or not at all, so that only its owner can read it."""
        private_folder(path.parent)
        unfinished = path.with_name(f".{path.name}.{os.getpid()}")
        try:
            private_file(unfinished)
            unfinished.write_bytes(self.content)
            unfinished.replace(path)
        finally:
            unfinished.unlink(missing_ok=True)


@dataclass(frozen=True)
class Sent:
    """A folder in Ray's object store, from where each machine fetches it once."""

    name: str
    """No two folders of a run have the same."""
    content: Any
    """Reference of a mapping of relative paths to arrays of bytes."""


class Sender:
    """Puts folders into the object store: each once, when it is first needed."""

    def __init__(self) -> None:
        self._sent: dict[tuple[str, str], Sent] = {}
        self._gone: list[str] = []

    def data(self, folder: str) -> Sent:
        """A prepared dataset."""
        return self._put("data", folder, lambda: _data_in(Path(folder)))

    def code(self, folder: str) -> Sent:
        """The code in a folder, and the small files beside it."""
        return self._put("code", folder, lambda: _code_in(Path(folder)))

    def gone(self) -> tuple[str, ...]:
        """The names of datasets that were deleted here, and are of no use anywhere."""
        for key in [key for key in self._sent if key[0] == "data" and not Path(key[1]).exists()]:
            self._gone.append(self._sent.pop(key).name)
        return tuple(self._gone)

    def _put(self, kind: str, folder: str, read: Any) -> Sent:
        if (kind, folder) not in self._sent:
            name = f"{kind}-{len(self._sent) + len(self._gone)}"
            self._sent[kind, folder] = Sent(name, ray.put(dict(read())))
        return self._sent[kind, folder]


def _data_in(folder: Path) -> Iterator[tuple[str, Array]]:
    for file in sorted(folder.rglob("*")):
        if file.is_file():
            yield file.relative_to(folder).as_posix(), _bytes_of(file)


def _code_in(folder: Path) -> Iterator[tuple[str, Array]]:
    """All modules, and other files from the smallest on, until there are too many bytes."""
    others: list[tuple[int, Path]] = []
    for parent, folders, names in os.walk(folder):
        folders[:] = [name for name in folders if _may_hold_code(Path(parent, name))]
        for file in (Path(parent, name) for name in names):
            with suppress(OSError):
                if file.suffix == ".py":
                    yield file.relative_to(folder).as_posix(), _bytes_of(file)
                elif not file.name.startswith(".") and file.is_file() and (size := file.stat().st_size) <= _LARGEST:
                    others.append((size, file))
    left = _ALL
    for size, file in sorted(others):
        left -= size
        if left < 0:
            return
        with suppress(OSError):
            yield file.relative_to(folder).as_posix(), _bytes_of(file)


def _may_hold_code(folder: Path) -> bool:
    hidden = folder.name.startswith(".") or folder.name in _NO_CODE
    return not hidden and not any((folder / name).exists() for name in _NO_CODE_WITH)


def _bytes_of(file: Path) -> Array:
    """The bytes of a file, mapped into memory: they are copied into the object store, and nowhere else."""
    if file.stat().st_size == 0:
        return np.zeros(0, np.uint8)
    return np.asarray(np.memmap(file, np.uint8, "r"))


class NodeFolder:
    """The folder of a run on one machine, which its workers share; the last one to leave deletes it.

    A worker that was killed leaves its share of the lock, too, and the next run on the machine deletes the folder.
    """

    def __init__(self, token: str) -> None:
        """`token`: that of the run."""
        base = Path(tempfile.gettempdir())
        for old in base.glob(f"{_PREFIX}*"):
            _delete_if_left(old)
        self.path = base / f"{_PREFIX}{token}"
        self._lock = self._hold()

    def _hold(self) -> IO[bytes]:
        while True:
            self.path.mkdir(mode=0o700, exist_ok=True)
            try:
                lock = (self.path / _LOCK).open("ab")
                fcntl.flock(lock, fcntl.LOCK_SH)
                # Another worker may have deleted the folder in between.
                if os.fstat(lock.fileno()).st_ino == (self.path / _LOCK).stat().st_ino:
                    return lock
                lock.close()
            except FileNotFoundError:
                continue

    def fetch(self, sent: Sent, folders: Mapping[str, str] | None = None) -> Path:
        """The folder that was sent, on this machine's disk, where its workers map it into memory and share it.

        `folders`: where the folders of the user's code are here, for datasets that are made by a function.
        """
        target = self.path / sent.name
        with (self.path / f".{sent.name}.lock").open("ab") as lock:
            fcntl.flock(lock, fcntl.LOCK_EX)
            if not target.exists():
                new = Path(tempfile.mkdtemp(prefix=".new-", dir=self.path))
                for name, content in ray.get(sent.content).items():
                    (new / name).parent.mkdir(parents=True, exist_ok=True)
                    content.tofile(new / name)
                for meta in new.rglob("meta.json") if folders else ():
                    _translate(meta, folders or {})
                new.rename(target)
        return target

    def drop(self, names: Sequence[str]) -> None:
        """Deletes folders that nobody needs any more."""
        for name in names:
            shutil.rmtree(self.path / name, ignore_errors=True)

    def leave(self) -> None:
        """Ends the use of the folder."""
        self._lock.close()
        _delete_if_left(self.path)


def _delete_if_left(folder: Path) -> None:
    with suppress(OSError):
        if not (folder / _LOCK).exists():
            if time.time() - folder.stat().st_mtime > _AGE:
                shutil.rmtree(folder, ignore_errors=True)
            return
        with (folder / _LOCK).open("ab") as lock:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
            shutil.rmtree(folder, ignore_errors=True)


def _translate(meta: Path, folders: Mapping[str, str]) -> None:
    """Puts this machine's folders of the user's code into the description of a dataset that a function makes."""
    described = json.loads(meta.read_text(encoding="utf-8"))
    for source in ("stream", "batches"):
        if (found := described.get(source)) is not None:
            found["folders"] = [folders.get(folder, folder) for folder in found["folders"]]
    meta.write_text(json.dumps(described), encoding="utf-8")
