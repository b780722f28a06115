"""Whether the choice of one study is better than that of another, by their confirming runs.

The means are independent: studies have their own seeds. But the mean of a choice is flattered if its own scores decided
it: among equal finalists it is the largest of all means. By how much is not known, since that depends on the true
means. So a p-value assumes the least favourable ones: equal finalists in the study that looks better, and in the other
study finalists so far apart that nothing flattered the choice. For studies of one finalist each this is the test of
Behrens and Fisher (Annals of Eugenics 1935), which is slightly stricter than Welch's.

Both directions count, since the data show which study looks better, and Bonferroni's correction is for all pairs of
studies: of truly equal ones any is called worse in at most 5%.
"""

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np

from hpo.statistics.intervals import pooled
from hpo.statistics.two_way import Floats
from hpo.study.confirmation import LEVEL, Confirmation

_DRAWS = 100_000
"""The number of errors that are drawn: a p-value of 0.05 is off by 0.0007 (one standard deviation)."""


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
    error: float
    """The standard error of a mean of as many seeds."""
    freedom: float
    """The degrees of freedom of the error."""
    choices: int
    """The number of finalists from which the choice was made."""

    def drawn(self, random: np.random.Generator, choices: int) -> Floats:
        """Errors of the largest of some means whose true values are equal, shape (_DRAWS,)."""
        largest = random.standard_normal((choices, _DRAWS)).max(axis=0)
        errors: Floats = self.error * largest / np.sqrt(random.chisquare(self.freedom, _DRAWS) / self.freedom)
        return errors


def compared_studies(confirmed: Mapping[str, Confirmation], sign: int) -> dict[str, Compared]:
    """Study -> its comparison with the best one; empty unless at least two have a confirmed mean.

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
    choices = sum(map(bool, (one.values for one in confirmation.finalists)))
    return _Mean(estimate.mean, deviation.value / estimate.seeds**0.5, deviation.freedom, choices)


def _p_value(best: _Mean, other: _Mean, studies: int) -> float | None:
    if best.error == other.error == 0:
        return None
    random = np.random.default_rng(0)
    luck = best.drawn(random, best.choices) - other.drawn(random, 1)
    share = (1 + np.sum(np.abs(luck) >= abs(best.value - other.value))) / (1 + _DRAWS)
    return float(min(1.0, studies * (studies - 1) / 2 * share))
