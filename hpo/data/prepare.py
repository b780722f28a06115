"""From a dataset section to a Dataset: read, check, find the task, split, fit the scaling, hash."""

import hashlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np

from hpo.config.dataset import TABLE_ENDINGS
from hpo.config.experiment import DatasetSpec
from hpo.data.checks import check_part, check_same_shape
from hpo.data.dataset import Array, Dataset, DatasetInfo, Part, PartName, Scaling
from hpo.data.files import find, read_idx_folder, read_npz
from hpo.data.image_changes import check_augmentation, with_extra_tests
from hpo.data.labels import Labels, TaskHint, read_labels
from hpo.data.read_known import read_known
from hpo.data.repeated import count_repeated, repeated_note, row_hashes
from hpo.data.scaling import Moments, check_range, default_method
from hpo.data.source_data import RawDataset, RawGenerated, RawPipelines, as_images, chunks
from hpo.data.split import split, split_notes
from hpo.data.table_file import is_table
from hpo.data.tables import read_table
from hpo.data.training_columns import NO_TABLE, fitted_table
from hpo.errors import DataError

Raw = RawDataset | RawPipelines | RawGenerated


def load(spec: DatasetSpec, folders: Sequence[Path], hint: TaskHint | None = None) -> Dataset:
    """Makes the dataset that a section of an experiment describes; nothing is written.

    Relative paths and the user's own code are looked for in `folders`, in order. `hint` says which task the study's
    metrics are for, where the section leaves that open.

    Raises:
        DataError: whatever is wrong with the data; the message names the file, the rule and the value.
    """
    return prepare(read(spec, folders), spec, hint)


def prepare(raw: Raw, spec: DatasetSpec, hint: TaskHint | None = None) -> Dataset:
    """Makes the dataset of a section from what `read` returned for it, or for one that names the same source.

    Raises:
        DataError: the data are inconsistent, or cannot be divided so.
    """
    folds = spec.validation.folds
    if folds is not None and not isinstance(raw, RawDataset):
        rule = "k-fold cross-validation divides the arrays of a dataset, and the function returns none; leave out folds"
        raise DataError(f"{raw.source}: {rule}", ("dataset", "validation", "folds"))
    if not spec.shuffle and not isinstance(raw, RawDataset):
        rule = "is for arrays and tables, which are divided by hpo; leave it out"
        raise DataError(f"{rule} of {raw.source}", ("dataset", "shuffle"))
    if isinstance(raw, RawGenerated):
        from hpo.data.generated import with_fixed_parts

        raw, spec = with_fixed_parts(raw, spec), spec.model_copy(update={"scaling": spec.scaling or "none"})
    found = [_from_pipelines(raw, spec, hint)] if isinstance(raw, RawPipelines) else _from_arrays(raw, spec, hint)
    check_augmentation(spec.augmentation, found[0])
    found[0] = with_extra_tests(found[0], spec.extra_tests)
    return found[0] if folds is None else _folded(found)


def read(spec: DatasetSpec, folders: Sequence[Path]) -> Raw:
    """What the source of a section brings, as it came.

    Raises:
        DataError: it cannot be found or read.
    """
    if spec.steps_per_epoch is not None and spec.function is None:
        rule = f"is for a function that yields batches without end; leave it out of {spec.label}"
        raise DataError(rule, ("dataset", "steps_per_epoch"))
    if spec.function is not None:
        from hpo.data.function import read_function
        from hpo.data.generated import read_generated

        reader = read_function if spec.steps_per_epoch is None else read_generated
        raw: Raw = reader(spec.function, folders)
    elif spec.path is None:
        raw = read_known(spec.name or "")
    else:
        path = find(spec.path, folders)
        if path.is_dir():
            raw = read_idx_folder(path)
        elif path.suffix.lower() == ".npz":
            raw = read_npz(path)
        elif is_table(path):
            raw = read_table(path, spec)
        else:
            raise DataError(
                f"{path}: must be a folder of IDX files, a .npz file, or a table: {', '.join(TABLE_ENDINGS)}"
            )
    if spec.target is not None and not (isinstance(raw, RawDataset) and raw.is_table):
        raise DataError(f"{raw.source}: target: {spec.target} names a column, which only tables have")
    if spec.validation.column is not None and not (isinstance(raw, RawDataset) and raw.is_table):
        key = "time" if spec.validation.group is None else "group"
        rule = f"{spec.validation.column} names a column of a table, and {spec.label} is none"
        hint = "; shuffle: false takes samples in their order" if key == "time" else ""
        raise DataError(f"{rule}{hint}", ("dataset", "validation", key))
    return raw


def _from_arrays(raw: RawDataset, spec: DatasetSpec, hint: TaskHint | None) -> list[Dataset]:
    """One dataset, or one for each fold."""
    given = raw.parts()
    for raw_part in given.values():
        check_part(raw_part, may_miss=raw.is_table)
    check_same_shape({part.x.place: part.x.array.shape[1:] for part in given.values()})
    targets = {name: part.y for name, part in given.items()}
    labels = read_labels(targets, spec.task, raw.is_table, raw.class_names, hint)
    whole = {name: Part(as_images(part.x.array), labels.targets[name]) for name, part in given.items()}
    training, source = whole["training"], f"dataset {spec.label}"
    classes = labels.class_numbers("training")
    rows = split(classes, len(training), spec, frozenset(whole), source, raw.split_by)
    hashes = {name: row_hashes(part) for name, part in whole.items()}

    def taken(chosen: Array) -> Part:
        # Where nothing is taken from the data, they need not be copied.
        return training if len(chosen) == len(training) else Part(training.x[chosen], training.y[chosen])

    test = whole["test"] if rows.test is None else taken(rows.test)
    found = []
    for rest, held_out in rows.folds or ((rows.training, rows.validation),):
        validation = whole["validation"] if held_out is None else taken(held_out)
        parts: dict[PartName, Part] = {"training": taken(rest), "validation": validation, "test": test}
        places: dict[PartName, Array | None] = {"training": rest, "validation": held_out, "test": rows.test}
        dataset = _fitted(raw, spec, labels, parts, places)
        repeated = count_repeated(
            hashes["training"][rest],
            hashes["validation"] if held_out is None else hashes["training"][held_out],
            hashes["test"] if rows.test is None else hashes["training"][rows.test],
        )
        notes = (
            *raw.notes,
            f"the target of {source} {labels.note}" if labels.note else None,
            *split_notes(spec, rows, raw.split_by),
            *dataset.info.notes,
            repeated_note(repeated, dataset.info.sizes, raw.is_table),
        )
        kept = tuple(note for note in notes if note is not None)
        found.append(replace(dataset, info=replace(dataset.info, draws=rows.draws, repeated=repeated, notes=kept)))
    return found


def _fitted(
    raw: RawDataset,
    spec: DatasetSpec,
    labels: Labels,
    parts: Mapping[PartName, Part],
    places: Mapping[PartName, Array | None],
) -> Dataset:
    """A dataset of these parts; its categories, its scaling and what is filled in are fitted on the training part.

    `places`: the rows of the data in each part, or None for a part that is given.
    """
    # Of what was read: what is fitted depends on the training part, and trials that divide the data otherwise are to be
    # compared.
    digests = {name: part_digest(part) for name, part in parts.items()}
    table = NO_TABLE
    if raw.columns is not None:
        table, parts = fitted_table(raw.columns, parts, places, impute=spec.missing == "impute")
    x = parts["training"].x
    moments = Moments(x.shape[1:])
    for chunk in chunks(x):
        moments.update(chunk)
    info = _info(
        raw.source,
        spec,
        labels,
        # A table's columns of whole numbers are measures, as its others are.
        _Inputs(x.shape[1:], x.dtype, moments, numbered=x.dtype.kind in "bui" and not raw.is_table),
        parts["training"].y,
        {name: len(part) for name, part in parts.items()},
        digests,
    )
    given = {"separator": spec.separator, "decimal": spec.decimal, "encoding": spec.encoding}
    info = replace(
        info,
        columns=table.columns,
        unused=table.unused,
        fill=table.fill,
        by_column=table.by_column,
        notes=table.notes,
        table_format={key: value for key, value in given.items() if value is not None},
        steps_per_epoch=spec.steps_per_epoch,
    )
    return Dataset(info, parts["training"], parts["validation"], parts["test"], batches=raw.batches)


def _folded(folds: Sequence[Dataset]) -> Dataset:
    """The folds of k-fold cross-validation, which have the test part in common, as one dataset."""
    first = folds[0]
    digest = hashlib.sha256("".join(fold.info.digest for fold in folds).encode()).hexdigest()[:32]
    named = [replace(fold.info, extra_tests=first.info.extra_tests) for fold in folds]
    alike = (replace(fold, info=info, extra_tests=first.extra_tests) for fold, info in zip(folds, named, strict=True))
    return replace(first, info=replace(first.info, folds=len(folds), digest=digest), folds=tuple(alike))


def _from_pipelines(raw: RawPipelines, spec: DatasetSpec, hint: TaskHint | None) -> Dataset:
    from hpo.data.tf_dataset import survey

    if spec.limit is not None:
        raise DataError(f"{raw.source}: limit cannot shorten a tf.data.Dataset; use its own .take({spec.limit})")
    surveys = {name: survey(pipeline, f"{raw.source}: {name}") for name, pipeline in raw.parts.items()}
    check_same_shape({f"{raw.source}: {name}": found.shape for name, found in surveys.items()})
    for found in surveys.values():
        if found.y.array.dtype.kind not in "iuf":
            raise DataError(f"{found.y.place}: targets of a tf.data.Dataset must be numbers, got {found.y.array.dtype}")
    labels = read_labels({name: found.y for name, found in surveys.items()}, spec.task, hint=hint)
    seen = surveys["training"]
    info = _info(
        raw.source,
        spec,
        labels,
        _Inputs(seen.shape, seen.dtype, seen.moments, numbered=seen.dtype.kind in "bui"),
        labels.targets["training"],
        {name: len(found.y.array) for name, found in surveys.items()},
        {name: found.digest for name, found in surveys.items()},
    )
    empty = no_samples(seen.shape)
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


@dataclass(frozen=True)
class _Inputs:
    """What is known of the training part's samples."""

    shape: tuple[int, ...]
    dtype: np.dtype[Any]
    moments: Moments
    numbered: bool
    """Whether they are integers that number things, or count them, unless they are images."""


def _info(
    source: str,
    spec: DatasetSpec,
    labels: Labels,
    inputs: _Inputs,
    targets: Array,
    sizes: Mapping[PartName, int],
    digests: Mapping[PartName, str],
) -> DatasetInfo:
    method = spec.scaling or default_method(inputs.shape, inputs.numbered)
    if method == "none" and inputs.dtype.kind in "ui":
        check_range(source, inputs.moments)
    order: tuple[PartName, ...] = ("training", "validation", "test")
    together = "".join(digests[name] for name in order)
    return DatasetInfo(
        name=spec.label,
        source=source,
        task=labels.task,
        input_shape=inputs.shape,
        classes=labels.outputs if labels.task == "classification" else None,
        outputs=labels.outputs,
        one_hot=labels.one_hot,
        sizes={name: sizes[name] for name in order},
        digests={name: digests[name] for name in order},
        digest=hashlib.sha256(together.encode()).hexdigest()[:32],
        scaling=inputs.moments.scaling(method),
        target_scaling=_target_scaling(spec, labels, targets),
        class_names=labels.class_names,
        input_type=str(inputs.dtype),
        default_scaling=spec.scaling is None,
    )


def _target_scaling(spec: DatasetSpec, labels: Labels, targets: Array) -> Scaling | None:
    """The scaling of the numbers to predict, fitted on those of the training part; None for as they are."""
    if labels.task == "classification":
        if spec.target_scaling in ("standard", "minmax"):
            rule = f"{spec.target_scaling} scales numbers, and the task is classification; leave it out"
            raise DataError(rule, ("dataset", "target_scaling"))
        return None
    method = spec.target_scaling or ("standard" if spec.steps_per_epoch is None else "none")
    if method == "none":
        return None
    moments = Moments((labels.outputs,))
    moments.update(targets)
    return moments.scaling(method)
