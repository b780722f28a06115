"""Tables with a column to predict: .csv and .tsv files, also gzipped, and Parquet."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from hpo.config.dataset import DatasetSpec
from hpo.data.column import Column
from hpo.data.dataset import Array, DatasetInfo
from hpo.data.source_data import RawDataset, RawPart, Values
from hpo.data.table_columns import columns_of, dates, in_category_order, kind_of, numbers, texts, without_tokens
from hpo.data.table_features import Encoded, encode, filled
from hpo.data.table_file import Format, TableFile, read_table_file, table_of
from hpo.data.training_columns import RawColumns, Texts
from hpo.errors import DataError, nearest

if TYPE_CHECKING:
    import pandas as pd


@dataclass(frozen=True)
class TableSamples:
    """The rows of a table for a model that was trained on such columns."""

    features: Array
    """Shape (rows, features), nothing missing."""
    columns: Mapping[str, Array]
    """As `Encoded.columns`."""
    ignored: Sequence[str]
    """Columns that are not among those of the model, the target's for one."""
    notes: Sequence[str]
    """What was missing or unknown, and what was told from the file."""


def read_table(path: Path, spec: DatasetSpec) -> RawDataset:
    """Reads a table; `target` names the column to predict, and all others that are not dropped are features.

    Numbers stay as they are, truth values become 0 and 1, texts categories, dates several numbers. Features are NaN
    where a value is missing.

    Raises:
        DataError: it cannot be read, lacks a column that the section names, or has one that cannot be learnt from.
    """
    table = table_of(path, spec)
    names, by = [str(name) for name in table.frame.columns], spec.validation.column
    check_named(path, names, spec)
    target = spec.targets[0]
    if target in spec.drop:
        raise DataError(f"{path}: {target} is the target, which cannot be dropped", ("dataset", "drop"))
    if spec.text is not None:
        return _of_texts(table, spec, spec.text)
    left_out = {target, spec.weights, *spec.drop, *([by] if by is not None and not spec.validation.as_input else [])}
    inputs = [name for name in names if name not in left_out]
    if not inputs:
        raise DataError(f"{path}: needs columns besides {target!r} to predict it from, has none")
    if table.text is not None and inputs[0] == names[0] == "Unnamed: 0":
        raise DataError(
            f"{path}: its first column has no name; if it is the row number that pandas adds, write the file with "
            'to_csv(index=False), or set drop: ["Unnamed: 0"]; else name it'
        )
    columns = columns_of(table, inputs, spec)
    encoded = encode(table, columns)
    y = Values(target_values(table, target, target in spec.categorical), f"{path}: column {target!r}")
    notes = (*table.notes, *_notes(encoded, columns))
    part = RawPart(Values(encoded.features, str(path)), y, _weights(table, spec))
    raw = RawColumns(columns, texts_of(table, columns), spec.max_categories)
    return RawDataset(
        str(path), part, is_table=True, columns=raw, split_by=column_to_split_by(table, spec), notes=notes
    )


def _of_texts(table: TableFile, spec: DatasetSpec, name: str) -> RawDataset:
    """A table of which one column is the only input."""
    target = spec.targets[0]
    for key, other in (("target", target), ("weights", spec.weights)):
        if other == name:
            raise DataError(f"{table.path}: column {name!r} cannot be the text and the {key}", ("dataset", "text"))
    values = texts(table, name)
    check_complete(table, name, values)
    y = Values(target_values(table, target, target in spec.categorical), f"{table.path}: column {target!r}")
    x = Values(values.to_numpy(dtype=object), f"{table.path}: column {name!r}")
    part, by = RawPart(x, y, _weights(table, spec)), column_to_split_by(table, spec)
    return RawDataset(str(table.path), part, is_table=True, split_by=by, notes=table.notes)


def texts_of(table: TableFile, columns: Sequence[Column]) -> dict[str, Texts]:
    """The texts of the columns that have categories."""
    import pandas as pd

    found = {}
    for column in columns:
        if column.categories is not None and not column.hashed:
            values = texts(table, column.name)
            known = in_category_order(table, column.name, values)
            found[column.name] = Texts(known, np.asarray(pd.Categorical(values, categories=known).codes, np.int32))
    return found


def check_named(path: Path, names: Sequence[str], spec: DatasetSpec) -> None:
    """Checks that a table has the columns that its section names, the target for one.

    Raises:
        DataError: it lacks one, or one is named for two purposes.
    """
    if not spec.targets:
        rule = f"{path}: a table needs target:, the column to predict; columns: {', '.join(names)}"
        raise DataError(rule, () if spec.series is None else ("dataset", "series"))
    keys: Mapping[tuple[str, ...], Sequence[str | None]] = {
        ("target",): spec.targets,
        ("text",): [spec.text],
        ("drop",): spec.drop,
        ("weights",): [spec.weights],
        ("categorical",): spec.categorical,
        ("dates",): tuple(spec.dates or ()),
        ("validation", "time" if spec.validation.group is None else "group"): [spec.validation.column],
        ("series", "group"): [spec.series.group if spec.series else None],
    }
    for key, wanted in keys.items():
        for name in wanted:
            if name is not None and name not in names:
                raise DataError(f"{path}: has no column {name!r}; {nearest(name, names)}", ("dataset", *key))
    if spec.weights in spec.targets:
        raise DataError(f"{path}: {spec.weights} is the target, and cannot be the weights", ("dataset", "weights"))


def _notes(encoded: Encoded, columns: Sequence[Column]) -> Iterator[str]:
    """What was decided about columns that the section does not say."""
    if encoded.missing:
        counts = ", ".join(f"{name} {count}" for name, count in encoded.missing.items())
        yield (
            f"values are missing ({counts}): numbers and dates are filled with the median of the training part, texts "
            "with its most frequent one, and an input says where if that part lacks any; dataset.missing: refuse "
            "refuses them"
        )
    for column in columns:
        if column.has_other:
            count = len(column.categories or ())
            yield (
                f"column {column.name} holds more than {count} texts: the {count} most frequent of the training part "
                "are categories, all others one more; dataset.max_categories or categories say otherwise"
            )
    dated = [column.name for column in columns if column.date_format is not None]
    if dated:
        yield f"dates in {', '.join(dated)} become days, year, month, day and weekday; dataset.categorical keeps texts"


def column_to_split_by(table: TableFile, spec: DatasetSpec) -> Array | None:
    """A number for each group, or the time of each row as a number or `datetime64`; None where rows are drawn.

    Raises:
        DataError: a value is missing, or is no time.
    """
    by = spec.validation.column
    if by is None:
        return None
    place = f"{table.path}: column {by!r}"
    if spec.validation.group is not None:
        return group_numbers(table, by)
    kind, form = kind_of(table, by, spec)
    if kind == "text":
        example = f"{table.frame[by].iloc[0]!s:.40}"
        raise DataError(
            f"{place}: times must be numbers or dates such as 2024-01-31, got {example}; dates: says how dates are "
            "written",
            ("dataset", "validation", "time"),
        )
    values = numbers(table, by) if kind == "number" else dates(table, by, form)
    check_complete(table, by, values)
    return np.asarray(values.to_numpy())


def group_numbers(table: TableFile, name: str) -> Array:
    """A number for each row, the same for all rows with one value in a column; shape (rows,).

    Raises:
        DataError: a value is missing.
    """
    check_complete(table, name, table.frame[name])
    codes, _ = table.frame[name].factorize(sort=True)
    return np.asarray(codes)


def _weights(table: TableFile, spec: DatasetSpec) -> Values | None:
    if spec.weights is None:
        return None
    kind, _ = kind_of(table, spec.weights, spec)
    place = f"{table.path}: column {spec.weights!r}"
    if kind != "number":
        example = f"{table.frame[spec.weights].iloc[0]!s:.40}"
        raise DataError(f"{place}: weights must be numbers, got {example}", ("dataset", "weights"))
    values = numbers(table, spec.weights)
    check_complete(table, spec.weights, values)
    return Values(values.to_numpy(dtype=np.float32), place)


def check_complete(table: TableFile, by: str, values: "pd.Series") -> None:
    """Raises DataError if a value of the column is missing."""
    missing = values.isna().to_numpy()
    if missing.any():
        row = table.row(int(missing.argmax()))
        raise DataError(f"{table.path}: column {by!r}: must have a value in every row, {row} has none")


def target_values(table: TableFile, target: str, is_text: bool) -> Array:
    """The column to predict, shape (rows,): numbers, truth values, or texts where `is_text` or the column says so.

    Raises:
        DataError: a value is missing, or of another type.
    """
    import pandas as pd

    column, place = table.frame[target], f"{table.path}: column {target!r}"
    inferred = pd.api.types.infer_dtype(column, skipna=True)
    plain = {"boolean": np.bool_, "integer": np.int64, "floating": np.float64, "mixed-integer-float": np.float64}
    values = texts(table, target) if inferred in ("string", "categorical") else column
    if inferred == "string" and not is_text:
        values = without_tokens(values)
    missing = values.isna().to_numpy()
    if missing.any():
        raise DataError(
            f"{place}: must have a value in every row, {int(missing.sum())} are missing, the first in "
            f"{table.row(int(missing.argmax()))}; what is to be predicted is not filled"
        )
    if inferred in ("string", "categorical"):
        return values.to_numpy(dtype=np.str_)
    if inferred not in plain:
        raise DataError(f"{place}: a target must hold numbers, truth values or texts, got {inferred}")
    return column.to_numpy(dtype=plain[inferred])


def read_features(path: Path, info: DatasetInfo) -> TableSamples:
    """Reads the features of a table for a model that was trained on such columns, which are found by name.

    Texts that are none of a column's categories are no mistake: they count as other, or as none.

    Raises:
        DataError: it cannot be read, a column is missing, holds what it did not in training, or lacks values that the
            model cannot fill.
    """
    return features_of_table(path, info)[1]


def features_of_table(path: Path, info: DatasetInfo) -> tuple[TableFile, TableSamples]:
    """As `read_features`, and the table as it was read."""
    columns, wanted = info.columns, [column.name for column in info.columns]
    as_text = [column.name for column in columns if not column.is_number]
    table = read_table_file(path, Format(**info.table_format), as_text)
    names = [str(name) for name in table.frame.columns]
    if missing := [name for name in wanted if name not in names]:
        others = [name for name in names if name not in wanted]
        raise DataError(
            f"{path}: the model was trained on columns {', '.join(wanted)}; missing: {', '.join(missing)}; "
            + (f"{missing[0]}: {nearest(missing[0], others)}" if others else "the file has no others")
        )
    repeated = table.frame.columns[table.frame.columns.duplicated()].unique()
    if len(repeated):
        raise DataError(f"{path}: each column must have a name of its own, and there are several {', '.join(repeated)}")
    if not len(table.frame):
        raise DataError(f"{path}: must have at least one row, has none")
    encoded = encode(table, columns)
    if encoded.missing and info.fill is None:
        name, count = next(iter(encoded.missing.items()))
        row = int(table.frame[name].isna().to_numpy().argmax())
        rule = f"must have a value in every row, {count} are missing, the first in {table.row(row)}"
        raise DataError(f"{path}: column {name!r}: {rule}")
    ignored = [name for name in names if name not in wanted]
    notes = [*table.notes, *_told_of(encoded, columns)]
    features = np.pad(encoded.features, ((0, 0), (0, info.unused)))
    return table, TableSamples(filled(features, info.fill), encoded.columns, ignored, notes)


def _told_of(encoded: Encoded, columns: Sequence[Column]) -> Iterator[str]:
    for name, count in encoded.missing.items():
        values = "1 missing value is" if count == 1 else f"{count} missing values are"
        yield f"column {name}: {values} filled as in training"
    others = {column.name for column in columns if column.has_other}
    for name, (count, first) in encoded.unknown.items():
        counts_as = "it counts as other" if name in others else "it counts as none of its categories"
        rows = "1 row holds" if count == 1 else f"{count} rows hold"
        yield f"column {name}: {rows} a text that is no category, such as {first}: {counts_as}"
