"""Which configurations are worse than the best one, all claims at once: a closed test in the two-way model.

The best is whichever came out best, so tests of each configuration against a fixed other (Dunnett's, Bonferroni's) call
one of five equals worse in 14% of studies. Here a configuration is called worse only where every set of configurations
that holds it and the best is found to be unequal (a closed test: Marcus, Peritz & Gabriel, Biometrika 1976). Then any
false claim is made in at most 5% of studies, whichever configurations are truly equal.

A set is found unequal by the larger of two statistics, each in its own standard errors: the best against the lowest
(Tukey's range, which sees the one that is worse than the rest), and the best against the mean of the others (which sees
the one that is better than the rest). How large they are among equals is drawn: normal noise on the runs that there
are, of which a race gave more to those with the better noise.
"""

from collections.abc import Collection
from functools import lru_cache

import numpy as np
import numpy.typing as npt

from hpo.statistics.two_way import Bools, Design, Floats, TwoWay

DRAWS = 10_000
"""A p-value of 0.05 is then off by 0.002, one standard deviation; none is below 1 in 10,001."""

_LEVEL = 0.05


def p_values(model: TwoWay, best: int, eligible: Collection[int], sign: int) -> dict[int, float]:
    """Configuration -> p-value of its being no worse than the best, of those that can be compared with it.

    Args:
        model: the scores of all configurations.
        best: the one that came out best.
        eligible: those that could have come out best; what a race left behind could not.
        sign: 1 where higher is better, else -1.
    """
    place = {one: index for index, one in enumerate(model.configurations)}
    first = place[best]
    linked = [place[one] for one in model.differences(best) if one != best]
    ranked = sorted(linked, key=lambda index: -sign * model.effects[index])
    if not ranked or model.design.freedom < 1:
        return {}
    may_lead = np.isin(model.configurations, list(eligible))
    found = {}
    for other in ranked:
        # Of the sets of one size, the one with the best others is the hardest to find unequal.
        better = [index for index in ranked if index != other]
        sets = [[first, other, *better[:size]] for size in range(len(ranked))]
        found[model.configurations[other]] = max(_p_value(model, members, may_lead, sign) for members in sets)
    return found


def _p_value(model: TwoWay, members: list[int], may_lead: Bools, sign: int) -> float:
    """Of the hypothesis that these configurations, of which the first came out best, are equal."""
    if model.deviation == 0.0:
        return 1.0
    cells, first = model.design.cells, members[0]
    # In an order of their own: what differs in the order of configurations alone shares its draws.
    members = sorted(members, key=lambda index: (cells[index].sum(), cells[index].tobytes(), may_lead[index]))[::-1]
    others = sorted(set(range(len(cells))) - set(members), key=lambda index: cells[index].tobytes())
    ordered = cells[[*members, *others]]
    limits, drawn = _among_equals(ordered.tobytes(), ordered.shape, tuple(may_lead[members]))
    covariance = model.design.covariance[np.ix_(members, members)]
    leader = np.array([members.index(first)])
    found = _statistics(sign * model.effects[None, members], covariance, leader) / model.deviation
    return float((1 + np.sum(drawn >= (found / limits).max())) / (1 + len(drawn)))


@lru_cache(maxsize=1024)
def _among_equals(cells: bytes, shape: tuple[int, int], may_lead: tuple[bool, ...]) -> tuple[Floats, Floats]:
    """The 95% quantiles of both statistics among the first configurations of a design, and draws of the larger.

    Args:
        cells: of the design, as bytes, the members of the set first, those with more runs before others.
        shape: configurations x seeds.
        may_lead: of each member, whether it could have come out best.
    """
    design, size = Design(np.frombuffer(cells, bool).reshape(shape)), len(may_lead)
    random = np.random.default_rng(0)
    noise = random.standard_normal((DRAWS, *shape))
    common = design.cells[:size].all(axis=0)
    if not common.all() and common.any():
        order = np.argsort(-noise[:, :size, common].mean(axis=2), axis=1)
        noise[:, :size] = np.take_along_axis(noise[:, :size], order[:, :, None], axis=1)
    scores = noise[:, design.cells]
    effects = design.effects(scores)[:, :size]
    leaders = np.where(may_lead, effects, -np.inf).argmax(axis=1)
    drawn = _statistics(effects, design.covariance[:size, :size], leaders) / design.deviation(scores)[:, None]
    limits = np.quantile(drawn, 1 - _LEVEL, axis=0)
    return limits, (drawn / limits).max(axis=1)


def _statistics(effects: Floats, covariance: Floats, leaders: npt.NDArray[np.intp]) -> Floats:
    """... x 2: the leader against the lowest, and against the mean of the others, both in standard errors of theirs."""
    size = effects.shape[1]
    own, rows = np.diag(covariance), np.arange(len(effects))
    single = np.sqrt(own[:, None] + own - 2 * covariance) + np.eye(size)
    # The contrasts of each with the mean of the others.
    contrasts = (size * np.eye(size) - 1) / (size - 1)
    mean = np.sqrt(np.einsum("ij,jk,ik->i", contrasts, covariance, contrasts))
    ranges = ((effects[rows, leaders, None] - effects) / single[leaders]).max(axis=1)
    means = np.einsum("rj,rj->r", effects, contrasts[leaders]) / mean[leaders]
    return np.stack([ranges, means], axis=1)
