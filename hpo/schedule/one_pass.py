"""Each trial in one go, to its end or until the pruner stops it; a sampler proposes."""

import math

import numpy as np

from hpo.schedule.steps import Begin, GoOn, Schedule, Step, Wait


class OnePass(Schedule):
    """Begins trials, and pauses none; those that were interrupted go on first."""

    pauses = False

    @property
    def first(self) -> int:
        """The last unit."""
        return self.history.units

    def next(self, may_begin: bool, left: float = math.inf) -> Step:
        """A trial that was interrupted, the best first; then another one."""
        history = self.history
        waiting = np.flatnonzero(history.paused)
        if len(waiting):
            row = waiting[np.argmax(history.merits[waiting])]
            return GoOn(int(history.numbers[row]), history.units, "was interrupted")
        return Begin("the sampler's next") if may_begin else Wait()
