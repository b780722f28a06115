"""The choice between configurations by their scores over seeds: which to use, how good it is, and which are worse."""

from collections.abc import Collection, Mapping
from dataclasses import dataclass, field

import numpy as np
from scipy import special

from hpo.statistics.against_best import p_values
from hpo.statistics.intervals import LEVEL, Deviation, Selected, pooled
from hpo.statistics.two_way import Scores, TwoWay, fitted
from hpo.study.confirmation import Estimate


@dataclass(frozen=True)
class Candidates:
    """Which configurations may be chosen, and by what rule."""

    eligible: Collection[int]
    """The configurations that may be the best: those that a race did not drop."""
    fresh: Collection[int] | None = None
    """Seeds whose results were not looked at before they were run; None: all seeds."""
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
    """The score to expect from the chosen configuration, by its fresh seeds, or with too few of them by all. Its 95%
    interval allows for the choice."""
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
    chosen, may_cost = best, None
    if candidates.margin is not None:
        chosen, may_cost = _cheapest(model, best, sign, candidates)
    fresh, values = candidates.fresh_scores(scores[chosen]), list(scores[chosen].values())
    # The choice by these scores was between all configurations: the rounds of a race are part of it.
    selected = Selected(sum(map(bool, scores.values())), sign)
    estimate = deviation.interval(values if len(fresh) < min(2, len(values)) else fresh, selected)
    return Choice(best, chosen, estimate, deviation, may_cost)


def _cheapest(model: TwoWay, best: int, sign: int, candidates: Candidates) -> tuple[int, float | None]:
    """The cheapest configuration within the margin of the best, and by how much it may be worse."""
    assert candidates.margin is not None
    behind = {one: -sign * difference for one, difference in model.differences(best).items()}
    near = [one for one in candidates.eligible if behind.get(one, np.inf) <= candidates.margin]
    # Among equal costs, the best.
    chosen = min(near, key=lambda one: (candidates.costs[one], behind[one]))
    return chosen, None if chosen == best else _may_cost(model, best, chosen, behind[chosen])


def compared(scores: Scores, sign: int, best: int) -> dict[int, Comparison]:
    """Compares each other configuration with the best one.

    Configurations that share no seed with the best, directly or through others, are left out.

    Args:
        scores: configuration -> seed -> score.
        sign: 1 where higher is better, else -1.
        best: the configuration with the best result.
    """
    model = fitted(scores)
    found = p_values(model, best, sign)
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


def _may_cost(model: TwoWay, best: int, chosen: int, behind: float) -> float | None:
    if model.design.freedom < 1:
        return None
    places = model.configurations.index(best), model.configurations.index(chosen)
    error = float(model.design.errors(model.deviation)[places])
    return max(0.0, behind + float(special.stdtrit(model.design.freedom, LEVEL)) * error)
