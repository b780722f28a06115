"""Intervals of means over seeds, from a seed-to-seed deviation that all finalists share."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from scipy import optimize, special

from hpo.statistics.two_way import Scores, designed, resolution
from hpo.study.confirmation import Estimate

LEVEL = 0.95


@dataclass(frozen=True)
class Selected:
    """The choice of the best of several means, which flatters its mean."""

    choices: int = 1
    """The number of means from which it was chosen by the same scores; 1: it was not chosen by them."""
    sign: int = 1
    """1 where higher is better, else -1."""

    def parts(self, together: int) -> tuple[float, float]:
        """The quantiles by which the mean may be too good, and by which it may be too bad, as parts of 1.

        The interval reaches further on the side of worse scores. If all means are truly equal, the error of the best is
        the largest of them all; if they are far apart, it is like any other. Both equations hold at once: p^k - q^k = c
        and p - q = c, for k choices, 95% confidence c, and the parts p of errors below the upper limit and q below the
        lower one. For one choice or two the interval is the usual symmetric one.
        """
        confidence = 1 - (1 - LEVEL) / together
        usual = (1 + confidence) / 2
        if self.choices < 3:
            return usual, usual
        too_good = float(optimize.brentq(self._missing, usual, 1.0, args=(confidence,)))
        return too_good, 1 - (too_good - confidence)

    def _missing(self, part: float, confidence: float) -> float:
        return part**self.choices - (part - confidence) ** self.choices - confidence


@dataclass(frozen=True)
class Deviation:
    """The standard deviation of a configuration's scores from seed to seed, pooled over configurations."""

    value: float
    freedom: float
    """Degrees of freedom. There are fewer than the number of runs suggests if configurations share the luck of their
    seeds."""

    def interval(self, values: Sequence[float], selected: Selected = Selected(), together: int = 1) -> Estimate:
        """The mean of scores and its 95% interval, by Student's t.

        Args:
            values: one score for each seed.
            selected: how these scores took part in a choice.
            together: the number of intervals that must hold at once (Bonferroni).
        """
        mean, own = float(np.mean(values)), float(np.std(values, ddof=1)) if len(values) > 1 else 0.0
        error = self.value / len(values) ** 0.5
        above, below = (self._quantile(part) * error if error else 0.0 for part in selected.parts(together))
        low, high = (above, below) if selected.sign > 0 else (below, above)
        return Estimate(mean=mean, deviation=own, low=mean - low, high=mean + high, seeds=len(values))

    def _quantile(self, part: float) -> float:
        return float(special.stdtrit(self.freedom, part))


def pooled(scores: Scores) -> Deviation | None:
    """The deviation estimated from all configurations together; None if no configuration has two scores.

    The degrees of freedom are Satterthwaite's (Biometrics Bulletin 1946) for the sum of squares within configurations.
    The model of a score is: the effect of its configuration, plus the luck of its seed, plus a residual.
    """
    scores = {one: values for one, values in scores.items() if values}
    if all(len(values) < 2 for values in scores.values()):
        return None
    design, values = designed(scores)
    ones, seeds = np.split(design.matrix, [len(design.cells)], axis=1)
    # Subtracts from each score the mean of its configuration.
    centring = np.eye(len(values)) - ones @ np.linalg.pinv(ones)
    # Rounding may make it a little less than 0 where all scores are the same.
    variance = max(0.0, float(values @ centring @ values)) / round(np.trace(centring))
    residual = float(design.deviation(values)) ** 2
    # The variance of the seeds' luck in units of the residual variance, by the method of moments.
    luck = max(0.0, variance / residual - 1) if residual and design.freedom else 0.0
    spread = centring + luck * centring @ seeds @ seeds.T
    freedom = np.trace(spread) ** 2 / np.trace(spread @ spread)
    return Deviation(max(variance**0.5, resolution(values)), float(freedom))
