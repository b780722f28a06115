"""Asynchronous successive halving that pauses and goes on, with any sampler for new trials."""

from hpo.schedule.halving import Rungs
from hpo.schedule.history import History
from hpo.schedule.steps import Begin, Schedule, Step, Wait


class Asha(Schedule):
    """Promotes a trial if one is among the best share of its rung, and otherwise begins one."""

    def __init__(self, history: History, seed: int, reduction_factor: int = 4, min_resource: int = 1) -> None:
        super().__init__(history, seed)
        self._rungs = Rungs(history.units, reduction_factor, min_resource)

    def next(self, may_begin: bool) -> Step:
        """The next step; see `Rungs.promotion`."""
        step = self._rungs.promotion(self.history, finishing=not may_begin)
        if step is not None:
            return step
        return Begin(self._rungs.first, "the sampler's next") if may_begin else Wait()

    def stops(self, trial: int) -> bool:
        """Whether a trial that cannot pause is not among the best share of its rung."""
        return self._rungs.stops(self.history, self.history.row(trial))
