"""A table as lines of a plain script: how it is read, and how its columns become features."""

from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Any

import numpy as np

from hpo.config.dataset import DatasetSpec
from hpo.data.column import Column, in_order
from hpo.data.dataset import DatasetInfo
from hpo.data.table_columns import kind_of
from hpo.data.table_file import TableFile, table_of

_KINDS: Mapping[str, Callable[[Column], bool]] = {
    "numbers": lambda column: column.is_number,
    "dates": lambda column: column.date_format is not None,
    "hashes": lambda column: bool(column.hashed),
    "categories": lambda column: column.categories is not None and not column.hashed,
}


def table_values(spec: DatasetSpec, info: DatasetInfo, path: Path) -> dict[str, Any]:
    """Name in the template -> value."""
    file = table_of(path, spec)
    texts = [column.name for column in info.columns if not column.is_number]
    texts += [name for name in spec.targets if file.frame[name].dtype.kind not in "biuf"]
    if (group := spec.validation.group) is not None and file.frame[group].dtype.kind not in "biufM":
        # Codes with leading zeros are in another order than the numbers that pandas makes of them.
        texts.append(group)
    fill = None
    if info.fill is not None and (info.unused or any(column.may_miss for column in info.columns)):
        fill = np.round(info.fill, 12).tolist()
    return {
        "read": _read(file.text is not None, file.options, texts),
        "columns": list(_columns(info, file.text is not None)),
        "missing": [place for place, column in _places(info) if column.may_miss],
        "fill": fill,
        "unused": info.unused,
        "by": _by(file, spec),
        "uses": {kind: any(map(is_kind, info.columns)) for kind, is_kind in _KINDS.items()},
        "has_text": file.text is not None,
        # Those beside a text such as NA are left to be read.
        "decimal_comma": file.options.get("decimal") == ",",
    }


def _places(info: DatasetInfo) -> Iterator[tuple[int, Column]]:
    """The place of the first feature of each column."""
    place = 0
    for column in in_order(info.columns):
        yield place, column
        place += len(column.features)


def _read(is_text: bool, options: Mapping[str, str], texts: list[str]) -> str:
    if not is_text:
        return "pd.read_parquet(DATA)"
    given = "".join(f", {name}={value!r}" for name, value in options.items())
    typed = f", dtype={dict.fromkeys(texts, 'str')!r}" if texts else ""
    return f"pd.read_csv(DATA, low_memory=False, keep_default_na=False, na_values=['']{given}{typed})"


def _columns(info: DatasetInfo, is_text: bool) -> Iterator[str]:
    """An expression for each block of features, shape (n, features), NaN where a value is missing."""
    columns = in_order(info.columns)
    numbers = [column.name for column in columns if column.is_number]
    if numbers:
        yield f"as_numbers(table[{numbers!r}])"
    for column in columns:
        if column.date_format is not None:
            yield f"date_features(table[{column.name!r}], {column.date_format!r}, hours={column.has_hours})"
        elif not column.is_number:
            yield _category(column, is_text)


def _category(column: Column, is_text: bool) -> str:
    table = f"table[{column.name!r}]" if is_text else f"as_texts(table[{column.name!r}])"
    if column.hashed:
        return f"hashed({table}, {column.hashed})"
    return (
        f"by_category({table}, {list(column.categories or ())!r}, ordinal={column.ordinal}, other={column.has_other})"
    )


def _by(file: TableFile, spec: DatasetSpec) -> str | None:
    """An expression for the values by which the parts are divided; None where they are drawn at random."""
    if not spec.shuffle:
        return "np.arange(len(table))"
    name = spec.validation.column
    if name is None:
        return None
    if spec.validation.group is not None:
        return f"table[{name!r}].factorize(sort=True)[0]"
    kind, form = kind_of(file, name, spec)
    column = f"table[{name!r}]"
    return f"{column}.to_numpy()" if kind == "number" else f"pd.to_datetime({column}, format={form!r}).to_numpy()"
