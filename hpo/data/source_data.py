"""What a source brings, as it came, and the rules that every part of it must keep."""

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np

from hpo.data.dataset import Array, Batches, Column, PartName
from hpo.errors import DataError

_CHUNK = 1 << 22
"""Numbers looked at in one go, so that no float copy of a whole dataset is ever made."""

# float64, so that float16 values are not compared with an infinite limit.
_LARGEST = np.float64(np.finfo(np.float32).max)


@dataclass(frozen=True)
class Values:
    """An array and what messages call it: its file, and its name within."""

    array: Array
    place: str


@dataclass(frozen=True)
class RawPart:
    """Features, shape (n, ...), and targets, shape (n,) or (n, outputs), of one part."""

    x: Values
    y: Values


@dataclass(frozen=True)
class RawDataset:
    """The parts that a source brings as arrays; what it lacks is split off later."""

    source: str
    training: RawPart
    validation: RawPart | None = None
    test: RawPart | None = None
    class_names: tuple[str, ...] = ()
    is_table: bool = False
    """Whether the targets are a column of a table, whose whole numbers may be any names of classes."""
    columns: tuple[Column, ...] = ()
    """Of a table: what its features were made from."""
    batches: Batches | None = None
    """Of generated data, whose parts were drawn from these."""

    def parts(self) -> dict[PartName, RawPart]:
        """The parts that there are."""
        everything: Mapping[PartName, RawPart | None]
        everything = {"training": self.training, "validation": self.validation, "test": self.test}
        return {name: part for name, part in everything.items() if part is not None}


@dataclass(frozen=True)
class RawPipelines:
    """The parts of a source that brings a finite `tf.data.Dataset` of (x, y) for each."""

    source: str
    parts: Mapping[PartName, Any]
    stream: Callable[[PartName, int], Any]


@dataclass(frozen=True)
class RawGenerated:
    """A source without end, from which fixed parts are drawn."""

    source: str
    batches: Batches


def as_images(x: Array) -> Array:
    """Gives grey images, samples of shape (h, w) in uint8, their one channel; other samples (h, w) are series."""
    return x[..., np.newaxis] if x.ndim == 3 and x.dtype == np.uint8 else x


def chunks(array: Array) -> Iterator[Array]:
    """The rows of an array, some at a time."""
    rows = max(1, _CHUNK // max(1, int(np.prod(array.shape[1:]))))
    for start in range(0, len(array), rows):
        yield array[start : start + rows]


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
            raise DataError(f"{values.place}: must be an array of one plain type, got Python objects")
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


def check_part(part: RawPart) -> None:
    """Checks one part of arrays completely.

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
    for values in (x, y):
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
