"""Arrays of plain types from what a user's function returns: lists, columns of pandas, arrays of Python objects."""

from collections.abc import Mapping
from typing import Any

import numpy as np

from hpo.data.dataset import Array
from hpo.errors import DataError

_ONE_INPUT = (
    "one array of inputs and one of targets is what hpo takes so far; put several inputs side by side in one array "
    "(numpy.concatenate), and take it apart again inside the model"
)


def pair_of(place: str, part: Any) -> tuple[Any, Any]:
    """The features and targets of a part.

    Raises:
        DataError: it is something else; the message says what to return.
    """
    if not isinstance(part, tuple | list) or len(part) != 2:
        raise DataError(f"{place}: must be (x, y) or a tf.data.Dataset, got {in_words(part)}{_hint(part)}")
    x, y = part
    for name, values in (("x", x), ("y", y)):
        if isinstance(values, Mapping):
            raise DataError(
                f"{place} {name}: must be an array, got a dict of {', '.join(map(str, values))}; {_ONE_INPUT}"
            )
        if _are_several(values, y if name == "x" else x):
            shapes = " and ".join(str(np.shape(one)) for one in values)
            raise DataError(f"{place} {name}: must be one array, got {len(values)} of shapes {shapes}; {_ONE_INPUT}")
    return x, y


def plain_array(values: Any, place: str) -> Array:
    """An array of numbers, truth values or text; Python objects become that where they all are of one such kind.

    Raises:
        DataError: rows of unequal lengths, or objects of which no plain array can be made.
    """
    try:
        array = np.asarray(values)
    except ValueError as error:  # rows of unequal lengths
        raise DataError(f"{place}: must be an array: {error}; sequences of unequal lengths need padding") from None
    return array if array.dtype.kind != "O" else _of_objects(array, place)


def nested_hint(spec: Any) -> str:
    """What to say of a pipeline's elements that are no pair of tensors."""
    if isinstance(spec, tuple) and len(spec) == 3:
        return "; sample weights are not supported, and training.class_weight weighs classes"
    if isinstance(spec, tuple) and any(isinstance(one, Mapping | tuple) for one in spec):
        return f"; {_ONE_INPUT}"
    return ""


def in_words(value: Any) -> str:
    """What somebody returned, in a word or two."""
    kind = type(value).__name__
    return f"{kind} of {len(value)}" if isinstance(value, tuple | list) else kind


def _hint(part: Any) -> str:
    if isinstance(part, tuple | list) and len(part) == 3:
        return "; sample weights are not supported, and training.class_weight weighs classes"
    return f"; {_ONE_INPUT}" if isinstance(part, Mapping) else ""


def _are_several(values: Any, others: Any) -> bool:
    """Whether a list holds whole arrays, each as long as what stands beside it, rather than samples."""
    if not isinstance(values, tuple | list) or len(values) < 2 or not all(hasattr(one, "shape") for one in values):
        return False
    try:
        count = len(others)
    except TypeError:
        return False
    lengths = {len(one) if np.ndim(one) else 0 for one in values}
    return len(values) != count and len(lengths) == 1 and lengths.pop() > len(values)


def _of_objects(array: Array, place: str) -> Array:
    found = {type(one) for one in array.flat}
    if all(issubclass(kind, str) for kind in found):
        return array.astype(np.str_)
    if all(issubclass(kind, bytes) for kind in found):
        return array.astype(np.bytes_)
    if all(issubclass(kind, bool | np.bool_) for kind in found):
        return array.astype(np.bool_)
    if all(issubclass(kind, bool | np.bool_ | int | float | np.number) for kind in found):
        whole = all(issubclass(kind, bool | np.bool_ | int | np.integer) for kind in found)
        try:
            return array.astype(np.int64 if whole else np.float64)
        except OverflowError:
            return array.astype(np.float64)
    raise DataError(f"{place}: {_objects_in_words(array)}")


def _objects_in_words(array: Array) -> str:
    rows = array.reshape(len(array), -1)
    kinds: dict[str, tuple[int, Any]] = {}
    for row, values in enumerate(rows):
        for value in values:
            kinds.setdefault(type(value).__name__, (row, value))
    got = ", ".join(f"{kind} ({str(value)[:30]} in row {row})" for kind, (row, value) in list(kinds.items())[:3])
    if kinds.keys() & {"NoneType", "NAType", "NaTType"} or _is_nan(kinds):
        hint = "fill the values that are missing, or leave out their rows"
    elif "str" in kinds and array.ndim > 1:
        hint = "encode text as numbers, or bring the table as a .csv or .parquet file, of which hpo encodes it"
    elif "str" in kinds:
        hint = "give all the same type, with .astype(str) for names of classes"
    elif kinds.keys() & {"ndarray", "list", "tuple", "Series", "DataFrame"}:
        hint = f"samples must have one shape, for which sequences are padded; {_ONE_INPUT}"
    else:
        hint = "turn them into numbers, or names of classes into text"
    return f"must be an array of one plain type, got Python objects: {got}; {hint}"


def _is_nan(kinds: Mapping[str, tuple[int, Any]]) -> bool:
    """Whether a fraction is what pandas writes for a missing value."""
    return any(isinstance(value, float) and np.isnan(value) for _, value in kinds.values())
