"""Asynchronous successive halving that pauses and goes on, with any sampler for new trials."""

import math

from hpo.schedule.halving import Rungs
from hpo.schedule.history import History
from hpo.schedule.steps import Begin, Schedule, Step, Wait
from hpo.schedule.time_left import in_time, seconds_to_begin, while_there_is_time


class Asha(Schedule):
    """Promotes a trial if one is among the best share of its rung, and otherwise begins one.

    Args:
        reduction_factor: From each rung one of this many trials goes on, the best. Unit: trials.
        min_resource: How long a trial trains before it first pauses. Unit: epochs, or folds.
    """

    def __init__(self, history: History, seed: int, reduction_factor: int = 4, min_resource: int = 1) -> None:
        super().__init__(history, seed)
        self._rungs = Rungs(history.units, reduction_factor, min_resource)

    @property
    def first(self) -> int:
        """The first rung."""
        return self._rungs.first

    def next(self, may_begin: bool, left: float = math.inf) -> Step:
        """The next step; see `Rungs.promotion`. Towards a deadline the best trial is finished."""
        return in_time(self.history, self._next(may_begin, left), self.first, left)

    def _next(self, may_begin: bool, left: float) -> Step:
        begins = may_begin and seconds_to_begin(self.history, self.first) <= left
        step = self._rungs.promotion(self.history, finishing=not begins, left=left)
        if step is not None:
            return step
        if begins:
            return Begin("the sampler's next")
        # Where the number of trials is the limit, the schedule is at its end; where the time is, the time is used.
        return while_there_is_time(self.history, left) if may_begin else Wait()

    def after(self, done: int) -> int:
        """The next rung."""
        return self._rungs.after(done)

    def stops(self, trial: int) -> bool:
        """Whether a trial that cannot pause is not among the best share of its rung."""
        return self._rungs.stops(self.history, self.history.row(trial))
