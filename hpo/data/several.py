"""Several arrays of equally many samples: the inputs of a model that has several, or its targets."""

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, TypeVar

import numpy as np
import numpy.typing as npt

Array = npt.NDArray[Any]
Made = TypeVar("Made")


@dataclass(frozen=True, eq=False)
class Several:
    """Arrays by name, each with a row for each sample. Rows are taken as those of one array are: `several[rows]`."""

    arrays: Mapping[str, Array]
    listed: bool = False
    """Whether Keras gets them as a list, in their order; else as a dict."""

    def __len__(self) -> int:
        return len(next(iter(self.arrays.values())))

    def __getitem__(self, rows: Any) -> "Several":
        return Several({name: array[rows] for name, array in self.arrays.items()}, self.listed)


Arrays = Array | Several


def by_name(values: Arrays) -> Mapping[str, Array]:
    """The arrays by name; a single one has an empty name."""
    return values.arrays if isinstance(values, Several) else {"": values}


def as_keras(values: Arrays, made: Callable[[str, Array], Made]) -> Made | dict[str, Made] | list[Made]:
    """What is made of each array, in the structure in which Keras takes them: alone, a dict or a list."""
    if not isinstance(values, Several):
        return made("", values)
    found = {name: made(name, array) for name, array in values.arrays.items()}
    return list(found.values()) if values.listed else found


def single(values: Arrays) -> Array:
    """The array, where there is one alone.

    Raises:
        TypeError: there are several.
    """
    if isinstance(values, Several):
        raise TypeError(f"one array is needed, and there are several: {', '.join(values.arrays)}")
    return values


def in_order(values: Arrays) -> Iterator[Array]:
    """The arrays in their order."""
    yield from by_name(values).values()


def mapped(values: Arrays, change: Callable[[Array], Array]) -> Arrays:
    """Each array changed."""
    if not isinstance(values, Several):
        return change(values)
    return Several({name: change(array) for name, array in values.arrays.items()}, values.listed)


def is_text(array: Array) -> bool:
    """Whether an array of inputs holds texts, which are Python's own: their lengths differ too much for NumPy's."""
    return array.dtype.kind == "O"


def content_of(array: Array) -> bytes | memoryview:
    """What an array holds, for a hash; of text its length, too, so that no two arrays have one content."""
    if not is_text(array):
        return np.ascontiguousarray(array).data
    encoded = (text.encode() for text in array.flat)
    return b"".join(b"%d:%b" % (len(text), text) for text in encoded)


def joined(pieces: Sequence[Arrays]) -> Arrays:
    """The samples of all pieces, one after the other."""
    first = pieces[0]
    if not isinstance(first, Several):
        return np.concatenate([single(piece) for piece in pieces])
    found = {name: np.concatenate([by_name(piece)[name] for piece in pieces]) for name in first.arrays}
    return Several(found, first.listed)
