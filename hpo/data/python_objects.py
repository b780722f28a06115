"""Arrays of plain types from what a user's function returns: lists, columns of pandas, arrays of Python objects."""

from collections.abc import Mapping
from typing import Any

import numpy as np

from hpo.data.dataset import Array
from hpo.data.several import Arrays, Several
from hpo.errors import DataError


def parts_of(place: str, part: Any) -> tuple[Any, Any, Any]:
    """The inputs, the targets and the weights of a part; None for those that it lacks.

    Raises:
        DataError: it is something else; the message says what to return.
    """
    if isinstance(part, tuple | list):
        if len(part) not in (1, 2, 3):
            raise DataError(
                f"{place}: must be x, (x, y), (x, y, weights) or a tf.data.Dataset, got {in_words(part)}; a list of "
                "inputs stands in a tuple of its own: ([a, b], y)"
            )
        x, y, weights = (*part, None, None)[:3]
    else:
        x, y, weights = part, None, None
    if x is None or isinstance(x, str | int | float):
        raise DataError(f"{place}: x must be an array, a dict or a list of arrays, got {in_words(x)}")
    return x, y, weights


def arrays_of(values: Any, place: str, others: Any = None, kind: str = "input") -> Arrays:
    """One array, or several from a dict, a list of arrays, or a table of pandas whose columns differ in kind.

    Args:
        values: the inputs or the targets.
        place: what messages call them.
        others: what stands beside them, which tells a list of arrays from one of samples.
        kind: what those of a list are called: input_1, input_2.

    Raises:
        DataError: no plain arrays can be made of them.
    """
    named: dict[str, Any] | None = None
    if isinstance(values, Mapping):
        named = {str(name): one for name, one in values.items()}
        if not named:
            raise DataError(f"{place}: must have at least one array, got an empty dict")
    elif _is_mixed_table(values):
        named = {str(name): values[name] for name in values.columns}
    listed = named is None and _are_several(values, others)
    if listed:
        named = {f"{kind}_{number}": one for number, one in enumerate(values, 1)}
    if named is None:
        return as_inputs(plain_array(values, place)) if kind == "input" else plain_array(values, place)
    found = {name: plain_array(one, f"{place} {name}") for name, one in named.items()}
    return Several({name: as_inputs(one) if kind == "input" else one for name, one in found.items()}, listed)


def weights_of(weights: Any, place: str, x: Arrays) -> Arrays:
    """The weights of samples: an array, or one for each target, of which None has its samples count alike.

    Raises:
        DataError: no plain arrays can be made of them.
    """
    ones = np.ones(len(x), np.float32)
    if isinstance(weights, Mapping):
        weights = {name: ones if one is None else one for name, one in weights.items()}
    elif isinstance(weights, tuple | list) and any(getattr(one, "shape", ()) for one in weights):
        weights = [ones if one is None else one for one in weights]
    return arrays_of(weights, place, x, "target")


def _is_mixed_table(values: Any) -> bool:
    """Whether this is a table of pandas with a column that holds no numbers."""
    if not hasattr(values, "columns"):
        return False
    return any(getattr(kind, "kind", "O") not in "buif" for kind in values.dtypes)


def as_inputs(array: Array) -> Array:
    """Text as Python's own."""
    if array.dtype.kind == "S":
        array = np.char.decode(array, "utf-8")
    return array.astype(object) if array.dtype.kind == "U" else array


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


def in_words(value: Any) -> str:
    """What somebody returned, in a word or two."""
    kind = type(value).__name__
    return f"{kind} of {len(value)}" if isinstance(value, tuple | list) else kind


def _are_several(values: Any, others: Any) -> bool:
    """Whether a list holds whole arrays, each longer than the list, rather than as many samples as stand beside it."""
    if not isinstance(values, tuple | list) or not values or not all(hasattr(one, "shape") for one in values):
        return False
    lengths = {len(one) if np.ndim(one) else 0 for one in values}
    are_samples = hasattr(others, "shape") and np.ndim(others) and len(others) == len(values)
    return len(lengths) == 1 and lengths.pop() > len(values) and not are_samples


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
        hint = "samples must have one shape, for which sequences are padded; several inputs are a dict of arrays"
    else:
        hint = "turn them into numbers, or names of classes into text"
    return f"must be an array of one plain type, got Python objects: {got}; {hint}"


def _is_nan(kinds: Mapping[str, tuple[int, Any]]) -> bool:
    """Whether a fraction is what pandas writes for a missing value."""
    return any(isinstance(value, float) and np.isnan(value) for _, value in kinds.values())
