"""What the coordinator sends to the machines of a Ray cluster: the user's code, and prepared data."""

import hashlib
import os
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import ray
from ray.util.scheduling_strategies import NodeAffinitySchedulingStrategy

from hpo.data.dataset import Array

# Folders beside a user's code that hold none: environments, caches, results.
_NO_CODE = {"__pycache__", "site-packages", "node_modules", "mlruns"}
_NO_CODE_WITH = ("pyvenv.cfg", "optuna.db", "mlflow.db")
# What travels with the code: each file up to so many bytes, and all up to so many.
_LARGEST, _ALL = 16 * 2**20, 256 * 2**20
# How many machines are answered at a time.
_AT_A_TIME = 4
# How often the reader is asked again if it died.
_RETRIES = 3


@dataclass(frozen=True)
class SentCode:
    """A folder of code in Ray's object store, as it was when it was first needed."""

    name: str
    """No two folders of a run have the same."""
    content: Any
    """Reference of a mapping of relative paths to arrays of bytes."""


@dataclass(frozen=True)
class DataFile:
    """A file of a prepared dataset."""

    name: str
    """Its path within the folder of the dataset."""
    path: str
    """Its path on the coordinator's machine."""
    size: int
    """Bytes."""
    shared: bool
    """Whether other datasets may have it, too."""


@dataclass(frozen=True)
class SentData:
    """A prepared dataset on the coordinator's machine, from where other machines fetch it piece by piece."""

    name: str
    """No two datasets of a run have the same."""
    node: str
    """Ray's identifier of the coordinator's machine."""
    files: tuple[DataFile, ...]
    reader: Any
    """The `FileReader` there; None where no other machine can join."""

    @property
    def size(self) -> int:
        """The bytes of all files."""
        return sum(file.size for file in self.files)


class FileReader:
    """An actor on the coordinator's machine that reads files for the workers on other machines."""

    def read(self, path: str, start: int, size: int) -> tuple[Array, str]:
        """So many bytes of a file, shape (size,), uint8, and their SHA-256."""
        with open(path, "rb", buffering=0) as file:
            content = os.pread(file.fileno(), size, start)
        return np.frombuffer(content, np.uint8), hashlib.sha256(content).hexdigest()


class Sender:
    """Knows what was sent: each folder has one name, and is looked at once, when it is first needed."""

    def __init__(self, alone: bool) -> None:
        """`alone`: whether no other machine can join the cluster."""
        self._node = ray.get_runtime_context().get_node_id()
        self._reader = None if alone else _reader_on(self._node)
        self._data: dict[str, SentData] = {}
        self._code: dict[str, SentCode] = {}
        self._gone: list[str] = []

    def data(self, folder: str) -> SentData:
        """A prepared dataset."""
        if folder not in self._data:
            name = f"data-{len(self._data) + len(self._gone)}"
            self._data[folder] = SentData(name, self._node, tuple(_data_in(Path(folder))), self._reader)
        return self._data[folder]

    def code(self, folder: str) -> SentCode:
        """The code in a folder, and the small files beside it."""
        if folder not in self._code:
            content = ray.put(dict(_code_in(Path(folder))))
            self._code[folder] = SentCode(f"code-{len(self._code)}", content)
        return self._code[folder]

    def gone(self) -> tuple[str, ...]:
        """The names of datasets that were deleted here, and are of no use anywhere."""
        for folder in [folder for folder in self._data if not Path(folder).exists()]:
            self._gone.append(self._data.pop(folder).name)
        return tuple(self._gone)

    def close(self) -> None:
        """Sends nothing more."""
        if self._reader is not None:
            ray.kill(self._reader)


def _reader_on(node: str) -> Any:
    options: dict[str, Any] = {"num_cpus": 0, "max_concurrency": _AT_A_TIME}
    options |= {"max_restarts": _RETRIES, "max_task_retries": _RETRIES}
    here = NodeAffinitySchedulingStrategy(node, soft=False)
    return ray.remote(scheduling_strategy=here, **options)(FileReader).remote()


def _data_in(folder: Path) -> Iterator[DataFile]:
    for file in sorted(folder.rglob("*")):
        if file.is_file():
            name = file.relative_to(folder).as_posix()
            yield DataFile(name, str(file.resolve()), file.stat().st_size, file.is_symlink())


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
