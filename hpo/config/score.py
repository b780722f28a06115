"""A score: what an objective came to, which way is better, where it was reached; and all that compares scores."""

import itertools
import math
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from typing import Any

from hpo.config.metrics import Direction


def merit(values: Any, direction: Direction) -> Any:
    """Values, a number or an array of them, turned such that more is better."""
    return values if direction == "maximize" else -values


@dataclass(frozen=True)
class Score:
    """What an objective came to."""

    value: float
    """Of k-fold cross-validation, the mean over the folds' best epochs."""
    direction: Direction
    """Which way is better."""
    epoch: int | None = None
    """The best epoch, counted from 1, through all folds."""
    fold_epochs: tuple[int, ...] = ()
    """Of k-fold cross-validation, the best epoch of each fold, counted like `epoch`."""

    @property
    def merit(self) -> float:
        """The value, turned such that more is better: what scores are sorted by."""
        return float(merit(self.value, self.direction))

    def lead(self, other: "Score") -> float:
        """By how much it is better than another; negative where it is worse."""
        return self.merit - other.merit

    def better_than(self, other: "Score | None", by: float = 0.0) -> bool:
        """Whether it is better by more than `by`; any score is better than none."""
        return other is None or self.lead(other) > by

    def reaches(self, target: float | None) -> bool:
        """Whether it is at least as good as a target; without one there is nothing to reach."""
        return target is not None and self.lead(replace(self, value=target)) >= 0


def best_of(scores: Iterable[Score]) -> Score | None:
    """The best score, the first of equal ones; None where there is none."""
    return max(scores, key=lambda score: score.merit, default=None)


def over_folds(scores: Sequence[Score]) -> Score:
    """The score of a trial whose folds have these: their mean, reached where the best of them was."""
    best = max(scores, key=lambda score: score.merit)
    # As statistics.fmean, whose module takes 10 ms to import: `hpo list` should not wait for it.
    mean = math.fsum(score.value for score in scores) / len(scores)
    return replace(best, value=mean, fold_epochs=tuple(score.epoch or 0 for score in scores))


def along(curve: Sequence[float], direction: Direction, fold_lengths: Sequence[int] = ()) -> Score | None:
    """The score of a curve with a value for each epoch; None where it has none.

    `fold_lengths`: of k-fold cross-validation, the epochs of each fold that was begun.
    """
    epochs = [Score(value, direction, epoch) for epoch, value in enumerate(curve, 1)]
    if not fold_lengths:
        return best_of(epochs)
    ends = [0, *itertools.accumulate(fold_lengths)]
    folds = [best for start, end in itertools.pairwise(ends) if (best := best_of(epochs[start:end])) is not None]
    return over_folds(folds) if folds else None
