"""A table whose rows follow each other in time: one series, or several that a column tells apart."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from hpo.config.dataset import DatasetSpec
from hpo.data.dataset import Array, DatasetInfo
from hpo.data.table_columns import columns_of, dates, kind_of
from hpo.data.table_features import encode
from hpo.data.table_file import TableFile
from hpo.data.tables import (
    TableSamples,
    check_named,
    column_to_split_by,
    features_of_table,
    group_numbers,
    target_values,
    texts_of,
)
from hpo.data.training_columns import RawColumns
from hpo.data.windows import Windows, longest_run
from hpo.errors import DataError, nearest

if TYPE_CHECKING:
    from hpo.data.column import Column


@dataclass(frozen=True)
class RawSeries:
    """The rows of a table in the order of its series, and within each in the order of time."""

    source: str
    windows: Windows
    x: Array
    """Shape (rows, features), as they were read."""
    y: Array
    """What is forecast, shape (rows, targets)."""
    columns: RawColumns
    groups: Array
    """The number of each row's series; shape (rows,)."""
    order: Array
    """By what the rows are divided in time, shape (rows,): their times, or their places in their own series."""
    notes: tuple[str, ...] = ()


def read_series(table: TableFile, spec: DatasetSpec) -> RawSeries:
    """Reads a table as a series, or several.

    Raises:
        DataError: it lacks a column that the section names or a value, is too short, or is not in the order of time.
    """
    assert spec.series is not None
    path = table.path
    names, time, group = [str(name) for name in table.frame.columns], spec.validation.time, spec.series.group
    check_named(path, names, spec)
    for name in spec.targets:
        if name in (group, time):
            raise DataError(
                f"{path}: column {name!r} cannot be the target and the time or group", ("dataset", "target")
            )
    left_out = {group, *spec.drop, *([] if spec.validation.as_input else [time])}
    inputs = [name for name in names if name not in left_out]
    if not inputs:
        raise DataError(f"{path}: needs a column that is an input, and all are dropped", ("dataset", "drop"))
    columns = columns_of(table, inputs, spec)
    y = _targets(table, spec)
    groups = _groups(table, group)
    times = column_to_split_by(table, spec)
    places = _in_order(table, columns, groups, time, times)
    if times is None:
        _check_not_backwards(table, spec, groups)
    order = _places_within(groups[places]) if times is None else times[places]
    given = spec.series
    form = None if time is None else kind_of(table, time, spec)[1]
    windows = Windows(given.window, given.horizon, given.gap, given.stride, spec.targets, group, time, form)
    if (longest := longest_run(groups)) < windows.span:
        key = ("dataset", "series", "window" if longest < given.window else "horizon")
        raise DataError(f"{path}: {windows.needs}, and the longest series has {longest}", key)
    raw = RawColumns(columns, texts_of(table, columns), spec.max_categories)
    x = _narrow(encode(table, columns).features)[places]
    return RawSeries(str(path), windows, x, y[places], raw, groups[places], order, table.notes)


def _targets(table: TableFile, spec: DatasetSpec) -> Array:
    """The columns to forecast, shape (rows, targets)."""
    found = [target_values(table, name, name in spec.categorical) for name in spec.targets]
    for name, values in zip(spec.targets, found, strict=True):
        place = f"{table.path}: column {name!r}"
        if len(found) > 1 and values.dtype.kind not in "iuf":
            raise DataError(f"{place}: several targets must be numbers, got {values[0]}", ("dataset", "target"))
        if values.dtype.kind == "f" and not np.isfinite(values).all():
            row = table.row(int(np.isfinite(values).argmin()))
            raise DataError(f"{place}: all values must be finite numbers, the first that is not is in {row}")
    return np.stack(found, axis=1)


def _groups(table: TableFile, group: str | None) -> Array:
    return np.zeros(len(table.frame), np.int64) if group is None else group_numbers(table, group)


def _in_order(
    table: TableFile, columns: "Sequence[Column]", groups: Array, time: str | None, times: Array | None
) -> Array:
    """The rows in the order of their series, and within each in that of time; shape (rows,).

    Raises:
        DataError: two rows of a series have one time, or without times a column of dates falls.
    """
    if times is None:
        _check_order(table, columns, groups)
        return np.argsort(groups, kind="stable")
    places = np.lexsort((times, groups))
    _check_distinct(table, str(time), times[places], groups[places], places)
    return places


def _places_within(groups: Array) -> Array:
    """Where each row is in its own series, above 0 and at most 1; `groups` does not fall."""
    counts = np.unique(groups, return_counts=True)[1]
    return np.concatenate([np.arange(1, count + 1) / count for count in counts])


def _check_order(table: TableFile, columns: "Sequence[Column]", groups: Array) -> None:
    """Checks that dates in a table do not fall from one row of a series to the next."""
    for column in columns:
        if column.date_format is not None:
            times = dates(table, column.name, column.date_format).to_numpy()
            places = np.argsort(groups, kind="stable")
            falls = (np.diff(times[places]) < np.timedelta64(0)) & (np.diff(groups[places]) == 0)
            if falls.any():
                at = int(falls.argmax())
                raise DataError(
                    f"{table.path}: the rows of a series must be in the order of time, and column {column.name!r} has "
                    f"an earlier date in {table.row(int(places[at + 1]))} than in {table.row(int(places[at]))}; "
                    f"validation: {{time: {column.name}}} sorts them, series: {{group: COLUMN}} tells several series "
                    f"apart, drop: [{column.name}] leaves the order as it is"
                )


def _check_not_backwards(table: TableFile, spec: DatasetSpec, groups: Array) -> None:
    """Checks that columns of dates that are dropped do not say that the latest row comes first."""
    for name in spec.drop:
        try:
            kind, form = kind_of(table, name, spec)
            times = dates(table, name, form).to_numpy() if kind == "date" else None
        except DataError:
            # What is wrong with a column that is dropped is of no concern.
            continue
        if times is not None:
            places = np.argsort(groups, kind="stable")
            steps = np.diff(times[places])[np.diff(groups[places]) == 0]
            if len(steps) and (steps <= np.timedelta64(0)).all() and (steps < np.timedelta64(0)).any():
                raise DataError(
                    f"{table.path}: by column {name!r} the latest row comes first, and the rows of a series must be in "
                    f"the order of time; validation: {{time: {name}}} sorts them"
                )


def _narrow(x: Array) -> Array:
    """Features in float32, in half the room, where that changes none by more than a millionth of its column's range."""
    found = x.astype(np.float32)
    changed, span = np.abs(found - x).max(axis=0), np.ptp(x, axis=0)
    return found if (changed <= 1e-6 * span)[span > 0].all() else x


def _check_distinct(table: TableFile, time: str, times: Array, groups: Array, places: Array) -> None:
    """Checks that no two rows of one series have the same time."""
    same = (times[1:] == times[:-1]) & (groups[1:] == groups[:-1])
    if same.any():
        at = int(same.argmax())
        rows = " and ".join(table.row(int(place)) for place in sorted(places[at : at + 2]))
        raise DataError(
            f"{table.path}: column {time!r}: each row of a series must have a time of its own, and {rows} have the "
            "same; series: {group: COLUMN} tells several series in one table apart",
            ("dataset", "validation", "time"),
        )


@dataclass(frozen=True)
class SeriesSamples:
    """The windows of a table that are to be forecast from, each with the row that it ends in."""

    x: Array
    """Shape (n, window, features)."""
    ends: Mapping[str, Array]
    """Columns that say where each window ends: the group, and the time or the row of its last row; shape (n,)."""
    read: TableSamples


def read_windows(path: Path, info: DatasetInfo) -> SeriesSamples:
    """Reads all windows of a table for a model that was trained on windows of such columns, from each row on.

    Raises:
        DataError: it cannot be read, lacks a column or a value, or has fewer rows than one window.
    """
    windows = info.series
    assert windows is not None
    table, read = features_of_table(path, info)
    names = [str(name) for name in table.frame.columns]
    for name in (windows.group, windows.time):
        if name is not None and name not in names:
            rule = f"has no column {name!r}, by which the rows of the model's series are in order"
            raise DataError(f"{path}: {rule}; {nearest(name, names)}")
    groups = _groups(table, windows.group)
    formats = {windows.time: windows.time_format} if windows.time and windows.time_format else None
    given = {"name": "table", "validation": {"time": windows.time}, "dates": formats}
    times = column_to_split_by(table, DatasetSpec.model_validate(given))
    places = _in_order(table, info.columns, groups, windows.time, times)
    if (longest := longest_run(groups)) < windows.window:
        rule = f"needs {windows.window} rows of one series, the model's window"
        raise DataError(f"{path}: {rule}, and the longest has {longest}")
    last = places[windows.last_rows(groups[places])]
    ends = {name: table.frame[name].to_numpy()[last] for name in (windows.group, windows.time) if name is not None}
    if windows.time is None:
        ends["row"] = last
    return SeriesSamples(windows.inputs(read.features[places], groups[places]), ends, read)
