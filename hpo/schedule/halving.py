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
            until = self.after(rung)
            waiting = np.flatnonzero(paused & history.own & (done == rung))
            if math.isfinite(left):
                waiting = waiting[seconds_of(history, waiting, until) <= left]
            if not len(waiting):
                continue
            # The first of the best ones.
            row = int(waiting[np.argmax(history.best[waiting, rung - 1])])
            coming = history.running & (done < rung)
            if self._is_ahead(history, rung, row, finishing and not coming.any()):
                why = "best, to the end" if until == history.units else f"among best at {rung}"
                return GoOn(int(history.numbers[row]), until, why)
        return None

    def stops(self, history: History, row: int) -> bool:
        """Whether a trial that has come to a rung, and cannot pause, is not among the best share there."""
        rung = int(history.done[row])
        return rung in self.units[:-1] and not self._is_ahead(history, rung, row, finishing=True)

    def _is_ahead(self, history: History, rung: int, row: int, finishing: bool) -> bool:
        """Whether a trial is in the best share of those that have come to a rung, or that will never come to it.

        One that was stopped there counts among them, but takes no place in the share: another one goes on instead. Of
        equal trials, the earlier one is ahead. Nothing is sorted: this is asked after each epoch, of all trials.
        """
        done = history.done
        came = (done >= rung) | (history.final & (done > 0)) | history.failed
        here = np.flatnonzero(came & history.own)
        best = history.best[here, np.minimum(np.maximum(done[here], 1), rung) - 1]
        best = np.where(history.failed[here], -np.inf, best)
        share = len(here) / self._factor
        count = math.ceil(share) if finishing else int(share)
        own = best[np.searchsorted(here, row)]
        able = ~(history.stopped[here] & (done[here] == rung))
        better = np.count_nonzero(able & ((best > own) | ((best == own) & (here < row))))
        return bool(better < count)
