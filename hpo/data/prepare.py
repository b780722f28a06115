"""From a dataset section to a Dataset: read, check, find the task, split, fit the scaling, hash."""

import hashlib
from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np

from hpo.data.dataset import Array, Dataset, DatasetInfo, Part, PartName, Scaling
from hpo.data.files import find, read_idx_folder, read_npz
from hpo.data.labels import Labels, read_labels
from hpo.data.raw import RawDataset, RawPipelines, check_part, check_same_shape, chunks
from hpo.data.scaling import Moments, default_method
from hpo.data.sources import read_known
from hpo.data.split import split
from hpo.errors import DataError
from hpo.experiment import DatasetSpec


def load(spec: DatasetSpec, folders: Sequence[Path]) -> Dataset:
    """Makes the dataset that a section of an experiment describes; nothing is written.

    Relative paths and the user's own code are looked for in `folders`, in order.

    Raises:
        DataError: whatever is wrong with the data; the message names the file, the rule and the value.
    """
    raw = _read(spec, folders)
    return _from_pipelines(raw, spec) if isinstance(raw, RawPipelines) else _from_arrays(raw, spec)


def _read(spec: DatasetSpec, folders: Sequence[Path]) -> RawDataset | RawPipelines:
    if spec.function is not None:
        from hpo.data.function import read_function

        raw: RawDataset | RawPipelines = read_function(spec.function, folders)
    elif spec.path is None:
        raw = read_known(spec.name or "")
    else:
        path = find(spec.path, folders)
        if path.is_dir():
            raw = read_idx_folder(path)
        elif path.suffix == ".npz":
            raw = read_npz(path)
        elif path.suffix in (".csv", ".parquet"):
            from hpo.data.tables import read_table

            raw = read_table(path, spec.target)
        else:
            raise DataError(f"{path}: must be a folder of IDX files, a .npz, a .csv or a .parquet file")
    if spec.target is not None and not (isinstance(raw, RawDataset) and raw.is_table):
        raise DataError(f"{raw.source}: target: {spec.target} names a column, which only .csv and .parquet have")
    return raw


def _from_arrays(raw: RawDataset, spec: DatasetSpec) -> Dataset:
    given = raw.parts()
    for raw_part in given.values():
        check_part(raw_part)
    check_same_shape({part.x.place: part.x.array.shape[1:] for part in given.values()})
    labels = read_labels({name: part.y for name, part in given.items()}, spec.task, raw.is_table, raw.class_names)
    whole = {name: Part(_as_images(part.x.array), labels.targets[name]) for name, part in given.items()}
    training = whole["training"]
    rows = split(labels.class_numbers("training"), len(training), spec, frozenset(whole), f"dataset {spec.label}")

    def part(name: PartName, chosen: Array | None) -> Part:
        if chosen is None:
            return whole[name]
        # Where nothing is taken from the data, they need not be copied.
        return training if len(chosen) == len(training) else Part(training.x[chosen], training.y[chosen])

    parts: dict[PartName, Part] = {
        "training": part("training", rows.training),
        "validation": part("validation", rows.validation),
        "test": part("test", rows.test),
    }
    moments = Moments(training.x.shape[1:])
    for chunk in chunks(parts["training"].x):
        moments.update(chunk)
    info = _info(
        raw.source,
        spec,
        labels,
        training.x.shape[1:],
        moments,
        {name: len(part) for name, part in parts.items()},
        {name: part_digest(part) for name, part in parts.items()},
    )
    info = replace(info, columns=raw.columns, draws=rows.draws)
    return Dataset(info, parts["training"], parts["validation"], parts["test"])


def _from_pipelines(raw: RawPipelines, spec: DatasetSpec) -> Dataset:
    from hpo.data.survey import survey

    if spec.limit is not None:
        raise DataError(f"{raw.source}: limit cannot shorten a tf.data.Dataset; use its own .take({spec.limit})")
    surveys = {name: survey(pipeline, f"{raw.source}: {name}") for name, pipeline in raw.parts.items()}
    check_same_shape({f"{raw.source}: {name}": found.shape for name, found in surveys.items()})
    for found in surveys.values():
        if found.y.array.dtype.kind not in "iuf":
            raise DataError(f"{found.y.place}: targets of a tf.data.Dataset must be numbers, got {found.y.array.dtype}")
    labels = read_labels({name: found.y for name, found in surveys.items()}, spec.task)
    shape = surveys["training"].shape
    info = _info(
        raw.source,
        spec,
        labels,
        shape,
        surveys["training"].moments,
        {name: len(found.y.array) for name, found in surveys.items()},
        {name: found.digest for name, found in surveys.items()},
    )
    empty = no_samples(shape)
    return Dataset(info, empty, empty, empty, stream=raw.stream)


def no_samples(shape: tuple[int, ...]) -> Part:
    """The empty arrays of a part that is a pipeline."""
    return Part(np.empty((0, *shape), np.float32), np.empty((0,), np.float32))


def part_digest(part: Part) -> str:
    """Content hash (SHA-256) of types, shapes and values of a part, its first 32 hexadecimal digits."""
    content = hashlib.sha256()
    for array in (part.x, part.y):
        content.update(f"{array.dtype.str}{array.shape}".encode())
        for chunk in chunks(array):
            content.update(np.ascontiguousarray(chunk).data)
    return content.hexdigest()[:32]


def _as_images(x: Array) -> Array:
    """Gives grey images, samples of shape (h, w) in uint8, their one channel; other samples (h, w) are series."""
    return x[..., np.newaxis] if x.ndim == 3 and x.dtype == np.uint8 else x


def _info(
    source: str,
    spec: DatasetSpec,
    labels: Labels,
    shape: tuple[int, ...],
    moments: Moments,
    sizes: Mapping[PartName, int],
    digests: Mapping[PartName, str],
) -> DatasetInfo:
    scaling: Scaling = moments.scaling(spec.scaling or default_method(shape))
    order: tuple[PartName, ...] = ("training", "validation", "test")
    together = "".join(digests[name] for name in order)
    return DatasetInfo(
        name=spec.label,
        source=source,
        task=labels.task,
        input_shape=shape,
        classes=labels.outputs if labels.task == "classification" else None,
        outputs=labels.outputs,
        one_hot=labels.one_hot,
        sizes={name: sizes[name] for name in order},
        digests={name: digests[name] for name in order},
        digest=hashlib.sha256(together.encode()).hexdigest()[:32],
        scaling=scaling,
        class_names=labels.class_names,
    )
