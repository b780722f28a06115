"""Scores: the value of an objective, which way is better, and the epoch where it was reached; and their comparison."""

import itertools
import math
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from typing import Any

from hpo.config.metrics import Direction


def merit(values: Any, direction: Direction) -> Any:
    """Values (a number or an array) with their sign changed where lower is better, so that higher is always better."""
    return values if direction == "maximize" else -values


@dataclass(frozen=True)
class Score:
    """The value that an objective reached."""

    value: float
    """The objective at the best epoch. With k-fold cross-validation it is the mean over the folds' best epochs."""
    direction: Direction
    """Which way is better."""
    epoch: int | None = None
    """The best epoch, counted from 1; with several folds the count goes on from fold to fold."""
    fold_epochs: tuple[int, ...] = ()
    """With k-fold cross-validation, the best epoch of each fold, counted like `epoch`."""

    @property
    def merit(self) -> float:
        """The value, with its sign changed where lower is better; scores are sorted by it."""
        return float(merit(self.value, self.direction))

    def lead(self, other: "Score") -> float:
        """By how much this score is better than another; negative if it is worse."""
        return self.merit - other.merit

    def better_than(self, other: "Score | None", by: float = 0.0) -> bool:
        """Whether this score is better by more than `by`; any score is better than None."""
        return other is None or self.lead(other) > by

    def reaches(self, target: float | None) -> bool:
        """Whether this score is at least as good as a target; False if there is no target."""
        return target is not None and self.lead(replace(self, value=target)) >= 0


def best_of(scores: Iterable[Score]) -> Score | None:
    """The best score, the first of equal ones; None if there are no scores."""
    return max(scores, key=lambda score: score.merit, default=None)


def over_folds(scores: Sequence[Score]) -> Score:
    """The score of a trial from the scores of its folds: their mean, and the epoch of the best of them."""
    best = max(scores, key=lambda score: score.merit)
    # Same as statistics.fmean, whose module takes 10 ms to import; `hpo list` should not wait for it.
    mean = math.fsum(score.value for score in scores) / len(scores)
    return replace(best, value=mean, fold_epochs=tuple(score.epoch or 0 for score in scores))


def score_of_curve(curve: Sequence[float], direction: Direction, fold_lengths: Sequence[int] = ()) -> Score | None:
    """The score of a curve, which has a value for each epoch; None if it is empty.

    `fold_lengths`: with k-fold cross-validation, the number of epochs of each fold that was begun.
    """
    epochs = [Score(value, direction, epoch) for epoch, value in enumerate(curve, 1)]
    if not fold_lengths:
        return best_of(epochs)
    ends = [0, *itertools.accumulate(fold_lengths)]
    folds = [best for start, end in itertools.pairwise(ends) if (best := best_of(epochs[start:end])) is not None]
    return over_folds(folds) if folds else None
