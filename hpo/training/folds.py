"""The folds of k-fold cross-validation as one trial: their epochs numbered on, their test scores averaged."""

import statistics
from collections.abc import Mapping, Sequence
from dataclasses import replace

from hpo.training.messages import EpochDone, Event, FoldEpoch, Line, Order, Started


class FoldLine:
    """A trial's line as one of its folds sees it, whose own epochs begin at 1 and whose own last epoch is the last."""

    def __init__(self, line: Line, number: int, folds: int, epochs: int, first: bool) -> None:
        """`number`: of the fold, counted from 1; `epochs`: those of the folds before it; `first`: of its job."""
        self._line = line
        self._number = number
        self._folds = folds
        self._before = epochs
        self._first = first
        self.epochs = epochs
        """The epochs of the folds up to this one."""

    def emit(self, event: Event) -> None:
        """Passes on an event as one of the trial's."""
        if isinstance(event, Started) and not self._first:
            return
        if isinstance(event, EpochDone):
            self.epochs = self._before + event.epoch
            last = event.last and self._number == self._folds
            ended_by = event.ended_by if last else None
            fold = FoldEpoch(self._number, event.epoch, event.last)
            event = replace(event, epoch=self.epochs, last=last, ended_by=ended_by, fold=fold)
        self._line.emit(event)

    def stop_reason(self) -> Order | None:
        """The trial's."""
        return self._line.stop_reason()

    def verdict(self) -> Order | None:
        """The trial's."""
        return self._line.verdict()


def mean_scores(scores: Sequence[Mapping[str, float]]) -> dict[str, float]:
    """The mean of each score that all have: one that was not finite for one fold has no mean."""
    first, *others = scores
    return {
        name: statistics.fmean(each[name] for each in scores)
        for name in first
        if all(name in other for other in others)
    }
