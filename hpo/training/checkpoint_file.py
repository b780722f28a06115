"""The file of a checkpoint: NumPy's .npz with arrays, and one member of JSON. Its name tells its digest."""

import contextlib
import hashlib
import json
import os
import re
import time
import zipfile
import zlib
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import IO, Any

import numpy as np

from hpo.data.dataset import Array
from hpo.system.private_files import private_file, private_folder
from hpo.training.messages import Checkpoint

_STATE = "state.json"
_NAME = re.compile(r"trial-(\d+)\.epoch-(\d+)\.([0-9a-f]{64})\.npz")
_UNFINISHED = re.compile(r"\.trial-(\d+)\.(\d+)\.npz")
# Trained weights are all but random. An array is compressed if that saves a fifth of its first bytes.
_TRIED, _WORTH = 1 << 16, 0.8
# The times of folders are no finer than so many nanoseconds.
_TICK = 100_000_000


class Unusable(Exception):
    """A checkpoint that nobody can go on from. The text says why."""


def write(folder: Path, trial: int, epochs: int, state: Mapping[str, Any], arrays: Mapping[str, Array]) -> Checkpoint:
    """Writes a checkpoint, whole or not at all.

    Args:
        folder: where; it is made if there is none.
        trial: number of the trial.
        epochs: the epochs that were done.
        state: JSON values.
        arrays: name -> array; names of letters, digits and slashes.

    Raises:
        OSError: it cannot be written.
    """
    private_folder(folder)
    unfinished = folder / f".trial-{trial:04}.{os.getpid()}.npz"
    kinds = {name: str(array.dtype) for name, array in arrays.items() if array.dtype.kind == "V"}
    try:
        private_file(unfinished)
        with unfinished.open("wb") as file:
            hashed = _Hashed(file)
            # The type of a stream that cannot be rewound: of what is written once, the digest is known at once.
            with zipfile.ZipFile(hashed, "w") as archive:  # type: ignore[call-overload]
                archive.writestr(_STATE, json.dumps({**state, "kinds": kinds}))
                for name, array in arrays.items():
                    _write_array(archive, f"{name}.npy", array)
        digest = hashed.digest.hexdigest()
        path = folder / f"trial-{trial:04}.epoch-{epochs:05}.{digest}.npz"
        unfinished.replace(path)
    finally:
        with contextlib.suppress(OSError):
            unfinished.unlink(missing_ok=True)
    return Checkpoint(str(path), epochs, hashed.bytes, digest)


def read(checkpoint: Checkpoint) -> tuple[dict[str, Any], dict[str, Array]]:
    """The state and the arrays of a checkpoint.

    Raises:
        Unusable: there is no such file, or it is not what was written.
    """
    path = Path(checkpoint.file)
    try:
        with path.open("rb") as file:
            if hashlib.file_digest(file, "sha256").hexdigest() != checkpoint.sha256:
                raise Unusable("its checkpoint is damaged")
        state = read_state(path)
        with np.load(path, allow_pickle=False) as archive:
            arrays = {name: archive[name] for name in archive.files if name != _STATE}
    except FileNotFoundError:
        raise Unusable("its checkpoint is gone") from None
    except (OSError, ValueError, zipfile.BadZipFile, zlib.error, KeyError) as error:
        raise Unusable(f"its checkpoint cannot be read ({type(error).__name__})") from error
    return state, arrays | {name: arrays[name].view(kind) for name, kind in state["kinds"].items()}


def read_state(path: Path) -> dict[str, Any]:
    """The JSON values of a checkpoint; neither its digest is checked nor its arrays are read.

    Raises:
        OSError, ValueError, zipfile.BadZipFile, KeyError: it cannot be read.
    """
    with zipfile.ZipFile(path) as archive:
        state: dict[str, Any] = json.loads(archive.read(_STATE))
    return state


def found_in(folder: Path) -> dict[int, list[Checkpoint]]:
    """The checkpoints in a folder: trial -> its own, the latest first."""
    found = {trial: _checkpoints(folder, names) for trial, names in _names(folder).items()}
    return {trial: several for trial, several in found.items() if several}


def found_of(folder: Path, trial: int) -> list[Checkpoint]:
    """The checkpoints of one trial in a folder, the latest first."""
    return _checkpoints(folder, _names(folder).get(trial, ()))


def _checkpoints(folder: Path, names: Iterable[str]) -> list[Checkpoint]:
    found: list[Checkpoint] = []
    for text in names:
        if (name := _NAME.fullmatch(text)) is not None:
            with contextlib.suppress(OSError):
                path = folder / text
                found.append(Checkpoint(str(path), int(name[2]), path.stat().st_size, name[3]))
    return sorted(found, key=lambda one: -one.epochs)


def is_of(checkpoint: Checkpoint, trial: int) -> bool:
    """Whether a checkpoint is a trial's own, and not that of another attempt."""
    name = _NAME.fullmatch(Path(checkpoint.file).name)
    return name is not None and int(name[1]) == trial


def trials_in(folder: Path) -> set[int]:
    """The trials of which there is a checkpoint in a folder, or what a worker that died had written of one."""
    return set(_names(folder))


def delete(folder: Path, trial: int, keep: Sequence[Checkpoint] = ()) -> None:
    """Deletes the checkpoints of a trial, and those that a worker which died left unfinished."""
    kept = {Path(one.file).name for one in keep}
    for name in _names(folder).get(trial, ()):
        if name not in kept:
            with contextlib.suppress(OSError):
                (folder / name).unlink()


_listed: tuple[Path, int, dict[int, list[str]]] | None = None


def _names(folder: Path) -> dict[int, list[str]]:
    """The names of a folder's files by trial; the folder is listed again only where it has changed since."""
    global _listed  # noqa: PLW0603 - of one folder, that of the study that runs here
    try:
        changed = folder.stat().st_mtime_ns
        if _listed is not None and _listed[:2] == (folder, changed):
            return _listed[2]
        found: dict[int, list[str]] = {}
        for text in os.listdir(folder):
            if (name := _NAME.fullmatch(text) or _UNFINISHED.fullmatch(text)) is not None:
                found.setdefault(int(name[1]), []).append(text)
    except OSError:
        return {}
    # A change within the same tick of the clock would not show.
    _listed = (folder, changed, found) if time.time_ns() - changed > _TICK else None
    return found


class _Hashed:
    """A file that is only written, and its SHA-256."""

    def __init__(self, file: IO[bytes]) -> None:
        self._file = file
        self.digest = hashlib.sha256()
        self.bytes = 0

    def write(self, data: bytes) -> int:
        self.digest.update(data)
        written = self._file.write(data)
        self.bytes += written
        return written

    def flush(self) -> None:
        self._file.flush()


def _write_array(archive: zipfile.ZipFile, name: str, array: Array) -> None:
    info = zipfile.ZipInfo(name)
    info.compress_type = zipfile.ZIP_DEFLATED if _is_compressible(array) else zipfile.ZIP_STORED
    with archive.open(info, "w", force_zip64=True) as member:
        np.lib.format.write_array(member, np.asarray(array, order="C"), allow_pickle=False)


def _is_compressible(array: Array) -> bool:
    tried = array.reshape(-1)[: _TRIED // max(1, array.itemsize)].tobytes()
    return len(zlib.compress(tried, 1)) < _WORTH * len(tried)
