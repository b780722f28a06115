"""Tables: .csv and .parquet files with a column to predict."""

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from hpo.config.dataset import DatasetSpec
from hpo.data.dataset import Array, Column
from hpo.data.source_data import RawDataset, RawPart, Values
from hpo.errors import DataError, nearest

if TYPE_CHECKING:
    import pandas as pd

_MOST_CATEGORIES = 20
"""A column of names with more distinct ones than this is an identifier or a text, and no category."""


def read_table(path: Path, spec: DatasetSpec) -> RawDataset:
    """Reads a .csv or .parquet file; `target` names the column to predict, all others are features.

    Columns of numbers stay as they are, truth values become 0 and 1, and columns of at most 20 names are
    one-hot encoded.

    Raises:
        DataError: it cannot be read, the target is not among its columns, a value is missing, or a column
            holds what is neither number, truth value nor one of a few names.
    """
    frame, target, by = _read(path), spec.target, spec.validation.column
    names = [str(name) for name in frame.columns]
    frame.columns = names
    if target is None:
        raise DataError(f"{path}: a table needs target:, the column to predict; columns: {', '.join(names)}")
    if target not in names:
        raise DataError(f"{path}: has no column {target!r}; {nearest(target, names)}")
    if len(names) < 2:
        raise DataError(f"{path}: needs columns besides {target!r} to predict it from, has none")
    if path.suffix == ".csv" and names[0] == "Unnamed: 0":
        raise DataError(
            f"{path}: its first column has no name; if it is the row number that pandas adds, "
            "write the file with to_csv(index=False), else name it"
        )
    frame = _complete(path, frame)
    split_by = None
    if by is not None:
        if by not in names:
            raise DataError(f"{path}: has no column {by!r}; {nearest(by, names)}", _key_of_by(spec))
        split_by = _groups(frame[by]) if spec.validation.group is not None else _times(path, frame[by])
    features = frame.drop(columns=[target] if by is None or spec.validation.as_input else [target, by])
    columns = columns_of(path, features)
    x = Values(encode(path, features, columns), str(path))
    y = Values(_targets(path, frame[target]), f"{path}: column {target!r}")
    return RawDataset(str(path), RawPart(x, y), is_table=True, columns=columns, split_by=split_by)


def _key_of_by(spec: DatasetSpec) -> tuple[str, ...]:
    return ("dataset", "validation", "time" if spec.validation.group is None else "group")


def _groups(column: "pd.Series") -> Array:
    """A number for each distinct value."""
    codes, _ = column.factorize(sort=True)
    return np.asarray(codes)


def _times(path: Path, column: "pd.Series") -> Array:
    """Times as numbers or `datetime64`, which NumPy sorts.

    Raises:
        DataError: the column holds neither numbers nor dates.
    """
    import pandas as pd

    if column.dtype.kind in "iufM":
        return column.to_numpy()
    try:
        return pd.to_datetime(column, format="ISO8601").to_numpy()
    except (ValueError, TypeError) as error:
        raise DataError(
            f"{path}: column {column.name!r}: times must be numbers or dates such as 2024-01-31: {error}",
            ("dataset", "validation", "time"),
        ) from None


def read_features(path: Path, columns: Sequence[Column]) -> tuple[Array, list[str]]:
    """Reads the features of a table for a model that was trained on such columns.

    Columns are found by name, in any order. Returns the features, shape (rows, features), and the names of
    columns that are not among them, the target's for one.

    Raises:
        DataError: it cannot be read, a column is missing, or holds what the training data did not.
    """
    frame = _read(path)
    frame.columns = [str(name) for name in frame.columns]
    wanted = [column.name for column in columns]
    if missing := [name for name in wanted if name not in frame.columns]:
        others = [name for name in frame.columns if name not in wanted]
        raise DataError(
            f"{path}: the model was trained on columns {', '.join(wanted)}; missing: {', '.join(missing)}; "
            + (f"{missing[0]}: {nearest(missing[0], others)}" if others else "the file has no others")
        )
    repeated = frame.columns[frame.columns.duplicated()].unique()
    if len(repeated):
        raise DataError(f"{path}: each column must have a name of its own, and there are several {', '.join(repeated)}")
    if not len(frame):
        raise DataError(f"{path}: must have at least one row, has none")
    ignored = [name for name in frame.columns if name not in wanted]
    return encode(path, _complete(path, frame[wanted]), columns), ignored


def _complete(path: Path, frame: "pd.DataFrame") -> "pd.DataFrame":
    for name in frame.columns:
        missing = frame[name].isna().to_numpy()
        if missing.any():
            raise DataError(
                f"{path}: column {name!r}: must have a value in every row, {int(missing.sum())} are missing "
                f"(empty or NaN), the first in row {int(missing.argmax())} (counted from 0)"
            )
    return frame


def _read(path: Path) -> "pd.DataFrame":
    import pandas as pd

    try:
        # In one go, so that a column has one type throughout.
        return pd.read_csv(path, low_memory=False) if path.suffix == ".csv" else pd.read_parquet(path)
    except (OSError, ValueError) as error:  # the errors of pandas and pyarrow are ValueErrors
        raise DataError(f"{path}: cannot be read as {path.suffix}: {error}") from None


def columns_of(path: Path, frame: "pd.DataFrame") -> tuple[Column, ...]:
    """The columns of a table's features, and the categories of those that hold names.

    Raises:
        DataError: a column holds what is neither number, truth value nor one of a few names.
    """
    columns = []
    for name in frame.columns:
        categories = None
        if _kind(path, frame[name]) == "names":
            distinct = frame[name].nunique()
            if distinct > _MOST_CATEGORIES:
                raise DataError(
                    f"{path}: column {name!r}: a column of names may have at most {_MOST_CATEGORIES} different "
                    f"ones, got {distinct}, such as {frame[name].iloc[0]!s:.40}; leave it out or encode it"
                )
            categories = tuple(str(one) for one in frame[name].astype("category").cat.categories)
        columns.append(Column(name, categories))
    return tuple(columns)


def encode(path: Path, frame: "pd.DataFrame", columns: Sequence[Column]) -> Array:
    """A table's features as numbers, shape (rows, features), float64, in the order of `DatasetInfo.feature_names`.

    Raises:
        DataError: a column of numbers holds names, or one of names holds others than its categories.
    """
    import pandas as pd

    frame, named = frame.copy(), []
    for column in columns:
        kind = _kind(path, frame[column.name])
        if column.categories is None:
            if kind == "names":
                got = f"{frame[column.name].iloc[0]!s:.40}"
                raise DataError(f"{path}: column {column.name!r}: must hold numbers, holds names, such as {got}")
            continue
        values = frame[column.name].astype(str)
        unknown = ~values.isin(column.categories).to_numpy()
        if unknown.any():
            raise DataError(
                f"{path}: column {column.name!r}: must hold one of {', '.join(column.categories)}, got "
                f"{values.iloc[int(unknown.argmax())]!s:.40} in row {int(unknown.argmax())} (counted from 0)"
            )
        frame[column.name] = pd.Categorical(values, categories=list(column.categories))
        named.append(column.name)
    if named:
        frame = pd.get_dummies(frame, columns=named)
    return frame.to_numpy(dtype=np.float64)


def _targets(path: Path, column: "pd.Series") -> Array:
    kind = _kind(path, column)
    if kind == "names":
        return column.astype(str).to_numpy(dtype=np.str_)
    return column.to_numpy(dtype={"booleans": np.bool_, "integers": np.int64, "fractions": np.float64}[kind])


def _kind(path: Path, column: "pd.Series") -> str:
    import pandas as pd

    kinds = {
        "string": "names",
        "categorical": "names",
        "boolean": "booleans",
        "integer": "integers",
        "floating": "fractions",
        "mixed-integer-float": "fractions",
    }
    inferred = pd.api.types.infer_dtype(column)
    if inferred not in kinds:
        raise DataError(
            f"{path}: column {column.name!r}: must hold numbers, truth values or names, got {inferred}; "
            "leave it out or turn it into numbers"
        )
    return kinds[inferred]
