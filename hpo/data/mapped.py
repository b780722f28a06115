"""Images in a file that is mapped into memory, and some of its rows: parts share one file, and none copies it."""

import os
import time
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from hpo.errors import DataError

Array = npt.NDArray[Any]

_NOTED_SECONDS = 86_400
"""A file's time says when it was last used, to a day."""
_GAP = 1 << 14
"""Bytes between two rows that are read along, since two calls would take longer."""


@dataclass(frozen=True, eq=False)
class Survey:
    """What is known of each image of a file without reading it again, shape (images, ...)."""

    digests: Array
    """Content hashes, shape (images, 16), uint8."""
    low: Array
    """The least value of each image."""
    high: Array
    """The largest one."""
    mean: Array
    """The mean, float64."""
    squares: Array
    """The sum of squared distances from that mean, float64."""


@dataclass(frozen=True, eq=False)
class Mapped:
    """Rows of a .npy file of images, shape (n, height, width, channels), uint8, in their order.

    Indexing reads the rows into memory, as does `np.asarray`; `take` does not.
    """

    file: Path
    rows: Array
    """Their numbers in the file, shape (n,), int64."""
    survey: Survey | None = None
    """None in workers, which need none."""
    _file: Any = field(init=False, repr=False)

    def __post_init__(self) -> None:
        object.__setattr__(self, "_file", np.load(self.file, mmap_mode="r", allow_pickle=False))

    @property
    def shape(self) -> tuple[int, ...]:
        """As that of an array."""
        return (len(self.rows), *self._file.shape[1:])

    @property
    def dtype(self) -> np.dtype[Any]:
        """As that of an array."""
        dtype: np.dtype[Any] = self._file.dtype
        return dtype

    @property
    def ndim(self) -> int:
        """As that of an array."""
        return int(self._file.ndim)

    @property
    def row_bytes(self) -> int:
        """The bytes of a row."""
        return int(np.prod(self.shape[1:])) * self.dtype.itemsize

    def __len__(self) -> int:
        return len(self.rows)

    def __getitem__(self, rows: Any) -> Array:
        return np.asarray(self._file[self.rows[rows]])

    def __array__(self, dtype: Any = None, copy: bool | None = None) -> Array:
        return np.asarray(self[:], dtype=dtype)

    def take(self, rows: Any) -> "Mapped":
        """Some of the rows, unread."""
        return replace(self, rows=self.rows[rows])

    @property
    def known(self) -> Survey:
        """The survey, of all images of the file."""
        assert self.survey is not None
        return self.survey

    @property
    def digests(self) -> Array:
        """A content hash of each row, shape (n, 16), uint8."""
        return self.known.digests[self.rows]

    def read(self, places: Array) -> Array:
        """The rows at these places, read from the file in its own order, a run of neighbours at a time.

        Nothing is mapped, so that the memory of this process holds no more than what is returned.

        Raises:
            DataError: the file has changed.
        """
        numbers = self.rows[places]
        order = np.argsort(numbers)
        runs = [order[run] for run in self._runs(numbers[order])]
        read = np.empty((len(places), *self.shape[1:]), self.dtype)
        with self.file.open("rb", buffering=0) as file:
            _note_use(file.fileno())
            # The system reads some while others are copied.
            for run in runs if hasattr(os, "posix_fadvise") else ():
                os.posix_fadvise(file.fileno(), *self._bytes_of(numbers[run]), os.POSIX_FADV_WILLNEED)
            for run in runs:
                if not self._read_run(file.fileno(), numbers[run], run, read):
                    last = numbers[run[-1]]
                    raise DataError(
                        f"{self.file}: ends before image {last}; delete its folder, and images are read again"
                    )
        return read

    def _read_run(self, file: int, numbers: Array, places: Array, read: Array) -> bool:
        """Reads neighbours in the file to their places; whether the file has them all."""
        start, size = self._bytes_of(numbers)
        if self.row_bytes > _GAP and size == len(numbers) * self.row_bytes:
            return os.preadv(file, [read[place] for place in places], start) == size
        content = os.pread(file, size, start)
        if len(content) < size:
            return False
        images = np.frombuffer(content, self.dtype).reshape(-1, *self.shape[1:])
        read[places] = images[numbers - numbers[0]]
        return True

    def _bytes_of(self, numbers: Array) -> tuple[int, int]:
        """Where the rows of a run begin in the file, and how many bytes they are, gaps included."""
        first, last = int(numbers[0]), int(numbers[-1])
        return self._file.offset + first * self.row_bytes, (last - first + 1) * self.row_bytes

    def _runs(self, numbers: Array) -> Iterator[slice]:
        borders = np.flatnonzero((np.diff(numbers) - 1) * self.row_bytes > _GAP) + 1
        longest = max(1, (1 << 22) // self.row_bytes)
        for start, end in zip([0, *borders], [*borders, len(numbers)], strict=True):
            for part in range(start, end, longest):
                yield slice(part, min(end, part + longest))


def _note_use(file: int) -> None:
    """Sets an open file's time to now, so that it is not deleted as unused while a study goes on for months."""
    if time.time() - os.fstat(file).st_mtime > _NOTED_SECONDS:
        with suppress(OSError):
            os.utime(file)
