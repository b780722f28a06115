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
from hpo.data.table_file import Format, TableFile, read_table_file
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
    table = read_table_file(path, Format(spec.separator, spec.decimal, spec.encoding), spec.categorical)
    names, target, by = [str(name) for name in table.frame.columns], spec.target, spec.validation.column
    if target is None:
        raise DataError(f"{path}: a table needs target:, the column to predict; columns: {', '.join(names)}")
    if target not in names:
        raise DataError(f"{path}: has no column {target!r}; {nearest(target, names)}", ("dataset", "target"))
    _check_named(path, names, spec)
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
    y = Values(_targets(table, target, target in spec.categorical), f"{path}: column {target!r}")
    notes = (*table.notes, *_notes(encoded, columns))
    part = RawPart(Values(encoded.features, str(path)), y, _weights(table, spec))
    raw = RawColumns(columns, _texts(table, columns), spec.max_categories)
    return RawDataset(str(path), part, is_table=True, columns=raw, split_by=_split_by(table, spec), notes=notes)


def _texts(table: TableFile, columns: Sequence[Column]) -> dict[str, Texts]:
    import pandas as pd

    found = {}
    for column in columns:
        if column.categories is not None and not column.hashed:
            values = texts(table, column.name)
            known = in_category_order(table, column.name, values)
            found[column.name] = Texts(known, np.asarray(pd.Categorical(values, categories=known).codes, np.int32))
    return found


def _check_named(path: Path, names: Sequence[str], spec: DatasetSpec) -> None:
    keys: Mapping[tuple[str, ...], Sequence[str]] = {
        ("drop",): spec.drop,
        ("weights",): [] if spec.weights is None else [spec.weights],
        ("categorical",): spec.categorical,
        ("dates",): tuple(spec.dates or ()),
        ("validation", "time" if spec.validation.group is None else "group"): [
            spec.validation.column or spec.target or ""
        ],
    }
    for key, wanted in keys.items():
        for name in wanted:
            if name not in names:
                raise DataError(f"{path}: has no column {name!r}; {nearest(name, names)}", ("dataset", *key))
    if spec.weights == spec.target:
        raise DataError(f"{path}: {spec.target} is the target, and cannot be the weights", ("dataset", "weights"))
    if spec.target in spec.drop:
        raise DataError(f"{path}: {spec.target} is the target, which cannot be dropped", ("dataset", "drop"))


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


def _split_by(table: TableFile, spec: DatasetSpec) -> Array | None:
    """A number for each group, or the time of each row as a number or `datetime64`; None where rows are drawn."""
    by = spec.validation.column
    if by is None:
        return None
    place = f"{table.path}: column {by!r}"
    if spec.validation.group is not None:
        _check_complete(table, by, table.frame[by])
        codes, _ = table.frame[by].factorize(sort=True)
        return np.asarray(codes)
    kind, form = kind_of(table, by, spec)
    if kind == "text":
        example = f"{table.frame[by].iloc[0]!s:.40}"
        raise DataError(
            f"{place}: times must be numbers or dates such as 2024-01-31, got {example}; dates: says how dates are "
            "written",
            ("dataset", "validation", "time"),
        )
    values = numbers(table, by) if kind == "number" else dates(table, by, form)
    _check_complete(table, by, values)
    return np.asarray(values.to_numpy())


def _weights(table: TableFile, spec: DatasetSpec) -> Values | None:
    if spec.weights is None:
        return None
    kind, _ = kind_of(table, spec.weights, spec)
    place = f"{table.path}: column {spec.weights!r}"
    if kind != "number":
        example = f"{table.frame[spec.weights].iloc[0]!s:.40}"
        raise DataError(f"{place}: weights must be numbers, got {example}", ("dataset", "weights"))
    values = numbers(table, spec.weights)
    _check_complete(table, spec.weights, values)
    return Values(values.to_numpy(dtype=np.float32), place)


def _check_complete(table: TableFile, by: str, values: "pd.Series") -> None:
    missing = values.isna().to_numpy()
    if missing.any():
        row = table.row(int(missing.argmax()))
        raise DataError(f"{table.path}: column {by!r}: must have a value in every row, {row} has none")


def _targets(table: TableFile, target: str, is_text: bool) -> Array:
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
    return TableSamples(filled(features, info.fill), encoded.columns, ignored, notes)


def _told_of(encoded: Encoded, columns: Sequence[Column]) -> Iterator[str]:
    for name, count in encoded.missing.items():
        values = "1 missing value is" if count == 1 else f"{count} missing values are"
        yield f"column {name}: {values} filled as in training"
    others = {column.name for column in columns if column.has_other}
    for name, (count, first) in encoded.unknown.items():
        counts_as = "it counts as other" if name in others else "it counts as none of its categories"
        rows = "1 row holds" if count == 1 else f"{count} rows hold"
        yield f"column {name}: {rows} a text that is no category, such as {first}: {counts_as}"
