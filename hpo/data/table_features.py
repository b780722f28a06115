"""A table's columns as the numbers that a model learns from, and as what a saved model takes."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from hpo.data.column import Column, in_order
from hpo.data.dataset import Array
from hpo.data.dates import canonical, date_features
from hpo.data.table_columns import dates, numbers, texts
from hpo.data.table_file import TableFile


@dataclass(frozen=True)
class Encoded:
    """The columns of a table, encoded."""

    features: Array
    """Shape (rows, features), float64, in the order of `DatasetInfo.feature_names`; NaN where a value is missing."""
    columns: dict[str, Array]
    """What a saved model takes, if it takes columns: name -> shape (rows,). Numbers are float64 and missing ones NaN;
    categories, and dates such as `2024-01-31 00:00:00`, are texts (Python objects), and missing ones empty."""
    missing: dict[str, int]
    """Column -> how many of its values are missing."""
    unknown: dict[str, tuple[int, str]]
    """Column -> how many of its texts are none of its categories, and the first of them."""


def encode(table: TableFile, columns: Sequence[Column]) -> Encoded:
    """A table as numbers.

    Raises:
        DataError: a column holds what it did not in training: texts in place of numbers or dates.
    """
    blocks, indicators, named = [], [], {}
    missing, unknown = {}, {}
    for column in in_order(columns):
        if column.is_number:
            values = numbers(table, column.name)
            plain = values.to_numpy()
            block = plain[:, np.newaxis]
        elif column.date_format is not None:
            values = dates(table, column.name, column.date_format)
            block, plain = date_features(values, column.has_hours), canonical(values).to_numpy(dtype=object)
        else:
            values = texts(table, column.name)
            known = values.isin(column.categories or ()).to_numpy() | values.isna().to_numpy() | bool(column.hashed)
            if not known.all():
                unknown[column.name] = (int((~known).sum()), str(values.iloc[int(known.argmin())]))
            plain = values.fillna("").to_numpy(dtype=object)
            block = category_features(plain, column)
        is_missing = values.isna().to_numpy()
        block = np.where(is_missing[:, np.newaxis], np.nan, block)
        if is_missing.any():
            missing[column.name] = int(is_missing.sum())
        if column.may_miss:
            indicators.append(is_missing[:, np.newaxis])
        blocks.append(block)
        named[column.name] = plain
    return Encoded(np.concatenate([*blocks, *indicators], axis=1, dtype=np.float64), named, missing, unknown)


def category_features(values: Array, column: Column) -> Array:
    """Texts as features, shape (n, features): of hashed ones, or of those in a list of categories."""
    if column.hashed:
        import keras

        codes = keras.ops.convert_to_numpy(keras.layers.Hashing(column.hashed)(values.tolist()))
        hashed: Array = np.eye(column.hashed)[codes]
        return hashed
    assert column.categories is not None
    place = {name: number for number, name in enumerate(column.categories)}
    codes = np.array([place.get(one, len(place)) for one in values], int)
    known: Array = table_of_codes(column)[codes]
    return known


def table_of_codes(column: Column) -> Array:
    """The features of each category, and last those of any other text, shape (categories + 1, features)."""
    count = len(column.categories or ())
    if column.ordinal:
        return np.arange(count + 1, dtype=float)[:, np.newaxis]
    return np.eye(count + 1)[:, : len(column.features)]


def fitted_fill(features: Array, columns: Sequence[Column]) -> tuple[float, ...]:
    """What stands for a missing value in each feature, by scikit-learn's SimpleImputer.

    Of numbers and dates the median, of categories the most frequent one. `features`, shape (n, features), are those of
    the training part, NaN where missing.
    """
    fill: list[float] = []
    place = 0
    for column in in_order(columns):
        block = features[:, place : place + len(column.features)]
        place += len(column.features)
        told = block[~np.isnan(block[:, 0])]
        if not len(told):
            fill += [0.0] * block.shape[1]
        elif column.categories is None:
            fill += np.median(told, axis=0).tolist()
        else:
            rows, counts = np.unique(told, axis=0, return_counts=True)
            fill += rows[counts.argmax()].tolist()
    return (*fill, *[0.0] * (features.shape[1] - place))


def filled(features: Array, fill: Sequence[float] | None) -> Array:
    """The features, shape (n, features), with what stands for missing values."""
    return features if fill is None or not np.isnan(features).any() else np.where(np.isnan(features), fill, features)
