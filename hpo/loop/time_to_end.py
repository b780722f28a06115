"""How long trials take besides their epochs: to be built, and to be tested and saved; and how long they are given."""

import math
from collections import deque
from typing import final

from hpo.config.score import Score
from hpo.loop.paused_trials import PausedTrials
from hpo.loop.running_trial import RunningTrial

# The fewest seconds that a trial that was asked to stop is given to test its model, before its worker is ended.
_GRACE = 20.0
LAST_GRACE = 2.0
"""The seconds that trials are given after a signal that ends the run."""
# A trial is given this many times what it will take, by the slowest of so many trials before it.
_MARGIN, _LAST = 4.0, 8
# The largest share of a run's time that is kept for the test of the best paused trial.
_SHARE = 0.5


@final
class TimeToEnd:
    """Measures it on the trials of a run."""

    def __init__(self, began: float) -> None:
        """`began`: when the run began to train; this and all moments are by `time.monotonic`."""
        self._began = began
        self._built: deque[float] = deque(maxlen=_LAST)
        self._ended: deque[float] = deque(maxlen=_LAST)

    def built(self, running: RunningTrial, now: float) -> None:
        """The model of a trial is built; its training begins."""
        self._built.append(now - running.began)

    def ended(self, running: RunningTrial, now: float) -> None:
        """A trial was tested, and is saved if it is the best."""
        if running.trained is not None:
            self._ended.append(now - running.trained)

    @property
    def _test(self) -> float | None:
        return max(self._ended, default=None)

    def _of_paused(self, running: RunningTrial) -> float:
        """The seconds in which a paused trial is built, tested and saved.

        Where no trial was tested yet, a test counts as long as an epoch.
        """
        test = running.longest_epoch if self._test is None else self._test
        return max(self._built, default=0.0) + test

    def left(self, now: float, deadline: float | None, paused: PausedTrials, best: Score | None) -> float:
        """The seconds until training ends: at the deadline, or before it where the best trial is paused.

        Then there is time to test the trials that train, and after them that one. `best`: the best score of those that
        have ended.
        """
        if deadline is None or deadline - now > _SHARE * (deadline - self._began):
            return math.inf if deadline is None else deadline - now
        last = paused.best()
        if last is None or last.score is None or not last.score.better_than(best):
            return deadline - now
        needed = self._of_paused(last) + (self._test or 0.0)
        return deadline - now - min(needed, _SHARE * (deadline - self._began))

    def grace(self, running: RunningTrial) -> float:
        """The seconds that a trial that was asked to stop is given, before its worker is ended."""
        return max(_GRACE, _MARGIN * self._of_paused(running))
