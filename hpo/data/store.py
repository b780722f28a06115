"""A prepared dataset in a folder: .npy files that workers map into memory and share, and meta.json."""

import json
import tempfile
from dataclasses import asdict
from pathlib import Path

import numpy as np

from hpo.data.dataset import Dataset, DatasetInfo, Part, PartName, Scaling
from hpo.data.function import FunctionStream
from hpo.data.prepare import no_samples
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
        new.mkdir()
        if stream is None:
            for name in _NAMES:
                np.save(new / f"{name}_x.npy", dataset.part(name).x, allow_pickle=False)
                np.save(new / f"{name}_y.npy", dataset.part(name).y, allow_pickle=False)
        meta = {"format": _FORMAT, "info": _plain(dataset.info), "stream": None}
        if stream is not None:
            folders = [str(path.absolute()) for path in stream.folders]
            meta["stream"] = {"function": stream.function, "folders": folders}
        (new / "meta.json").write_text(json.dumps(meta, indent=1), encoding="utf-8")
        if folder.exists():
            folder.rename(Path(temporary) / "old")
        new.rename(folder)


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
    info = _info(meta["info"])
    if (stream := meta["stream"]) is not None:
        pipelines = FunctionStream(stream["function"], tuple(Path(path) for path in stream["folders"]))
        empty = no_samples(info.input_shape)
        return Dataset(info, empty, empty, empty, stream=pipelines)
    training, validation, test = (_open_part(folder, name) for name in _NAMES)
    return Dataset(info, training, validation, test)


def _open_part(folder: Path, name: PartName) -> Part:
    try:
        x, y = (np.load(folder / f"{name}_{xy}.npy", mmap_mode="r", allow_pickle=False) for xy in "xy")
    except (OSError, ValueError) as error:
        raise DataError(f"{folder}: {name}: cannot be read: {error}; delete the folder") from None
    return Part(x, y)


def _plain(info: DatasetInfo) -> dict[str, object]:
    scaling = info.scaling
    numbers = {"offset": scaling.offset.tolist(), "factor": scaling.factor.tolist()}
    return {**asdict(info), "scaling": {"method": scaling.method, **numbers}}


def _info(plain: dict[str, object]) -> DatasetInfo:
    fields: dict[str, object] = dict(plain)
    scaling = plain["scaling"]
    assert isinstance(scaling, dict)
    fields["scaling"] = Scaling(
        scaling["method"], *(np.asarray(scaling[key], np.float32) for key in ("offset", "factor"))
    )
    for key in ("input_shape", "class_names"):
        fields[key] = tuple(fields[key])  # type: ignore[arg-type]
    return DatasetInfo(**fields)  # type: ignore[arg-type]
