"""Which configurations are worse than the best one, tested together: a closed test in the two-way model.

The data decide which configuration is the best. Tests of each configuration against one that was fixed beforehand
(Dunnett's, Bonferroni's) do not allow for that: they call one of five equal configurations worse in 14% of studies.
Here a configuration is called worse only if every set of configurations that contains it and the best is found to be
unequal (a closed test: Marcus, Peritz & Gabriel, Biometrika 1976). A false claim is then made in at most 5% of studies,
whichever configurations are truly equal.

Whether a set is unequal is decided by the larger of two statistics, each in its own standard errors. One is the best
against the lowest (Tukey's range), which detects one configuration that is worse than the rest. The other is the best
against the mean of the others, which detects one that is better than the rest. How large the statistics are among equal
configurations is simulated: normal noise is drawn for the runs that were made, and a race gives more runs to the
configurations with the better noise.
"""

from collections.abc import Collection
from functools import lru_cache

import numpy as np
import numpy.typing as npt

from hpo.statistics.two_way import Bools, Design, Floats, TwoWay
from hpo.study.confirmation import LEVEL

DRAWS = 10_000
"""The number of simulated studies. A p-value of 0.05 is then off by 0.002 (one standard deviation), and no p-value is
below 1 in 10,001."""


def p_values(model: TwoWay, best: int, eligible: Collection[int], sign: int) -> dict[int, float]:
    """Configuration -> p-value of the hypothesis that it is no worse than the best one.

    Configurations that cannot be compared with the best are left out.

    Args:
        model: the scores of all configurations.
        best: the configuration with the best result.
        eligible: the configurations that could have been the best; those that a race dropped could not.
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
        # Among the sets of one size, the one with the best other members is the hardest to find unequal.
        better = [index for index in ranked if index != other]
        sets = [[first, other, *better[:size]] for size in range(len(ranked))]
        found[model.configurations[other]] = max(_p_value(model, members, may_lead, sign) for members in sets)
    return found


def _p_value(model: TwoWay, members: list[int], may_lead: Bools, sign: int) -> float:
    """The p-value of the hypothesis that these configurations are equal; the first of them had the best result."""
    if model.deviation == 0.0:
        return 1.0
    cells, first = model.design.cells, members[0]
    # Sorted, so that sets which differ only in the order of their configurations share one cached simulation.
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
    """Simulates both statistics for equal configurations.

    Returns their 95% quantiles, shape (2,), and draws of the larger of the two, each divided by its quantile, shape
    (DRAWS,).

    Args:
        cells: `Design.cells` as bytes; the members of the set come first, those with more runs before the others.
        shape: configurations x seeds.
        may_lead: for each member of the set, whether it could have been the best.
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
    limits = np.quantile(drawn, 1 - LEVEL, axis=0)
    return limits, (drawn / limits).max(axis=1)


def _statistics(effects: Floats, covariance: Floats, leaders: npt.NDArray[np.intp]) -> Floats:
    """Both statistics, shape (..., 2): the leader against the lowest, and the leader against the mean of the others.

    Each is in its own standard errors.
    """
    size = effects.shape[1]
    own, rows = np.diag(covariance), np.arange(len(effects))
    single = np.sqrt(own[:, None] + own - 2 * covariance) + np.eye(size)
    # Each row is the contrast of one configuration with the mean of the others.
    contrasts = (size * np.eye(size) - 1) / (size - 1)
    mean = np.sqrt(np.einsum("ij,jk,ik->i", contrasts, covariance, contrasts))
    ranges = ((effects[rows, leaders, None] - effects) / single[leaders]).max(axis=1)
    means = np.einsum("rj,rj->r", effects, contrasts[leaders]) / mean[leaders]
    return np.stack([ranges, means], axis=1)
