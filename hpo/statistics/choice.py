"""The choice between configurations by their scores over seeds: which to use, how good it is, and which are worse."""

from collections.abc import Collection, Mapping
from dataclasses import dataclass, field

import numpy as np
from scipy import special

from hpo.statistics.against_best import p_values
from hpo.statistics.intervals import LEVEL, Deviation, pooled
from hpo.statistics.two_way import Scores, TwoWay, fitted
from hpo.study.confirmation import Estimate


@dataclass(frozen=True)
class Candidates:
    """Which configurations may be chosen, and by what rule."""

    eligible: Collection[int]
    """The configurations that may be the best: those that a race did not drop."""
    fresh: Collection[int] | None = None
    """Seeds that had no part in making these eligible, and whose results were not looked at before; None: all seeds."""
    margin: float | None = None
    """The cheapest configuration whose mean is at most this much worse than the best mean is chosen. In the unit of the
    score; None: the configuration with the best mean is chosen."""
    costs: Mapping[int, tuple[float, ...]] = field(default_factory=dict)
    """Configuration -> its costs, compared in order; needed only with a margin."""

    def fresh_scores(self, scores: Mapping[int, float]) -> list[float]:
        """The scores of the fresh seeds, from scores by seed."""
        return [value for seed, value in scores.items() if self.fresh is None or seed in self.fresh]


@dataclass(frozen=True)
class Choice:
    """The configuration to use, and how good it is."""

    best: int
    """The configuration with the best mean, in the two-way model."""
    chosen: int
    """The configuration to use: the best, or with a margin a cheaper one."""
    estimate: Estimate
    """The score to expect from the chosen configuration, with its 95% interval."""
    deviation: Deviation
    """The standard deviation from seed to seed."""
    may_cost: float | None = None
    """By how much the chosen configuration may be worse than the best: the upper end of a one-sided 95% interval. None
    if it is the best itself, or if the deviation is unknown."""


@dataclass(frozen=True)
class Comparison:
    """A configuration compared with the best one."""

    behind: float
    """By how much its mean is worse, on the seeds that they share; negative: better."""
    p_value: float | None
    """The p-value of the hypothesis that it is no worse than the best (see `hpo.statistics.against_best`); None if the
    deviation is unknown."""


def choose(scores: Scores, sign: int, candidates: Candidates) -> Choice | None:
    """The choice by all scores; None if no configuration has two scores, the fewest from which a deviation follows.

    Args:
        scores: configuration -> seed -> score.
        sign: 1 where higher is better, else -1.
        candidates: the configurations that may be chosen; each has a score.
    """
    deviation = pooled(scores)
    if deviation is None:
        return None
    model = fitted(scores)
    best = _best(model, scores, sign, candidates.eligible)
    if candidates.margin is None:
        return Choice(best, best, _estimate(scores, best, candidates, deviation), deviation)
    behind = {one: -sign * difference for one, difference in model.differences(best).items()}
    near = [one for one in candidates.eligible if behind.get(one, np.inf) <= candidates.margin]
    # Among equal costs, the best.
    chosen = min(near, key=lambda one: (candidates.costs[one], behind[one]))
    may_cost = None if chosen == best else _may_cost(model, best, chosen, behind[chosen])
    return Choice(best, chosen, _estimate(scores, chosen, candidates, deviation), deviation, may_cost)


def compared(scores: Scores, sign: int, best: int, eligible: Collection[int]) -> dict[int, Comparison]:
    """Compares each other configuration with the best one.

    Configurations that share no seed with the best, directly or through others, are left out.

    Args:
        scores: configuration -> seed -> score.
        sign: 1 where higher is better, else -1.
        best: the configuration with the best result.
        eligible: the configurations that could have been the best: those that a race did not drop.
    """
    model = fitted(scores)
    found = p_values(model, best, eligible, sign)
    worse = {one: value if _worse_where_shared(scores, best, one, sign) else 1.0 for one, value in found.items()}
    behind = {one: -sign * difference for one, difference in model.differences(best).items() if one != best}
    return {one: Comparison(value, worse.get(one)) for one, value in behind.items()}


def _best(model: TwoWay, scores: Scores, sign: int, eligible: Collection[int]) -> int:
    """The configuration with the best mean.

    The model removes the luck of the seeds from the means. Plain means decide where the seeds allow no comparison.
    """
    first = next(iter(eligible))
    apart = model.differences(first)
    if set(eligible) <= apart.keys():
        return max(eligible, key=lambda one: sign * apart[one])
    return max(eligible, key=lambda one: sign * float(np.mean(list(scores[one].values()))))


def _worse_where_shared(scores: Scores, best: int, other: int, sign: int) -> bool:
    """Whether the best is better than the other on the seeds that they share; true if they share none."""
    shared = scores[best].keys() & scores[other].keys()
    return not shared or sign * sum(scores[best][seed] - scores[other][seed] for seed in shared) > 0


def _estimate(scores: Scores, chosen: int, candidates: Candidates, deviation: Deviation) -> Estimate:
    """The score to expect from the chosen configuration.

    It comes from the fresh seeds, on which the choice was between the eligible configurations. With too few fresh seeds
    it comes from all seeds, on which the choice was between all configurations.
    """
    values = scores[chosen]
    fresh = candidates.fresh_scores(values)
    if len(fresh) < min(2, len(values)):
        return deviation.interval(list(values.values()), choices=len(scores))
    return deviation.interval(fresh, choices=len(candidates.eligible))


def _may_cost(model: TwoWay, best: int, chosen: int, behind: float) -> float | None:
    if model.design.freedom < 1:
        return None
    places = model.configurations.index(best), model.configurations.index(chosen)
    error = float(model.design.errors(model.deviation)[places])
    return max(0.0, behind + float(special.stdtrit(model.design.freedom, LEVEL)) * error)
