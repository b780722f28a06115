"""The rules that every part of the data must keep: types, shapes, lengths, finite numbers."""

from collections.abc import Mapping

import numpy as np

from hpo.data.dataset import Array
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


def check_types(x: Values, y: Values) -> None:
    """Checks types and shapes of features and targets.

    Raises:
        DataError: features that are no numbers, or have no dimension but the samples'; targets of a type or
            a shape that cannot be learnt.
    """
    for values in (x, y):
        if values.array.dtype.kind == "O":
            raise DataError(
                f"{values.place}: must be an array of one plain type, got Python objects; turn text into numbers "
                "first, labels by their place in a list of classes"
            )
    if x.array.dtype.kind not in "buif":
        raise DataError(f"{x.place}: features must be numbers, got {x.array.dtype}")
    if x.array.ndim < 2 or 0 in x.array.shape[1:]:
        raise DataError(
            f"{x.place}: features must have shape (samples, ...) with at least one number a sample, got {x.array.shape}"
        )
    if y.array.dtype.kind not in "buifUS":
        raise DataError(f"{y.place}: targets must be numbers, names or truth values, got {y.array.dtype}")
    if y.array.ndim not in (1, 2) or 0 in y.array.shape[1:]:
        raise DataError(f"{y.place}: targets must have shape (samples,) or (samples, outputs), got {y.array.shape}")


def check_part(part: RawPart, may_miss: bool = False) -> None:
    """Checks one part of arrays completely; features may be NaN if they `may_miss`, and are then finite otherwise.

    Raises:
        DataError: wrong types or shapes, unequal lengths, no samples, NaN or infinite values.
    """
    x, y = part.x, part.y
    check_types(x, y)
    if len(x.array) != len(y.array):
        raise DataError(
            f"{x.place} and {y.place}: must have as many samples as labels, got {len(x.array)} and {len(y.array)}"
        )
    if not len(x.array):
        raise DataError(f"{x.place}: must have at least one sample, got none")
    for values in (y,) if may_miss else (x, y):
        check = FiniteCheck(values.place)
        for chunk in chunks(values.array):
            check.update(chunk)
        check.finish()


def check_same_shape(shapes: Mapping[str, tuple[int, ...]]) -> None:
    """Checks that samples have one shape in all parts; `shapes` maps places to sample shapes.

    Raises:
        DataError: two parts whose samples differ.
    """
    (first_place, first), *others = shapes.items()
    for place, shape in others:
        if shape != first:
            raise DataError(f"{place}: samples must have the shape of {first_place}, {first}, got {shape}")
