"""Intervals of means over seeds, from a seed-to-seed deviation that all finalists share."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from scipy import optimize, special

from hpo.statistics.two_way import Scores, designed, resolution
from hpo.study.confirmation import Estimate

LEVEL = 0.95


@dataclass(frozen=True)
class Deviation:
    """The standard deviation of a configuration's scores from seed to seed, pooled over configurations."""

    value: float
    freedom: float
    """Degrees of freedom. There are fewer than the number of runs suggests if configurations share the luck of their
    seeds."""

    def interval(self, values: Sequence[float], choices: int = 1, together: int = 1) -> Estimate:
        """The mean of scores and its 95% interval, by Student's t.

        Args:
            values: one score for each seed.
            choices: the number of means from which this one was chosen as the best by these same scores. The interval
                is widened until it covers the true mean of the best of this many equal ones in 95% of studies
                (Fuentes, Casella & Wells, Electronic Journal of Statistics 2018). For two it is no wider.
            together: the number of intervals that must hold at once (Bonferroni).
        """
        mean, own = float(np.mean(values)), float(np.std(values, ddof=1)) if len(values) > 1 else 0.0
        half = self._quantile(choices, together) * self.value / len(values) ** 0.5 if self.value else 0.0
        return Estimate(mean=mean, deviation=own, low=mean - half, high=mean + half, seeds=len(values))

    def _quantile(self, choices: int, together: int) -> float:
        beyond = (1 - LEVEL) / together

        def missing(limit: float) -> float:
            inside = special.stdtr(self.freedom, limit) ** choices - special.stdtr(self.freedom, -limit) ** choices
            return 1 - float(inside) - beyond

        # With two choices the plain quantile solves the equation.
        most = -float(special.stdtrit(self.freedom, beyond / 2 / (choices if choices > 2 else 1)))
        return float(optimize.brentq(missing, 0.0, most)) if choices > 2 else most


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
    variance = float(values @ centring @ values) / round(np.trace(centring))
    residual = float(design.deviation(values)) ** 2
    # The variance of the seeds' luck in units of the residual variance, by the method of moments.
    luck = max(0.0, variance / residual - 1) if residual and design.freedom else 0.0
    spread = centring + luck * centring @ seeds @ seeds.T
    freedom = np.trace(spread) ** 2 / np.trace(spread @ spread)
    return Deviation(max(variance**0.5, resolution(values)), float(freedom))
