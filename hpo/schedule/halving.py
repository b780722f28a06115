"""Promotion by asynchronous successive halving (ASHA): at each rung the best share of the trials goes on.

Li and others, A System for Massively Parallel Hyperparameter Tuning, 2020, arXiv:1810.05934.
"""

import math

import numpy as np

from hpo.schedule.history import History
from hpo.schedule.steps import GoOn
from hpo.schedule.time_left import seconds_of


class Rungs:
    """The units at which trials are compared: 1, then each `factor` times the one before, and the last unit."""

    def __init__(self, units: int, factor: int, first: int = 1) -> None:
        if factor < 2:
            raise ValueError(f"reduction_factor must be at least 2, got {factor}")
        if first < 1:
            raise ValueError(f"min_resource must be at least 1, got {first}")
        found = [min(first, units)]
        while found[-1] * factor < units:
            found.append(found[-1] * factor)
        self.units = [*found, units] if found[-1] < units else found
        self._factor = factor

    @property
    def first(self) -> int:
        """The first rung."""
        return self.units[0]

    def after(self, done: int) -> int:
        """The rung after this many units."""
        return next((rung for rung in self.units if rung > done), self.units[-1])

    def promotion(self, history: History, finishing: bool, left: float = math.inf) -> GoOn | None:
        """The paused trial that goes on; None if there is none that can come to its next rung in the seconds left.

        Higher rungs come first. `finishing`: no trial will be begun any more. Then lower rungs come first, and once no
        other trial is on its way to a rung, the share is rounded up there: the best of a few goes on.
        """
        done, paused = history.done, history.paused
        # A trial between two rungs was promoted already, and then interrupted.
        between = paused & ~np.isin(done, self.units)
        if between.any():
            row = np.flatnonzero(between)[np.argmax(history.merits[between])]
            return GoOn(int(history.numbers[row]), self.after(int(done[row])), "was interrupted")
        for rung in self.units[:-1] if finishing else self.units[-2::-1]:
            coming = history.running & (done < rung)
            ahead = self._ahead(history, rung, finishing and not coming.any())
            until = self.after(rung)
            waiting = ahead[paused[ahead] & (done[ahead] == rung)]
            waiting = [row for row in waiting if seconds_of(history, row, until) <= left]
            if waiting:
                why = "best, to the end" if until == history.units else f"among best at {rung}"
                return GoOn(int(history.numbers[waiting[0]]), until, why)
        return None

    def stops(self, history: History, row: int) -> bool:
        """Whether a trial that has come to a rung, and cannot pause, is not among the best share there."""
        rung = int(history.done[row])
        return rung in self.units[:-1] and row not in self._ahead(history, rung, finishing=True)

    def _ahead(self, history: History, rung: int, finishing: bool) -> np.ndarray:
        """The best share of the trials that have come to a rung, or that will never come to it; the best first."""
        done = history.done
        here = np.flatnonzero((done >= rung) | (history.final & (done > 0)) | history.failed)
        best = history.best[here, np.minimum(np.maximum(done[here], 1), rung) - 1]
        best = np.where(history.failed[here], -np.inf, best)
        share = len(here) / self._factor
        count = math.ceil(share) if finishing else int(share)
        ahead: np.ndarray = here[np.argsort(-best, kind="stable")][:count]
        return ahead
