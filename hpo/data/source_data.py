"""What a source brings, as it came: arrays, pipelines or a generator, before they are checked and divided."""

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from hpo.data.dataset import Array, Batches, PartName
from hpo.data.mapped import Mapped
from hpo.data.several import by_name
from hpo.data.training_columns import RawColumns

_CHUNK = 1 << 22
"""Numbers looked at in one go, so that no float copy of a whole dataset is ever made."""


@dataclass(frozen=True)
class Values:
    """An array, or several, and what messages call it: its file, and its name within."""

    # Arrays: several inputs or targets are read as one is, and checked one by one.
    array: Any
    place: str

    def each(self) -> "Iterator[Values]":
        """The arrays one by one."""
        for name, array in by_name(self.array).items():
            yield Values(array, f"{self.place} {name}" if name else self.place)


@dataclass(frozen=True)
class RawPart:
    """Features, shape (n, ...), and targets, shape (n,) or (n, outputs), of one part."""

    x: Values
    y: Values | None
    """None where there are no targets."""
    weights: Values | None = None
    """How much each sample counts, shape (n,); or each of its steps, shape (n, steps)."""


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
    columns: RawColumns | None = None
    """The columns of a table that its features were made from."""
    notes: tuple[str, ...] = ()
    """What was told from a table's file that its section does not say."""
    split_by: Array | None = None
    """The column of a table by which its parts are divided, shape (n,): groups of any type, or times as numbers."""
    batches: Batches | None = None
    """The batches of generated data that the parts were drawn from."""
    images: Mapping[str, Any] = field(default_factory=dict)
    """How the images of a folder were read."""

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
    for rows in slices(array):
        yield array[rows]


def slices(array: Array | Mapped) -> Iterator[slice]:
    """Where the rows of an array are, some at a time."""
    rows = max(1, _CHUNK // max(1, int(np.prod(array.shape[1:]))))
    for start in range(0, len(array), rows):
        yield slice(start, start + rows)
