"""The trials of a study as a schedule knows them: how far each has come, with which scores, at what cost."""

from collections.abc import Mapping
from typing import Any, Literal

import numpy as np

from hpo.schedule.cube import Cube

End = Literal["final", "stopped", "failed", "gone"]
"""final: trained to its own end, all epochs or early stopping; stopped: by a pruner or a deadline, and could have gone
on; failed: by the fault of its configuration; gone: by any other fault, so that it says nothing."""

_RUNNING, _PAUSED, _FINAL, _STOPPED, _FAILED, _GONE = range(6)
_ENDS: Mapping[End, int] = {"final": _FINAL, "stopped": _STOPPED, "failed": _FAILED, "gone": _GONE}


class History:
    """A growing table of trials, a row each, in the order in which they began.

    A unit is an epoch, or with k-fold cross-validation a fold. Higher merits are better. A trial's score is that of its
    best epoch, or the mean over its folds so far.
    """

    def __init__(self, cube: Cube, units: int, folds: bool = False) -> None:
        self._folds = folds
        self.cube, self.units, self.count = cube, units, 0
        self._rows: dict[int, int] = {}
        self.tried: set[bytes] = set()
        """The configurations of all trials: the bytes of their `values`."""
        self._aside: dict[int, tuple[np.ndarray, np.ndarray, int, int]] = {}
        self.learned = 0
        """How often something was learned: a unit was finished, or a trial ended or began again."""
        self._columns = {
            "values": np.full((64, cube.size), np.nan),
            "best": np.full((64, units), np.nan),
            "cost": np.full((64, units), np.nan),
            **{name: np.zeros(64, dtype=int) for name in ("done", "state", "until", "numbers", "observed")},
        }

    # What came.

    def begin(self, number: int, config: Mapping[str, Any], until: int, observed: bool = False) -> None:
        """A trial began, to train to a unit; `observed`: it is of another study, and only teaches the model."""
        row = self._rows[number] = self.count
        if row == len(self._columns["done"]):
            self._columns = {name: np.concatenate([old, _empty_like(old)]) for name, old in self._columns.items()}
        self.count += 1
        self.numbers[row], self.until[row], self.values[row] = number, until, self.cube.encode(config)
        self._columns["observed"][row] = observed
        self._state[row] = _RUNNING
        self.tried.add(self.values[row].tobytes())

    def unit_done(self, number: int, merit: float, seconds: float) -> None:
        """A trial finished its next unit with this score, after so many seconds of training in all its units."""
        row = self._rows[number]
        done = self.done[row]
        if done == self.units:
            return
        before = self.best[row, done - 1] if done and not self._folds else -np.inf
        self.best[row, done], self.cost[row, done] = max(before, merit), seconds
        self.done[row] += 1
        self.learned += 1

    def score_alone(self, number: int, merit: float) -> None:
        """Of a trial that has ended nothing is known but its score."""
        row = self._rows[number]
        self.best[row, -1], self.cost[row, -1], self.done[row] = merit, 0.0, self.units

    def start_over(self, number: int) -> None:
        """A trial begins again with its first unit."""
        row = self._rows[number]
        self.best[row], self.cost[row], self.done[row] = np.nan, np.nan, 0
        self.learned += 1

    def pause(self, number: int) -> None:
        """A trial was paused."""
        self._state[self._rows[number]] = _PAUSED

    def go_on(self, number: int, until: int) -> None:
        """A paused trial goes on to a unit."""
        row = self._rows[number]
        self._state[row], self.until[row] = _RUNNING, until

    def end(self, number: int, how: End) -> None:
        """A trial ended."""
        self._state[self._rows[number]] = _ENDS[how]
        self.learned += 1

    def set_aside(self, number: int) -> None:
        """A trial counts no more, nor does what it came to: another attempt at its configuration has begun."""
        row = self._rows[number]
        self._aside[number] = self.best[row].copy(), self.cost[row].copy(), int(self.done[row]), int(self._state[row])
        self.start_over(number)
        self.end(number, "gone")

    def take_back(self, number: int) -> None:
        """A trial that was set aside counts again."""
        if number in self._aside:
            row = self._rows[number]
            self.best[row], self.cost[row], self.done[row], self._state[row] = self._aside.pop(number)
            self.learned += 1

    def thinned(self, most: int, rng: np.random.Generator) -> "History":
        """The history of at most so many trials that have a score, and of all that have none yet.

        Of those with a score these are the best tenth of `most`, and others that are drawn at random.
        """
        scored = np.flatnonzero(self.done > 0)
        if len(scored) <= most:
            return self
        best = scored[np.argpartition(-self.merits[scored], most // 10)[: most // 10]]
        others = rng.choice(np.setdiff1d(scored, best, assume_unique=True), most - len(best), replace=False)
        rows = np.sort(np.concatenate([best, others, np.flatnonzero(self.done == 0)]))
        found = History(self.cube, self.units, self._folds)
        found.count, found.tried, found.learned = len(rows), self.tried, self.learned
        found._columns = {name: column[rows] for name, column in self._columns.items()}
        return found

    # What is known. All arrays have a row for each trial.

    def __contains__(self, number: int) -> bool:
        return number in self._rows

    def row(self, number: int) -> int:
        """The row of a trial."""
        return self._rows[number]

    @property
    def numbers(self) -> np.ndarray:
        """The trials' numbers."""
        return self._columns["numbers"][: self.count]

    @property
    def values(self) -> np.ndarray:
        """Configurations as `Cube.encode` writes them."""
        return self._columns["values"][: self.count]

    @property
    def best(self) -> np.ndarray:
        """Shape (trials, units): the best merit up to each unit; NaN from where the trial has not come to."""
        return self._columns["best"][: self.count]

    @property
    def cost(self) -> np.ndarray:
        """Shape (trials, units): the seconds of training up to each unit."""
        return self._columns["cost"][: self.count]

    @property
    def done(self) -> np.ndarray:
        """The units that each has finished."""
        return self._columns["done"][: self.count]

    @property
    def until(self) -> np.ndarray:
        """The unit to which each trains, or last trained."""
        return self._columns["until"][: self.count]

    @property
    def _state(self) -> np.ndarray:
        return self._columns["state"][: self.count]

    def _in(self, state: int) -> np.ndarray:
        found: np.ndarray = self._state == state
        return found

    @property
    def running(self) -> np.ndarray:
        """Which are training."""
        return self._in(_RUNNING)

    @property
    def paused(self) -> np.ndarray:
        """Which are paused."""
        return self._in(_PAUSED)

    @property
    def final(self) -> np.ndarray:
        """Which were trained to their own end."""
        return self._in(_FINAL)

    @property
    def stopped(self) -> np.ndarray:
        """Which were stopped, and could have gone on."""
        return self._in(_STOPPED)

    @property
    def own(self) -> np.ndarray:
        """Which are of this study, and not another attempt's: those that are compared with each other."""
        own: np.ndarray = (self._columns["observed"][: self.count] == 0) & ~self._in(_GONE)
        return own

    @property
    def failed(self) -> np.ndarray:
        """Which failed by the fault of their configuration."""
        return self._in(_FAILED)

    @property
    def merits(self) -> np.ndarray:
        """The best merit of each; minus infinity where there is none."""
        last = self.best[np.arange(self.count), np.maximum(self.done - 1, 0)]
        return np.where((self.done > 0) & ~self.failed, last, -np.inf)

    @property
    def seconds(self) -> np.ndarray:
        """The seconds of training of each so far."""
        return np.where(self.done > 0, self.cost[np.arange(self.count), np.maximum(self.done - 1, 0)], 0.0)


def _empty_like(column: np.ndarray) -> np.ndarray:
    return np.full_like(column, np.nan if column.dtype.kind == "f" else 0)
