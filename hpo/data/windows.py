"""Windows over the rows of one or several series: views that are copied only where they are joined."""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

Array = npt.NDArray[Any]


@dataclass(frozen=True)
class Windows:
    """Which rows a model sees, and which it forecasts. See `hpo.config.series.SeriesSpec`."""

    window: int
    horizon: int
    gap: int
    stride: int
    targets: tuple[str, ...]
    """The columns that are forecast."""
    group: str | None = None
    """The column that tells series apart."""
    time: str | None = None
    """The column by which the rows of a series are in order; None: by their place in the table."""
    time_format: str | None = None
    """How dates are written in that column, as in Python's strptime; None for numbers."""

    @property
    def span(self) -> int:
        """The rows from the first of a window to the last that is forecast from it."""
        return self.window + self.gap + self.horizon

    @property
    def needs(self) -> str:
        """How many rows one sample needs, for a message."""
        parts = f"a window of {self.window}, a gap of {self.gap} and a horizon of {self.horizon}"
        return f"{parts} need {self.span} rows that follow each other"

    @property
    def output_names(self) -> tuple[str, ...]:
        """What the outputs are called: the target, and how many rows after the window."""
        rows = range(self.gap + 1, self.gap + self.horizon + 1)
        return tuple(f"{target}_{row}" for row in rows for target in self.targets)

    def inputs(self, rows: Array, groups: Array, after: int = 0, stride: int = 1) -> Array:
        """The windows, shape (n, window, features), each of the rows of one group.

        Args:
            rows: shape (rows, features), in the order of groups and of time.
            groups: a number for each row, which does not fall; shape (rows,).
            after: how many further rows of the same group must follow a window.
            stride: how many rows after a window the next one begins.
        """
        runs = [rows[run] for run in self._runs(groups, self.window + after)]
        return _joined([_slid(run[: len(run) - after], self.window, stride) for run in runs])

    def forecast(self, rows: Array, groups: Array) -> Array:
        """What is to be forecast from each window, shape (n, horizon * targets), in the order of `output_names`.

        `rows`: shape (rows, targets).
        """
        runs = [rows[run][self.window + self.gap :] for run in self._runs(groups, self.span)]
        found = _joined([_slid(run, self.horizon, self.stride) for run in runs])
        return found.reshape(len(found), self.horizon * rows.shape[1])

    def last_rows(self, groups: Array) -> Array:
        """The place of the last row of each window that `inputs` returns with a stride of 1; shape (n,)."""
        runs = [np.arange(run.start + self.window - 1, run.stop) for run in self._runs(groups, self.window)]
        return np.concatenate(runs) if runs else np.arange(0)

    @staticmethod
    def _runs(groups: Array, least: int) -> Iterator[slice]:
        """Where the rows of each group are, if there are `least` of them."""
        borders = np.flatnonzero(np.diff(groups)) + 1
        for start, end in zip([0, *borders], [*borders, len(groups)], strict=True):
            if end - start >= least:
                yield slice(int(start), int(end))


def longest_run(groups: Array) -> int:
    """The most rows that one group has; `groups` as in `Windows.inputs`."""
    return int(np.unique(groups, return_counts=True)[1].max()) if len(groups) else 0


def _slid(rows: Array, length: int, stride: int) -> Array:
    """Views of `length` rows each, shape (n, length, columns)."""
    return np.lib.stride_tricks.sliding_window_view(rows, length, axis=0).swapaxes(1, 2)[::stride]


def _joined(pieces: list[Array]) -> Array:
    # The windows of a single series stay views on its rows.
    return pieces[0] if len(pieces) == 1 else np.concatenate(pieces)
