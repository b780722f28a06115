"""What a schedule still begins towards a deadline: nothing that cannot end, and the best trial to its end."""

import math

import numpy as np

from hpo.schedule.history import History
from hpo.schedule.steps import GoOn

# The best trial is finished when this many times the seconds that it needs are left.
_MARGIN = 1.5


def seconds_of(history: History, row: int, until: int) -> float:
    """The seconds that a trial needs from where it is to a unit."""
    done = int(history.done[row])
    return float(history.seconds[row] / max(done, 1) * (until - done))


def worth_finishing(history: History, left: float) -> GoOn | None:
    """The best trial, if it is paused and the time until the deadline is only just enough to finish it."""
    if math.isinf(left) or not history.paused.any():
        return None
    best = int(np.argmax(history.merits))
    needs = seconds_of(history, best, history.units)
    if history.paused[best] and needs <= left <= _MARGIN * needs:
        return GoOn(int(history.numbers[best]), history.units, "last chance to finish")
    return None


def too_late_to_begin(history: History, first: int, left: float) -> bool:
    """Whether a new trial would hardly come to its first rung before the deadline."""
    if math.isinf(left):
        return False
    known = history.done >= first
    return bool(known.any()) and float(np.median(history.cost[known, first - 1])) > left
