"""The rules that every part of the data must keep: types, shapes, lengths, finite numbers."""

from collections.abc import Mapping

import numpy as np

from hpo.data.dataset import Array
from hpo.data.several import Arrays, Several, by_name, is_text
from hpo.data.source_data import RawPart, Values, chunks
from hpo.errors import DataError

# float64, so that float16 values are not compared with an infinite limit.
_LARGEST = np.float64(np.finfo(np.float32).max)


class FiniteCheck:
    """Counts the values that are not finite numbers in float32, over any number of chunks of rows."""

    def __init__(self, place: str) -> None:
        self.place = place
        self.bad = 0
        self.first: int | None = None
        self.rows = 0

    def update(self, chunk: Array) -> None:
        """Looks at the next rows; types that hold no fractions are always finite."""
        if chunk.dtype.kind == "f":
            bad = ~(np.abs(chunk) <= _LARGEST)
            if bad.any():
                self.bad += int(bad.sum())
                if self.first is None:
                    self.first = self.rows + int(bad.reshape(len(chunk), -1).any(axis=1).argmax())
        self.rows += len(chunk)

    def finish(self) -> None:
        """Raises DataError if any was bad."""
        if self.bad:
            raise DataError(
                f"{self.place}: all values must be finite numbers (in float32), got {self.bad} that are NaN or "
                f"infinite, the first in row {self.first} (counted from 0)"
            )


def check_types(x: Values, y: Values | None) -> None:
    """Checks types and shapes of features and targets.

    Raises:
        DataError: features that are neither numbers nor text, or have no dimension but the samples'; targets of a type
            or a shape that cannot be learnt.
    """
    several = isinstance(x.array, Several)
    for values in x.each():
        _check_features(values, several)
    for values in y.each() if y is not None else ():
        _check_targets(values)


def _check_features(x: Values, several: bool) -> None:
    if is_text(x.array):
        return
    if x.array.dtype.kind not in "buif":
        raise DataError(f"{x.place}: features must be numbers or text, got {x.array.dtype}")
    if 0 in x.array.shape[1:] or not x.array.ndim or (x.array.ndim < 2 and not several):
        raise DataError(
            f"{x.place}: features must have shape (samples, ...) with at least one number a sample, got {x.array.shape}"
        )


def _check_targets(y: Values) -> None:
    if y.array.dtype.kind == "O":
        raise DataError(
            f"{y.place}: must be an array of one plain type, got Python objects; turn text into numbers first, labels "
            "by their place in a list of classes"
        )
    if y.array.dtype.kind not in "buifUS":
        raise DataError(f"{y.place}: targets must be numbers, names or truth values, got {y.array.dtype}")
    if not y.array.ndim or 0 in y.array.shape[1:] or (y.array.dtype.kind in "US" and y.array.ndim > 2):
        raise DataError(f"{y.place}: targets must have shape (samples, ...), names (samples,), got {y.array.shape}")


def check_part(part: RawPart, may_miss: bool = False) -> None:
    """Checks one part of arrays completely; features may be NaN if they `may_miss`, and are then finite otherwise.

    Raises:
        DataError: wrong types or shapes, unequal lengths, no samples, NaN or infinite values.
    """
    x, y, weights = part.x, part.y, part.weights
    check_types(x, y)
    first, *others = (values for one in (x, y, weights) if one is not None for values in one.each())
    if not len(first.array):
        raise DataError(f"{first.place}: must have at least one sample, got none")
    for values in others:
        if len(values.array) != len(first.array):
            rule = "as many samples as labels" if values.place.startswith(y.place if y else " ") else "as many samples"
            raise DataError(
                f"{first.place} and {values.place}: must have {rule}, got {len(first.array)} and {len(values.array)}"
            )
    for values in weights.each() if weights is not None else ():
        check_numbers(values)
    for values in others if may_miss else (first, *others):
        if values.array.dtype.kind == "f":
            check = FiniteCheck(values.place)
            for chunk in chunks(values.array):
                check.update(chunk)
            check.finish()


def check_numbers(weights: Values, before: int = 0) -> None:
    """Checks one array of weights, or a batch of them with `before` samples before it.

    Raises:
        DataError: they are no numbers, or negative.
    """
    w = weights.array
    if w.ndim < 1 or w.dtype.kind not in "buif":
        raise DataError(f"{weights.place}: weights must be numbers, one a sample, got {w.dtype} of shape {w.shape}")
    if w.dtype.kind in "if" and (w < 0).any():
        place = np.unravel_index((w < 0).argmax(), w.shape)
        raise DataError(
            f"{weights.place}: weights must be at least 0, got {w[place]:g} in row {before + place[0]} (counted from 0)"
        )


def check_same_shape(places: Mapping[str, Arrays]) -> None:
    """Checks that samples have one shape in all parts; `places` maps places to their samples.

    Raises:
        DataError: two parts whose samples differ, or that have other inputs.
    """
    shapes = {place: {name: array.shape[1:] for name, array in by_name(x).items()} for place, x in places.items()}
    (first_place, first), *others = shapes.items()
    for place, shape in others:
        if shape.keys() != first.keys():
            raise DataError(f"{place}: must have the inputs of {first_place}, {_names(first)}, got {_names(shape)}")
        for name in first:
            if shape[name] != first[name]:
                where = f"{place} {name}".strip()
                raise DataError(
                    f"{where}: samples must have the shape of {first_place}, {first[name]}, got {shape[name]}"
                )


def _names(found: Mapping[str, object]) -> str:
    return ", ".join(name or "a single array" for name in found)
