"""The columns of a table as inputs of a saved model: texts, dates and missing values become features within it.

What `hpo.data.table_features` does with NumPy and pandas before training, here by Keras's layers and operations alone,
so that the file loads anywhere in Keras's safe mode.
"""

import keras
import numpy as np
from keras import KerasTensor, layers, ops

from hpo.data.column import Column, in_order
from hpo.data.dataset import DatasetInfo
from hpo.data.table_features import table_of_codes

OF_COLUMNS = "of_columns"
"""The name of a saved model that takes columns. Its last layer takes features."""
_DATE_LENGTH = len("2024-01-31 09:30:00")


def input_name(column: str) -> str:
    """The name of a column's input: its own, without the slash that Keras does not allow."""
    return column.replace("/", "_")


def features_of_columns(info: DatasetInfo) -> keras.Model:
    """A model from the columns, each of shape (n, 1), to the features, shape (n, features), float64, unscaled.

    Numbers are float64, NaN where missing; categories, and dates such as `2024-01-31 09:30:00`, are texts, empty where
    missing. Of a date the time may be left out.
    """
    inputs, blocks, indicators = {}, [], []
    start = 0
    for column in in_order(info.columns):
        name = input_name(column.name)
        inputs[name] = keras.Input((1,), dtype="float64" if column.is_number else "string", name=name)
        block, missing = _features(inputs[name], column)
        width = len(column.features)
        if info.fill is not None:
            fill = np.array([info.fill[start : start + width]])
            block = ops.where(missing, ops.convert_to_tensor(fill, "float64"), block)
        start += width
        blocks.append(block)
        if column.may_miss:
            indicators.append(ops.cast(missing, "float64"))
    parts = [*blocks, *indicators]
    if info.unused:
        nothing = ops.zeros_like(ops.cast(missing, "float64"))
        parts.append(ops.repeat(nothing, info.unused, axis=1))
    features = layers.Concatenate(dtype="float64")(parts) if len(parts) > 1 else parts[0]
    return keras.Model(inputs, features, name="table")


def _features(x: KerasTensor, column: Column) -> tuple[KerasTensor, KerasTensor]:
    """The features of a column, shape (n, features), and where it is missing, shape (n, 1)."""
    if column.is_number:
        return x, ops.isnan(x)
    if column.date_format is not None:
        return _date(x, column.has_hours)
    # An empty text is the first word of the vocabulary: it is missing.
    known = ["", *(column.categories or ())]
    place = layers.StringLookup(vocabulary=known, num_oov_indices=1, mask_token=None)(x)
    missing = ops.equal(place, 1)
    if column.hashed:
        return layers.Hashing(column.hashed, output_mode="one_hot", dtype="float64")(x), missing
    table = table_of_codes(column)
    if not table.shape[1]:
        return ops.zeros_like(ops.cast(missing, "float64"))[:, :0], missing
    # Keras numbers unknown texts 0, the empty one 1, and the categories from 2.
    rows = np.concatenate([table[-1:], np.zeros_like(table[:1]), table[:-1]])
    found = layers.Embedding(*rows.shape, weights=[rows], trainable=False, dtype="float64")(place)
    return layers.Reshape((rows.shape[1],), dtype="float64")(found), missing


def _date(x: KerasTensor, with_hours: bool) -> tuple[KerasTensor, KerasTensor]:
    """As `hpo.data.dates.date_features`, of the characters of a text."""
    characters = layers.TextVectorization(
        standardize=None, split="character", output_sequence_length=_DATE_LENGTH, vocabulary=list("0123456789")
    )(x)
    # Nothing is 0, any other character 1, and the digits follow.
    digits = ops.maximum(ops.cast(characters, "float64") - 2.0, 0.0)

    def number(first: int, last: int) -> KerasTensor:
        powers = 10.0 ** np.arange(last - first - 1, -1, -1.0)
        return ops.sum(digits[:, first:last] * powers, axis=1, keepdims=True)

    year, month, day = number(0, 4), number(5, 7), number(8, 10)
    hour, minute, second = number(11, 13), number(14, 16), number(17, 19)
    whole = _days(year, month, day)
    days = whole + (hour * 3600.0 + minute * 60.0 + second) / 86400.0
    parts = [days, year, month, day, ops.mod(whole + 3.0, 7.0), *([hour] if with_hours else [])]
    return layers.Concatenate(dtype="float64")(parts), ops.equal(characters[:, :1], 0)


def _days(year: KerasTensor, month: KerasTensor, day: KerasTensor) -> KerasTensor:
    """Days since 1970-01-01, Gregorian; a year is taken to begin in March, so that a leap day ends it."""
    year = ops.where(month <= 2.0, year - 1.0, year)
    month = ops.mod(month + 9.0, 12.0)
    before = 365.0 * year + ops.floor(year / 4.0) - ops.floor(year / 100.0) + ops.floor(year / 400.0)
    # From 0000-03-01 to 1970-01-01 it is 719,468 days.
    return before + ops.floor((153.0 * month + 2.0) / 5.0) + day - 1.0 - 719468.0
