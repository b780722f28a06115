"""From a dataset section to a Dataset: read, check, find the task, split, fit the scaling, hash."""

import hashlib
from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from hpo.config.experiment import DatasetSpec
from hpo.data.checks import check_part, check_same_shape
from hpo.data.dataset import Array, Dataset, Part, PartName
from hpo.data.described import Found, Inputs, described, found_in, part_digest
from hpo.data.image_changes import check_augmentation, with_extra_tests
from hpo.data.label_kinds import TaskHint
from hpo.data.mapped import Mapped
from hpo.data.on_disk import with_window
from hpo.data.read_source import Raw, read
from hpo.data.repeated import count_repeated, repeated_note, row_hashes
from hpo.data.series import datasets_of_series
from hpo.data.series_table import RawSeries
from hpo.data.several import Arrays, Several, by_name, mapped
from hpo.data.source_data import RawDataset, RawGenerated, RawPipelines, as_images
from hpo.data.split import split, split_notes
from hpo.data.targets import Targets, read_targets
from hpo.data.training_columns import NO_TABLE, fitted_table
from hpo.data.weights import as_of_targets, check_weights
from hpo.errors import DataError

if TYPE_CHECKING:
    from hpo.data.tf_dataset import Survey


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
    if folds is not None and not isinstance(raw, RawDataset | RawSeries):
        rule = "k-fold cross-validation divides the arrays of a dataset, and the function returns none; leave out folds"
        raise DataError(f"{raw.source}: {rule}", ("dataset", "validation", "folds"))
    if not spec.shuffle and not isinstance(raw, RawDataset | RawSeries):
        rule = "is for arrays and tables, which are divided by hpo; leave it out"
        raise DataError(f"{rule} of {raw.source}", ("dataset", "shuffle"))
    if isinstance(raw, RawGenerated):
        from hpo.data.generated import with_fixed_parts

        raw, spec = with_fixed_parts(raw, spec), spec.model_copy(update={"scaling": spec.scaling or "none"})
    if isinstance(raw, RawPipelines):
        found = [_from_pipelines(raw, spec, hint)]
    elif isinstance(raw, RawSeries):
        found = datasets_of_series(raw, spec, hint)
    else:
        found = _from_arrays(raw, spec, hint)
    check_augmentation(spec.augmentation, found[0])
    found[0] = with_extra_tests(found[0], spec.extra_tests)
    return found[0] if folds is None else _folded(found)


def _from_arrays(raw: RawDataset, spec: DatasetSpec, hint: TaskHint | None) -> list[Dataset]:
    """One dataset, or one for each fold."""
    given = raw.parts()
    for raw_part in given.values():
        check_part(raw_part, may_miss=raw.is_table)
    check_same_shape({part.x.place: part.x.array for part in given.values()})
    source = f"dataset {spec.label}"
    y = {name: part.y for name, part in given.items()}
    targets = read_targets(y, spec, source, raw.is_table, raw.class_names, hint)
    check_weights([part.weights for part in given.values()], targets, alike=True)
    whole = {
        name: Part(mapped(part.x.array, as_images), targets.of(name), as_of_targets(part.weights, targets))
        for name, part in given.items()
    }
    training = whole["training"]
    classes = targets.classes_to_divide_by()
    rows = split(classes, len(training), spec, frozenset(whole), source, raw.split_by)
    hashes = {name: row_hashes(part) for name, part in whole.items()}

    def taken(chosen: Array) -> Part:
        # Where nothing is taken from the data, they need not be copied.
        return training if len(chosen) == len(training) else training.take(chosen)

    test = whole["test"] if rows.test is None else taken(rows.test)
    found = []
    for rest, held_out in rows.folds or ((rows.training, rows.validation),):
        validation = whole["validation"] if held_out is None else taken(held_out)
        parts: dict[PartName, Part] = {"training": taken(rest), "validation": validation, "test": test}
        places: dict[PartName, Array | None] = {"training": rest, "validation": held_out, "test": rows.test}
        dataset = _fitted(raw, spec, targets, parts, places)
        repeated = count_repeated(
            hashes["training"][rest],
            hashes["validation"] if held_out is None else hashes["training"][held_out],
            hashes["test"] if rows.test is None else hashes["training"][rows.test],
        )
        notes = (
            *raw.notes,
            *targets.notes(source),
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
    targets: Targets,
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
    inputs = {name: found_in(array, raw.is_table) for name, array in by_name(x).items()}
    info = described(
        raw.source,
        spec,
        targets,
        Inputs(inputs, isinstance(x, Several) and x.listed),
        parts["training"].y,
        {name: len(part) for name, part in parts.items()},
        digests,
    )
    info = replace(
        info,
        columns=table.columns,
        unused=table.unused,
        fill=table.fill,
        by_column=table.by_column,
        notes=table.notes,
        steps_per_epoch=spec.steps_per_epoch,
        images=raw.images,
        text=spec.text,
        weighted=tuple(name for name, part in parts.items() if part.weights is not None),
    )
    if isinstance(x, Mapped):
        info = with_window(info, spec, [part.x for part in parts.values()])
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
    shown = {f"{raw.source}: {name}": _shapes_as_arrays(found) for name, found in surveys.items()}
    check_same_shape(shown)
    for found in surveys.values():
        for values in found.y.each() if found.y is not None else ():
            if values.array.dtype.kind not in "iuf":
                rule = "targets of a tf.data.Dataset must be numbers"
                raise DataError(f"{values.place}: {rule}, got {values.array.dtype}")
    given = {name: found.y for name, found in surveys.items()}
    targets = read_targets(given, spec, f"dataset {spec.label}", hint=hint)
    for found in surveys.values():
        check_weights([found.weights], targets)
    seen = surveys["training"]
    inputs = {
        name: Found(shape, seen.types[name], seen.moments.get(name), numbered=seen.types[name].kind in "bui")
        for name, shape in seen.shapes.items()
    }
    info = described(
        raw.source,
        spec,
        targets,
        Inputs(inputs, seen.listed),
        targets.of("training"),
        {name: found.samples for name, found in surveys.items()},
        {name: found.digest for name, found in surveys.items()},
    )
    weighted = tuple(name for name, found in surveys.items() if found.weights is not None)
    info = replace(info, weighted=weighted, notes=tuple(targets.notes(f"dataset {spec.label}")))
    empty = no_samples(info.input_shape)
    return Dataset(info, empty, empty, empty, stream=raw.stream)


def _shapes_as_arrays(found: "Survey") -> Arrays:
    """Arrays without samples, of the shapes of a pipeline's."""
    arrays = {name: np.empty((0, *shape)) for name, shape in found.shapes.items()}
    return arrays[""] if "" in arrays else Several(arrays, found.listed)


def no_samples(shape: tuple[int, ...]) -> Part:
    """The empty arrays of a part that is a pipeline."""
    return Part(np.empty((0, *shape), np.float32), np.empty((0,), np.float32))
