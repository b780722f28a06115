"""What the columns of a table are: numbers, texts that are categories, or dates; and their values as such."""

import re
from collections.abc import Sequence
from dataclasses import replace
from typing import TYPE_CHECKING

import numpy as np

from hpo.config.dataset import DatasetSpec
from hpo.data.column import Column
from hpo.data.dates import ISO, formats_of, has_hours, parsed
from hpo.data.table_file import MISSING, TableFile
from hpo.errors import DataError

if TYPE_CHECKING:
    import pandas as pd

_STRAY = 0.05
"""A column of numbers with fewer other values than this share has mistakes in it."""
_NUMBERS = ("boolean", "integer", "floating", "mixed-integer-float", "decimal")
_DATES = ("datetime64", "datetime", "date")


def columns_of(table: TableFile, names: Sequence[str], spec: DatasetSpec) -> tuple[Column, ...]:
    """What the columns of these names are.

    Raises:
        DataError: some cannot be learnt from; all of them are named.
    """
    found, problems, telling = [], [], []
    for name in names:
        try:
            column = _column(table, name, spec)
        except DataError as error:
            problems.append(str(error).removeprefix(f"{table.path}: "))
            continue
        found.append(column)
        if name not in spec.categorical and column.categories is not None and _tells_rows_apart(table, name, spec):
            telling.append(name)
    if telling:
        listed = ", ".join(telling)
        several = f"columns {listed}: have" if len(telling) > 1 else f"column {telling[0]!r}: has"
        rule = "another text in each row, from which nothing can be learnt"
        problems.append(f"{several} {rule}; drop: [{listed}], or text: COLUMN has a model read it")
    if problems:
        raise DataError(f"{table.path}: {'; '.join(problems)}")
    return tuple(found)


def _column(table: TableFile, name: str, spec: DatasetSpec) -> Column:
    kind, form = kind_of(table, name, spec)
    if kind == "number":
        values, column = numbers(table, name), Column(name)
    elif kind == "date":
        values = dates(table, name, form)
        column = Column(name, date_format=form, has_hours=has_hours(values))
    else:
        values = texts(table, name)
        column = _categories(table, name, values, spec)
    missing = values.isna().to_numpy()
    if missing.any() and (spec.missing == "refuse" or spec.series is not None):
        # What comes after a gap in a series would fill it.
        hint = "missing: impute fills them" if spec.series is None else f"fill in the table, or drop: [{name}]"
        raise DataError(
            f"{table.path}: column {name!r}: must have a value in every row, {int(missing.sum())} are missing, the "
            f"first in {table.row(int(missing.argmax()))}; {hint}"
        )
    return replace(column, may_miss=bool(missing.any()))


def _categories(table: TableFile, name: str, values: "pd.Series", spec: DatasetSpec) -> Column:
    if spec.categories == "hashing":
        return Column(name, (), hashed=spec.max_categories)
    categories = in_category_order(table, name, values)
    if spec.categories == "ordinal":
        return Column(name, categories, ordinal=True)
    if values.nunique() <= spec.max_categories:
        return Column(name, categories)
    counts = values.value_counts()
    frequent = set(sorted(counts.index, key=lambda one: (-counts[one], one))[: spec.max_categories])
    return Column(name, tuple(one for one in categories if one in frequent), has_other=True)


def in_category_order(table: TableFile, name: str, values: "pd.Series") -> tuple[str, ...]:
    """All texts of a column, without the empty one, in the order of categories: alphabetical, or as the file says."""
    original = table.frame[name]
    # A Parquet file may say the order of its categories.
    ordered = original if str(original.dtype) == "category" else values.dropna()
    return tuple(str(one) for one in ordered.astype("category").cat.categories if str(one))


def _tells_rows_apart(table: TableFile, name: str, spec: DatasetSpec) -> bool:
    values = table.frame[name].dropna()
    return len(values) > spec.max_categories and values.nunique() == len(values)


def identifiers(table: TableFile) -> list[str]:
    """Columns that tell rows apart and nothing about them: other texts in each row, and whole numbers called id."""
    found, spec = [], DatasetSpec(name="table")
    for name in map(str, table.frame.columns):
        try:
            kind, _ = kind_of(table, name, spec)
        except DataError:
            # Whoever reads the table says what is wrong with it.
            continue
        is_whole = table.frame[name].dtype.kind in "iu"
        called_id = re.fullmatch(r"(?:.*[_\s-])?(?:id|uuid|index|row)|Unnamed: 0", name, re.IGNORECASE) is not None
        called_id |= re.fullmatch(r".*[a-z]I[dD]", name) is not None
        if (kind == "text" or (is_whole and called_id)) and _tells_rows_apart(table, name, spec):
            found.append(name)
    return found


def kind_of(table: TableFile, name: str, spec: DatasetSpec) -> tuple[str, str | None]:
    """What a column is: `number`, `text`, or `date` and how it is written.

    Raises:
        DataError: it is none of these, or its dates or numbers cannot be told.
    """
    import pandas as pd

    place = f"{table.path}: column {name!r}"
    column = table.frame[name]
    inferred = pd.api.types.infer_dtype(column, skipna=True)
    if inferred == "empty" or column.isna().all():
        raise DataError(f"{place}: has no value; drop: [{name}]")
    if name in spec.categorical:
        return "text", None
    if name in (spec.dates or {}):
        return "date", (spec.dates or {})[name]
    if inferred in _NUMBERS:
        return "number", None
    if inferred in _DATES:
        return "date", ISO
    if inferred not in ("string", "categorical"):
        raise DataError(f"{place}: must hold numbers, truth values, texts or dates, got {inferred}; drop: [{name}]")
    if inferred == "categorical":
        return "text", None
    return _kind_of_texts(table, name)


def _kind_of_texts(table: TableFile, name: str) -> tuple[str, str | None]:
    import pandas as pd

    place = f"{table.path}: column {name!r}"
    values = table.frame[name].dropna()
    stripped = values.str.strip()
    told = stripped[~stripped.isin(MISSING)]
    forms = formats_of(told)
    if len(forms) > 1:
        raise DataError(
            f"{place}: day and month cannot be told apart, as in {told.iloc[0]}; set "
            f'dates: {{{name}: "{forms[0]}"}} or "{forms[1]}"'
        )
    if forms:
        return "date", forms[0]
    # In a Parquet file numbers are numbers.
    if table.text is None or not len(told) or told.str.match(r"0\d").any():
        return "text", None
    stray = pd.to_numeric(told, errors="coerce").isna()
    if not stray.any():
        return "number", None
    if stray.mean() < _STRAY:
        row = int(stray.index[stray][0])
        raise DataError(
            f"{place}: {table.row(row)} holds {values[row]!s:.40}, and all but {int(stray.sum())} of {len(told)} "
            f"values are numbers; correct it, or set categorical: [{name}]"
        )
    return "text", None


def numbers(table: TableFile, name: str) -> "pd.Series":
    """A column as float64, NaN where missing.

    Raises:
        DataError: it holds something else, or numbers too large for float32.
    """
    import pandas as pd

    column = table.frame[name]
    if column.dtype.kind not in "biuf":
        plain = column.where(~column.astype(str).str.strip().isin(MISSING))
        converted = pd.to_numeric(plain.astype(object).map(_plain_number, na_action="ignore"), errors="coerce")
        wrong = (converted.isna() & plain.notna()).to_numpy()
        if wrong.any():
            row = int(wrong.argmax())
            raise DataError(
                f"{table.path}: column {name!r}: must hold numbers, {table.row(row)} holds {column.iloc[row]!s:.40}"
            )
        column = converted
    values = column.astype(np.float64)
    infinite = (values.abs() > np.finfo(np.float32).max).to_numpy()
    if infinite.any():
        row = int(infinite.argmax())
        raise DataError(
            f"{table.path}: column {name!r}: all values must be finite numbers (in float32), got "
            f"{int(infinite.sum())} that are not, the first in {table.row(row)}"
        )
    return values


def _plain_number(value: object) -> object:
    return float(value) if isinstance(value, bool) else value


def dates(table: TableFile, name: str, form: str | None) -> "pd.Series":
    """A column as times without a zone, NaT where missing.

    Raises:
        DataError: it holds something else, or dates of another format.
    """
    import pandas as pd

    column = table.frame[name]
    if pd.api.types.infer_dtype(column, skipna=True) in _DATES:
        return pd.to_datetime(column, utc=True).dt.tz_localize(None)
    plain = column.astype(object).map(str, na_action="ignore")
    plain = plain.where(~plain.isin(MISSING))
    times = parsed(plain, form or ISO)
    wrong = (times.isna() & plain.notna()).to_numpy()
    if wrong.any():
        row, how = int(wrong.argmax()), "such as 2024-01-31" if form in (None, ISO) else f"written as {form}"
        raise DataError(
            f"{table.path}: column {name!r}: must hold dates {how}, {table.row(row)} holds {column.iloc[row]!s:.40}"
        )
    return times


def without_tokens(values: "pd.Series") -> "pd.Series":
    """Texts of which those that stand for a missing number are NaN, if all others are numbers."""
    import pandas as pd

    told = values.where(~values.str.strip().isin(MISSING))
    numbered = bool(told.notna().any()) and bool(pd.to_numeric(told.dropna(), errors="coerce").notna().all())
    return told if numbered else values


def texts(table: TableFile, name: str) -> "pd.Series":
    """A column as texts, NaN where missing or empty."""
    column = table.frame[name]
    plain = column.astype(object).map(str, na_action="ignore")
    return plain.where(plain != "")
