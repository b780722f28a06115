"""The choice between configurations by their scores over seeds: which, how good it is, and which are worse."""

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
    """Those that may come out best: a race leaves others behind."""
    fresh: Collection[int] | None = None
    """Seeds that had no part in making these eligible, and were not looked at before; None: all."""
    margin: float | None = None
    """The cheapest within so much of the best mean is chosen, in the score's unit; None: the best mean."""
    costs: Mapping[int, tuple[float, ...]] = field(default_factory=dict)
    """What each costs, to be compared; needed with a margin alone."""


@dataclass(frozen=True)
class Choice:
    """What to use, and how good it is."""

    best: int
    """The configuration with the best mean, in the two-way model."""
    chosen: int
    """The same, or with a margin a cheaper one."""
    estimate: Estimate
    """What is to be expected of the chosen one, with its 95% interval."""
    deviation: Deviation
    """From seed to seed."""
    may_cost: float | None = None
    """By how much the chosen one may be worse than the best: the upper end of a one-sided 95% interval. None where it
    is the best itself, or nothing is known of the deviation."""


@dataclass(frozen=True)
class Comparison:
    """A configuration beside the best one."""

    behind: float
    """By how much its mean is worse, on the seeds that they share; negative: better."""
    p_value: float | None
    """Of its being no worse than the best, see `hpo.statistics.against_best`; None where no deviation is known."""


def choose(scores: Scores, sign: int, candidates: Candidates) -> Choice | None:
    """The choice by all scores; None where no configuration has two, which is the least that tells a deviation.

    Args:
        scores: configuration -> seed -> score.
        sign: 1 where higher is better, else -1.
        candidates: which may be chosen, each with a score.
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
    # Of equal costs the best.
    chosen = min(near, key=lambda one: (candidates.costs[one], behind[one]))
    may_cost = None if chosen == best else _may_cost(model, best, chosen, behind[chosen])
    return Choice(best, chosen, _estimate(scores, chosen, candidates, deviation), deviation, may_cost)


def compared(scores: Scores, sign: int, best: int, eligible: Collection[int]) -> dict[int, Comparison]:
    """Each other configuration beside the best; those that share no seed with it, even through others, are left out.

    Args:
        scores: configuration -> seed -> score.
        sign: 1 where higher is better, else -1.
        best: the configuration that came out best.
        eligible: those that could have: a race leaves others behind.
    """
    model = fitted(scores)
    found = p_values(model, best, eligible, sign)
    worse = {one: value if _worse_where_shared(scores, best, one, sign) else 1.0 for one, value in found.items()}
    behind = {one: -sign * difference for one, difference in model.differences(best).items() if one != best}
    return {one: Comparison(value, worse.get(one)) for one, value in behind.items()}


def _best(model: TwoWay, scores: Scores, sign: int, eligible: Collection[int]) -> int:
    """The best mean, of which the model takes the luck of seeds; the plain mean where seeds allow no comparison."""
    first = next(iter(eligible))
    apart = model.differences(first)
    if set(eligible) <= apart.keys():
        return max(eligible, key=lambda one: sign * apart[one])
    return max(eligible, key=lambda one: sign * float(np.mean(list(scores[one].values()))))


def _worse_where_shared(scores: Scores, best: int, other: int, sign: int) -> bool:
    """Whether the best is the better on the seeds that both have, as far as there are any."""
    shared = scores[best].keys() & scores[other].keys()
    return not shared or sign * sum(scores[best][seed] - scores[other][seed] for seed in shared) > 0


def _estimate(scores: Scores, chosen: int, candidates: Candidates, deviation: Deviation) -> Estimate:
    """From the fresh seeds, among which there was a choice between the eligible; else from all, between all."""
    values = scores[chosen]
    fresh = [value for seed, value in values.items() if candidates.fresh is None or seed in candidates.fresh]
    if len(fresh) < min(2, len(values)):
        return deviation.interval(list(values.values()), choices=len(scores))
    return deviation.interval(fresh, choices=len(candidates.eligible))


def _may_cost(model: TwoWay, best: int, chosen: int, behind: float) -> float | None:
    if model.design.freedom < 1:
        return None
    places = model.configurations.index(best), model.configurations.index(chosen)
    error = float(model.design.errors(model.deviation)[places])
    return max(0.0, behind + float(special.stdtrit(model.design.freedom, LEVEL)) * error)
