"""What a schedule still begins towards a deadline: nothing that cannot end, and the best trial to its end."""

import math

import numpy as np

from hpo.schedule.history import History
from hpo.schedule.steps import Begin, GoOn, Step, Wait

# Epochs may take so many times as long as those before them.
_MARGIN = 1.2


def seconds_of(history: History, rows: np.ndarray, until: np.ndarray | int) -> np.ndarray:
    """The seconds that trials need from where they are to a unit, shape (rows,)."""
    done = history.done[rows]
    return np.asarray(history.seconds[rows] / np.maximum(done, 1) * (until - done))


def in_time(history: History, step: Step, first: int, left: float) -> Step:
    """The step, or instead of it the best trial to its end, if the next decision would come too late for that.

    The next decision comes when this step ends, or a trial that trains now. `first`: the first rung.
    """
    best = _best(history)
    if math.isinf(left) or best is None or not history.paused[best]:
        return step
    needs = float(seconds_of(history, np.array([best]), history.units)[0])
    running = np.flatnonzero(history.running & (history.done > 0))
    comes = seconds_of(history, running, history.until[running]).tolist()
    if isinstance(step, GoOn):
        comes += seconds_of(history, np.array([history.row(step.trial)]), step.until).tolist()
    elif isinstance(step, Begin):
        comes.append(seconds_to_begin(history, first))
    if needs <= left < _MARGIN * (needs + min(comes, default=0.0)):
        return GoOn(int(history.numbers[best]), history.units, "last chance to finish")
    return step


def seconds_to_begin(history: History, first: int) -> float:
    """The seconds in which most new trials come to their first rung; 0 where that is not known."""
    known = history.own & (history.done >= first)
    return float(np.quantile(history.cost[known, first - 1], 0.8)) if known.any() else 0.0


def while_there_is_time(history: History, left: float) -> Step:
    """Instead of nothing: the best paused trial as far as the time is enough for, be it not to its next rung."""
    if math.isinf(left):
        return Wait()
    rows = np.flatnonzero(history.paused & (history.done < history.units))
    one = _MARGIN * seconds_of(history, rows, history.done[rows] + 1)
    fits = (one > 0) & (one <= left)
    if not fits.any():
        return Wait()
    place = np.flatnonzero(fits)[np.argmax(history.merits[rows[fits]])]
    row = int(rows[place])
    until = int(history.done[row] + left // one[place])
    return GoOn(int(history.numbers[row]), min(until, history.units), "time is left")


def _best(history: History) -> int | None:
    merits = np.where(history.own, history.merits, -np.inf)
    return int(np.argmax(merits)) if np.isfinite(merits).any() else None
