"""A prepared dataset in a folder: .npy files that workers map into memory and share, and meta.json."""

import json
import tempfile
from collections.abc import Mapping
from dataclasses import replace
from functools import lru_cache
from pathlib import Path
from typing import Any

import numpy as np

from hpo.data.array_files import open_array, open_arrays, save_arrays
from hpo.data.dataset import Dataset, DatasetInfo, Part, PartName
from hpo.data.function import FunctionStream
from hpo.data.generated import FunctionBatches
from hpo.data.info_json import info_as_json, info_from_json
from hpo.data.other_rows import rows_note
from hpo.data.prepare import no_samples
from hpo.data.several import Arrays
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
    dataset, stream = in_order_of_files(dataset), dataset.stream
    if stream is None and not dataset.folds:
        for name, part in dataset.extra_tests.items():
            save_arrays(new, f"test_{name}_x", part.x)
        for name in _NAMES:
            own = dataset.part(name)
            for which, arrays in (("x", own.x), ("y", own.y), ("weights", own.weights)):
                if arrays is not None:
                    save_arrays(new, f"{name}_{which}", arrays, on_disk=dataset.info.window is not None)
    meta = {"format": _FORMAT, "info": info_as_json(dataset.info), "stream": None}
    for name, found in (("stream", stream), ("batches", dataset.batches)):
        if isinstance(found, FunctionStream | FunctionBatches):
            folders = [str(path.absolute()) for path in found.folders]
            meta[name] = {"function": found.function, "folders": folders}
    if (note := rows_note(dataset.info)) is not None:
        meta["note"] = note
    if isinstance(stream, FunctionStream) and stream.arguments:
        meta["arguments"] = dict(stream.arguments)
    if isinstance(stream, FunctionStream) and stream.steps is not None:
        meta["steps"] = stream.steps
    (new / "meta.json").write_text(json.dumps(meta, indent=1), encoding="utf-8")


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
    info = replace(info, notes=(meta["note"],)) if "note" in meta else info
    if (stream := meta["stream"]) is not None:
        where = tuple(map(Path, stream["folders"]))
        pipelines = FunctionStream(stream["function"], where, meta.get("steps"), meta.get("arguments", {}))
        empty = no_samples(info.input_shape)
        return Dataset(info, empty, empty, empty, stream=pipelines)
    if info.folds is not None:
        folds = tuple(open_prepared(fold_folder(folder, number)) for number in range(1, info.folds + 1))
        return replace(folds[0], info=info, folds=folds)
    training, validation, test = (_open_part(folder, name, info) for name in _NAMES)
    extra = {name: replace(test, x=open_array(folder, f"test_{name}_x")) for name in info.extra_tests}
    batches = None
    if (generator := meta.get("batches")) is not None:
        batches = FunctionBatches(generator["function"], tuple(map(Path, generator["folders"])))
    return Dataset(info, training, validation, test, batches=batches, extra_tests=extra)


@lru_cache(maxsize=64)
def decisions_of(folder: Path) -> Mapping[str, Any]:
    """What the data of a prepared dataset decided of their section, scaling and task say; empty where none is prepared.

    No folder is prepared twice under one name.
    """
    if not (folder / "meta.json").is_file():
        return {}
    info = json.loads((folder / "meta.json").read_text(encoding="utf-8"))["info"]
    decided = {"task": info["task"]}
    # Of several inputs each has a scaling of its own.
    if not info.get("inputs"):
        decided["scaling"] = info["scaling"]["method"]
    if info["task"] == "regression":
        decided["target_scaling"] = (info["target_scaling"] or {}).get("method", "none")
    if info.get("memory_limit") is not None:
        decided |= {"memory_limit": info["memory_limit"], "shuffle_window": info["window"]}
    return decided


def _open_part(folder: Path, name: str, info: DatasetInfo) -> Part:
    may_lack = not info.targets and info.task in ("reconstruction", "custom")
    without = may_lack and not (folder / f"{name}_y.npy").exists()
    return Part(
        open_arrays(folder, f"{name}_x", tuple(info.inputs), info.inputs_listed),
        None if without else open_arrays(folder, f"{name}_y", tuple(info.targets), info.targets_listed),
        _open_weights(folder, f"{name}_weights", info) if name in info.weighted else None,
    )


def _open_weights(folder: Path, name: str, info: DatasetInfo) -> Arrays:
    """One array, also of several targets, or one for each."""
    names = () if (folder / f"{name}.npy").exists() else tuple(info.targets)
    return open_arrays(folder, name, names, info.targets_listed)


def in_order_of_files(dataset: Dataset) -> Dataset:
    """The same with the samples of each part in the order in which they are read, if they are read from disk."""
    if dataset.info.window is None:
        return dataset
    orders = {name: np.argsort(dataset.part(name).x.rows) for name in _NAMES}
    parts = {name: dataset.part(name).take(order) for name, order in orders.items()}
    extra = {name: part.take(orders["test"]) for name, part in dataset.extra_tests.items()}
    training, validation, test = parts.values()
    return replace(dataset, training=training, validation=validation, test=test, extra_tests=extra)
