"""A prepared dataset in a folder: .npy files that workers map into memory and share, and meta.json."""

import json
import tempfile
from collections.abc import Mapping, Sequence
from dataclasses import replace
from functools import lru_cache
from pathlib import Path

import numpy as np

from hpo.data.dataset import Array, Dataset, DatasetInfo, Part, PartName
from hpo.data.function import FunctionStream
from hpo.data.generated import FunctionBatches
from hpo.data.info_json import info_as_json, info_from_json
from hpo.data.prepare import no_samples
from hpo.data.several import Arrays, Several, in_order, is_text
from hpo.errors import DataError

_FORMAT = 1
_NAMES: tuple[PartName, ...] = ("training", "validation", "test")


def save(dataset: Dataset, folder: Path) -> None:
    """Lays a dataset into a folder, whole or not at all; one that is already there is replaced.

    Of a user's pipelines, the import path is kept rather than samples.
    """
    stream = dataset.stream
    if stream is not None and not isinstance(stream, FunctionStream):
        raise TypeError(f"only the pipelines of a function by import path can be saved, got {stream!r}")
    folder.parent.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(prefix=f".{folder.name}-", dir=folder.parent) as temporary:
        new = Path(temporary) / "new"
        _write(dataset, new)
        for number, fold in enumerate(dataset.folds, 1):
            _write(fold, fold_folder(new, number))
        if folder.exists():
            folder.rename(Path(temporary) / "old")
        new.rename(folder)


def fold_folder(folder: Path, number: int) -> Path:
    """The folder of one fold within that of its dataset, counted from 1. It is a prepared dataset, too."""
    return folder / f"fold_{number}"


def _write(dataset: Dataset, new: Path) -> None:
    new.mkdir()
    stream = dataset.stream
    if stream is None and not dataset.folds:
        for name, part in dataset.extra_tests.items():
            _save(new, f"test_{name}_x", part.x)
        for name in _NAMES:
            own = dataset.part(name)
            for which, arrays in (("x", own.x), ("y", own.y), ("weights", own.weights)):
                if arrays is not None:
                    _save(new, f"{name}_{which}", arrays)
    meta = {"format": _FORMAT, "info": info_as_json(dataset.info), "stream": None}
    for name, found in (("stream", stream), ("batches", dataset.batches)):
        if isinstance(found, FunctionStream | FunctionBatches):
            folders = [str(path.absolute()) for path in found.folders]
            meta[name] = {"function": found.function, "folders": folders}
    if isinstance(stream, FunctionStream) and stream.steps is not None:
        meta["steps"] = stream.steps
    (new / "meta.json").write_text(json.dumps(meta, indent=1), encoding="utf-8")


def _save(folder: Path, name: str, arrays: Arrays) -> None:
    """Several arrays are numbered in their order, since their names may be no names of files."""
    for number, array in enumerate(in_order(arrays)):
        file = f"{name}_{number}" if isinstance(arrays, Several) else name
        if not is_text(array):
            np.save(folder / f"{file}.npy", array, allow_pickle=False)
            continue
        encoded = [text.encode() for text in array.flat]
        ends = np.cumsum([len(text) for text in encoded], dtype=np.int64).reshape(array.shape)
        np.save(folder / f"{file}_text.npy", np.frombuffer(b"".join(encoded), np.uint8), allow_pickle=False)
        np.save(folder / f"{file}_ends.npy", ends, allow_pickle=False)


def open_prepared(folder: Path | str) -> Dataset:
    """Opens a folder that `save` wrote; arrays are read-only and mapped into memory, pages shared by processes.

    A user's function is called again, once the first of its pipelines is asked for.

    Raises:
        DataError: the folder holds no dataset, or one of another version of hpo.
    """
    folder = Path(folder)
    try:
        meta = json.loads((folder / "meta.json").read_text(encoding="utf-8"))
    except (OSError, ValueError) as error:
        raise DataError(f"{folder}: must be a prepared dataset: {error}") from None
    if meta.get("format") != _FORMAT:
        raise DataError(
            f"{folder}: must be a prepared dataset of format {_FORMAT}, got {meta.get('format')}; delete the folder"
        )
    info = info_from_json(meta["info"])
    if (stream := meta["stream"]) is not None:
        pipelines = FunctionStream(stream["function"], tuple(map(Path, stream["folders"])), meta.get("steps"))
        empty = no_samples(info.input_shape)
        return Dataset(info, empty, empty, empty, stream=pipelines)
    if info.folds is not None:
        folds = tuple(open_prepared(fold_folder(folder, number)) for number in range(1, info.folds + 1))
        return replace(folds[0], info=info, folds=folds)
    training, validation, test = (_open_part(folder, name, info) for name in _NAMES)
    extra = {name: replace(test, x=_open_array(folder, f"test_{name}_x")) for name in info.extra_tests}
    batches = None
    if (generator := meta.get("batches")) is not None:
        batches = FunctionBatches(generator["function"], tuple(map(Path, generator["folders"])))
    return Dataset(info, training, validation, test, batches=batches, extra_tests=extra)


@lru_cache(maxsize=64)
def decisions_of(folder: Path) -> Mapping[str, str]:
    """What the data of a prepared dataset decided of their section: scaling and task; empty where none is prepared.

    No folder is prepared twice under one name.
    """
    if not (folder / "meta.json").is_file():
        return {}
    info = json.loads((folder / "meta.json").read_text(encoding="utf-8"))["info"]
    decided = {"scaling": info["scaling"]["method"], "task": info["task"]}
    if info["task"] == "regression":
        decided["target_scaling"] = (info["target_scaling"] or {}).get("method", "none")
    return decided


def _open_part(folder: Path, name: str, info: DatasetInfo) -> Part:
    may_lack = not info.targets and info.task in ("reconstruction", "custom")
    without = may_lack and not (folder / f"{name}_y.npy").exists()
    return Part(
        _open_arrays(folder, f"{name}_x", tuple(info.inputs), info.inputs_listed),
        None if without else _open_arrays(folder, f"{name}_y", tuple(info.targets), info.targets_listed),
        _open_array(folder, f"{name}_weights") if name in info.weighted else None,
    )


def _open_arrays(folder: Path, name: str, names: Sequence[str], listed: bool) -> Arrays:
    if not names:
        return _open_array(folder, name)
    return Several({one: _open_array(folder, f"{name}_{number}") for number, one in enumerate(names)}, listed)


def _open_array(folder: Path, name: str) -> Array:
    if (folder / f"{name}_ends.npy").exists():
        ends, content = _load(folder, f"{name}_ends"), bytes(_load(folder, f"{name}_text"))
        starts = [0, *ends.flat[:-1]]
        texts = [content[start:end].decode() for start, end in zip(starts, ends.flat, strict=True)]
        return np.array(texts, dtype=object).reshape(ends.shape)
    return _load(folder, name)


def _load(folder: Path, name: str) -> Array:
    try:
        array: Array = np.load(folder / f"{name}.npy", mmap_mode="r", allow_pickle=False)
    except (OSError, ValueError) as error:
        raise DataError(f"{folder}: {name[:-2]}: cannot be read: {error}; delete the folder") from None
    return array
