"""Datasets of windows over series: the rows are divided in time, and each window lies in one part."""

from collections.abc import Iterator, Mapping
from dataclasses import replace

import numpy as np

from hpo.config.dataset import DatasetSpec
from hpo.data.dataset import Array, Dataset, Part, PartName
from hpo.data.described import Inputs, described, found_in, part_digest
from hpo.data.label_kinds import TaskHint
from hpo.data.series_table import RawSeries
from hpo.data.source_data import Values
from hpo.data.split import Rows, split, split_notes
from hpo.data.targets import read_targets
from hpo.data.training_columns import fitted_table
from hpo.data.windows import longest_run
from hpo.errors import DataError

_PARTS: tuple[PartName, ...] = ("training", "validation", "test")


def datasets_of_series(raw: RawSeries, spec: DatasetSpec, hint: TaskHint | None) -> list[Dataset]:
    """One dataset of windows, or one for each fold, which go forward in time.

    The rows are divided first: the last ones in time are the test part, those before them the validation part. A window
    belongs to a part if all its rows do, and all that are forecast from it; those over a border belong to none. What is
    fitted, scaling and categories, is fitted on the rows of the training part.

    Raises:
        DataError: a part has too few rows for a window, or the target does not fit the task.
    """
    source = f"dataset {spec.label}"
    # Without `shuffle` rows would be divided by their places, in which series follow each other.
    in_time = spec.model_copy(update={"shuffle": True, "stratify": False})
    rows = split(None, len(raw.x), in_time, frozenset(), source, raw.order)
    assert rows.test is not None
    found = []
    for rest, held_out in rows.folds or ((rows.training, rows.validation),):
        assert held_out is not None
        places = dict(zip(_PARTS, map(np.sort, (rest, held_out, rows.test)), strict=True))
        dataset = _dataset(raw, spec, places, hint)
        notes = (*raw.notes, *dataset.info.notes, *_notes(raw, in_time, rows, places, dataset))
        found.append(replace(dataset, info=replace(dataset.info, draws=rows.draws, notes=notes)))
    return found


def _dataset(raw: RawSeries, spec: DatasetSpec, places: Mapping[PartName, Array], hint: TaskHint | None) -> Dataset:
    whole = {name: Part(raw.x[rows], None) for name, rows in places.items()}
    table, fitted = fitted_table(raw.columns, whole, places, impute=False)
    y = {
        name: Values(_forecast(raw, name, rows), f"{raw.source}: column {raw.windows.targets[0]!r}")
        for name, rows in places.items()
    }
    # Whole numbers are counts here, and names are classes.
    is_named = raw.y.dtype.kind not in "iuf"
    task = spec.task or (None if is_named else "regression")
    if is_named and raw.windows.horizon > 1:
        rule = f"names are forecast one at a time, got a horizon of {raw.windows.horizon}"
        raise DataError(f"{raw.source}: {rule}", ("dataset", "series", "horizon"))
    of_task = spec.model_copy(update={"task": task})
    targets = read_targets(dict(y), of_task, f"dataset {spec.label}", is_table=True, hint=hint)
    # Of what was read: categories are fitted, and trials that divide the rows otherwise are to be compared.
    digests = {
        name: part_digest(Part(_inputs(raw, rows, whole[name].x), targets.of(name))) for name, rows in places.items()
    }
    parts = {name: Part(_inputs(raw, rows, fitted[name].x), targets.of(name)) for name, rows in places.items()}
    # Of the rows, of which each is in many windows.
    found = found_in(fitted["training"].x, is_table=True)
    found = replace(found, shape=parts["training"].x.shape[1:], dtype=raw.x.dtype)
    info = described(
        raw.source,
        spec,
        targets,
        Inputs({"": found}, listed=False),
        parts["training"].y,
        {name: len(part) for name, part in parts.items()},
        digests,
    )
    info = replace(info, columns=table.columns, unused=table.unused, series=raw.windows, notes=table.notes)
    return Dataset(info, parts["training"], parts["validation"], parts["test"])


def _inputs(raw: RawSeries, places: Array, features: Array) -> Array:
    """The windows of a part, whose rows are at these places of the table's; `features`: shape (rows, features)."""
    windows = raw.windows
    return windows.inputs(features, raw.groups[places], windows.gap + windows.horizon, windows.stride)


def _forecast(raw: RawSeries, name: PartName, places: Array) -> Array:
    """What is to be forecast from each window of a part.

    Raises:
        DataError: it has too few rows for a window.
    """
    windows, groups = raw.windows, raw.groups[places]
    longest = longest_run(groups)
    if longest < windows.span:
        raise DataError(
            f"{raw.source}: {windows.needs}, and the {name} part has {longest} of one series, since no window "
            "reaches into another part; take a smaller window or a larger part",
            ("dataset", "series", "window"),
        )
    return windows.forecast(raw.y[places], groups)


def _notes(
    raw: RawSeries, spec: DatasetSpec, rows: Rows, places: Mapping[PartName, Array], dataset: Dataset
) -> Iterator[str]:
    """What was made of the rows, and which ones are the test part."""
    windows = raw.windows
    after = "the row" if windows.horizon == 1 else f"the {windows.horizon} rows"
    gap = f", {windows.gap} rows later," if windows.gap else ""
    sizes = dataset.info.sizes
    if raw.groups[-1] == 0:
        # Of one series the places are those of the rows in time.
        parts = ", ".join(f"{name} {sizes[name]} of rows {own[0]} to {own[-1]}" for name, own in places.items())
        parts += f" (counted from 0{', in order of time' if windows.time else ''})"
    else:
        parts = ", ".join(f"{name} {sizes[name]} of {len(own)} rows" for name, own in places.items())
        parts += f", of {len(np.unique(raw.groups))} series"
    yield (
        f"samples are windows of {windows.window} rows and {after} after them{gap} to forecast, each within one part: "
        f"{parts}"
    )
    if spec.validation.time is not None:
        yield from split_notes(spec, rows, raw.order)
