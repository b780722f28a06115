"""Intervals of means over seeds, by a deviation from seed to seed that all finalists share."""

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
    """Degrees of freedom: fewer than runs would give where configurations share the luck of their seeds."""

    def interval(self, values: Sequence[float], choices: int = 1, together: int = 1) -> Estimate:
        """The mean of scores and its 95% interval, by Student's t.

        Args:
            values: one score a seed.
            choices: among so many means this one is the best, by these very scores: the interval is widened until it
                covers the true mean of the best of so many equal ones in 95% of studies (Fuentes, Casella & Wells,
                Electronic Journal of Statistics 2018). For two that is no wider.
            together: how many intervals are to hold at once (Bonferroni).
        """
        mean, own = float(np.mean(values)), float(np.std(values, ddof=1)) if len(values) > 1 else 0.0
        half = self._quantile(choices, together) * self.value / len(values) ** 0.5 if self.value else 0.0
        return Estimate(mean=mean, deviation=own, low=mean - half, high=mean + half, seeds=len(values))

    def _quantile(self, choices: int, together: int) -> float:
        beyond = (1 - LEVEL) / together

        def missing(limit: float) -> float:
            inside = special.stdtr(self.freedom, limit) ** choices - special.stdtr(self.freedom, -limit) ** choices
            return 1 - float(inside) - beyond

        # Between two the equation holds of the plain quantile.
        most = -float(special.stdtrit(self.freedom, beyond / 2 / (choices if choices > 2 else 1)))
        return float(optimize.brentq(missing, 0.0, most)) if choices > 2 else most


def pooled(scores: Scores) -> Deviation | None:
    """The deviation of all configurations together; None where no configuration has two scores.

    The degrees of freedom are Satterthwaite's (Biometrics Bulletin 1946), of the sum of squares within configurations,
    where a score is that of its configuration plus the luck of its seed plus a residual.
    """
    scores = {one: values for one, values in scores.items() if values}
    if all(len(values) < 2 for values in scores.values()):
        return None
    design, values = designed(scores)
    ones, seeds = np.split(design.matrix, [len(design.cells)], axis=1)
    # Takes the mean of its configuration from each score.
    centring = np.eye(len(values)) - ones @ np.linalg.pinv(ones)
    variance = float(values @ centring @ values) / round(np.trace(centring))
    residual = float(design.deviation(values)) ** 2
    # Of seeds against the residual, by the method of moments.
    luck = max(0.0, variance / residual - 1) if residual and design.freedom else 0.0
    spread = centring + luck * centring @ seeds @ seeds.T
    freedom = np.trace(spread) ** 2 / np.trace(spread @ spread)
    return Deviation(max(variance**0.5, resolution(values)), float(freedom))
