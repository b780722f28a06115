"""The estimates of what more training would gain, one before each trial; and when they end a study."""

from dataclasses import dataclass, field

import numpy as np

# A study is at its end once so many estimates in a row say so, at least.
_IN_A_ROW = 3
# And once none of so many newest trials is better than those before: a model that knows no better region expects none.
_PATIENCE = 25


@dataclass(frozen=True)
class Expected:
    """What another tenth of the budget is expected to gain; both in the unit of the objective, and not negative."""

    gain: float
    """The expected rise of the best score."""
    floor: float
    """The noise floor: the deviation of the noise of a score, as the process has fitted it. The deviation from seed to
    seed, which `hpo confirm` measures, is larger: with that as the bound studies ended too early."""


@dataclass
class Estimates:
    """The estimates of a study, one before each configuration that was begun since there are any."""

    min_gain: float | None = None
    """A gain that is worth another tenth of the budget; None: the noise floor."""
    known: dict[int, Expected | None] = field(default_factory=dict)
    """How many trials had been begun -> the estimate."""

    def is_over(self, more: int, merits: np.ndarray) -> bool:
        """Whether `more` trials, a tenth of the budget, are not worth while, by the last estimates and the last trials.

        `merits`: the best merit of each trial of the study itself, in the order in which they began; not finite where
        it has none.
        """
        last = [self.known[count] for count in sorted(self.known)][-max(_IN_A_ROW, more) :]
        known = np.where(np.isfinite(merits), merits, -np.inf)
        before = known[:-_PATIENCE].max(initial=-np.inf)
        if len(last) < max(_IN_A_ROW, more) or before == -np.inf:
            return False
        rise = known.max() - before
        return all(one is not None and max(one.gain, rise) < self._least(one) for one in last)

    def _least(self, one: Expected) -> float:
        return one.floor if self.min_gain is None else self.min_gain
