"""Whether the choice of one study is better than that of another, by their confirming runs.

The means are independent: studies have their own seeds. All pairs are tested together, by the studentized range with
the degrees of freedom of each pair (Games & Howell, Journal of Educational Statistics 1976); for two studies this is
Welch's t-test. Which study has the best mean is allowed for, since a claim about any pair is wrong in at most 5%.
"""

from collections.abc import Mapping
from dataclasses import dataclass

from scipy import special

from hpo.statistics.intervals import pooled
from hpo.study.confirmation import LEVEL, Confirmation


@dataclass(frozen=True)
class Compared:
    """A study beside the one with the best confirmed mean."""

    best: bool
    """Whether it is the one with the best mean."""
    behind: float
    """By how much its confirmed mean is worse."""
    p_value: float | None
    """The p-value of the hypothesis that both choices are equally good; None for the best itself, and where no
    deviation is known."""

    @property
    def verdict(self) -> str:
        """best, worse, or cannot be told apart."""
        if self.best:
            return "best"
        return "worse" if self.p_value is not None and self.p_value < LEVEL else "cannot be told apart"


@dataclass(frozen=True)
class _Mean:
    value: float
    variance: float
    freedom: float


def compared_studies(confirmed: Mapping[str, Confirmation], sign: int) -> dict[str, Compared]:
    """Study -> its comparison with the best one; empty unless at least two have a confirmed mean.

    A mean is that of the seeds that played no part in the choice of the finalist, so more finalists do not flatter it.

    Args:
        confirmed: study -> its confirmation, all for the same objective.
        sign: 1 where higher is better, else -1.
    """
    means = {name: mean for name, one in confirmed.items() if (mean := _mean(one)) is not None}
    if len(means) < 2:
        return {}
    best = max(means, key=lambda name: sign * means[name].value)
    found = {}
    for name, mean in means.items():
        p_value = None if name == best else _p_value(means[best], mean, len(means))
        found[name] = Compared(name == best, abs(means[best].value - mean.value), p_value)
    return found


def _mean(confirmation: Confirmation) -> _Mean | None:
    estimate = confirmation.estimate
    deviation = pooled({one.trial: one.values for one in confirmation.finalists})
    if estimate is None or deviation is None:
        return None
    return _Mean(estimate.mean, deviation.value**2 / estimate.seeds, deviation.freedom)


def _p_value(one: _Mean, other: _Mean, studies: int) -> float | None:
    variance = one.variance + other.variance
    if variance == 0:
        return None
    freedom = variance**2 / (one.variance**2 / one.freedom + other.variance**2 / other.freedom)
    statistic = abs(one.value - other.value) / variance**0.5
    if studies == 2:
        return float(2 * special.stdtr(freedom, -statistic))
    from scipy.stats import studentized_range

    return float(studentized_range.sf(2**0.5 * statistic, studies, freedom))
