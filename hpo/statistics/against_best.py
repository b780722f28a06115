"""Which configurations are worse than the best one, tested together: a closed test in the two-way model.

The data decide which configuration is the best. Tests of each configuration against one that was fixed beforehand
(Dunnett's, Bonferroni's) do not allow for that: they call one of five equal configurations worse in 14% of studies.
Here a configuration is called worse only if every set of configurations that contains it and the best is found to be
unequal (a closed test: Marcus, Peritz & Gabriel, Biometrika 1976). A false claim is then made in at most 5% of studies,
whichever configurations are truly equal.

Whether a set is unequal is decided by an average likelihood ratio: that of two groups, a better one and a worse one,
which lie `GAP` apart, against equality. The average is over the groups that the order of the results suggests, the best
one against the others, the best two, and so on. A Bayes factor as a test statistic has good power on average over what
it averages (Good, "The Bayes/non-Bayes compromise", Journal of the American Statistical Association 1992).

`GAP` and the weight of groups with one member are tuned, by `benchmarks.decisions_hold`, for power: so that one
configuration that is better than the rest, one that is worse and two that are better are found about equally often.
They decide where power goes, not how often a claim is false: how large the statistic is among equal configurations is
simulated, with the same weights. Normal noise is drawn for the runs that were made, and a race gives more runs to the
configurations with the better noise.
"""

from collections.abc import Iterator, Sequence
from dataclasses import replace
from functools import lru_cache
from itertools import combinations

import numpy as np

from hpo.statistics.two_way import Design, Floats, TwoWay

GAP = 4.0
"""How far apart two groups are supposed to be, in residual standard deviations of a mean of as many runs as average. At
five seeds this is 1.8 deviations: 1.1 points where seeds differ by 0.6 points."""
_ALONE = 1.5
"""The weight of two groups of which one has a single member; that of all others is 1. With a weight of 2 two that are a
point better are found in 54% of studies, with 1.5 in 56.6%."""
_FEW = 4
"""With at most this many further configurations, all sets are tested."""
DRAWS = 10_000
"""The number of simulated studies. A p-value of 0.05 is then off by 0.002 (one standard deviation), and no p-value is
below 1 in 10,001."""


def p_values(model: TwoWay, best: int, sign: int) -> dict[int, float]:
    """Configuration -> p-value of the hypothesis that it is no worse than the best one.

    Configurations that cannot be compared with the best are left out.

    Args:
        model: the scores of all configurations.
        best: the configuration with the best result.
        sign: 1 where higher is better, else -1.
    """
    place = {one: index for index, one in enumerate(model.configurations)}
    first = place[best]
    linked = [place[one] for one in model.differences(best) if one != best]
    ranked = sorted(linked, key=lambda index: -sign * model.effects[index])
    if not ranked or model.design.freedom < 1:
        return {}
    signed = replace(model, effects=sign * model.effects)
    found = {}
    for other in ranked:
        rest = [index for index in ranked if index != other]
        sets = [[first, other, *more] for more in _subsets(rest)]
        found[model.configurations[other]] = max(_p_value(signed, members) for members in sets)
    return found


def _subsets(ranked: list[int]) -> Iterator[Sequence[int]]:
    """The sets of other configurations, the best one first, which a set with the best and one other may contain.

    Of many, only the best ones of each number: with them a set is hardest to find unequal.
    """
    for size in range(len(ranked) + 1):
        yield from combinations(ranked, size) if len(ranked) <= _FEW else [ranked[:size]]


def _p_value(model: TwoWay, members: list[int]) -> float:
    """The p-value of the hypothesis that these configurations are equal."""
    if model.deviation <= 1e-12 * np.abs(model.effects).max():
        return 1.0
    cells = model.design.cells
    # Sorted, so that sets which differ only in the order of their configurations share one cached simulation.
    members = sorted(members, key=lambda index: (cells[index].sum(), cells[index].tobytes()))[::-1]
    others = sorted(set(range(len(cells))) - set(members), key=lambda index: cells[index].tobytes())
    ordered = cells[[*members, *others]]
    design = _design(ordered.tobytes(), ordered.shape)
    drawn = _among_equals(design, len(members))
    found = _log_ratio(model.effects[None, members] / model.deviation, design)
    return float((1 + np.sum(drawn >= found)) / (1 + len(drawn)))


@lru_cache(maxsize=1024)
def _design(cells: bytes, shape: tuple[int, int]) -> Design:
    """The design with these cells, given as bytes: one object, by which what follows from it is cached."""
    return Design(np.frombuffer(cells, bool).reshape(shape))


@lru_cache(maxsize=1024)
def _among_equals(design: Design, size: int) -> Floats:
    """Draws of the statistic for equal configurations, shape (DRAWS,).

    Args:
        design: the runs that were made; the members of the set come first, those with more runs before the others.
        size: the number of members of the set.
    """
    random = np.random.default_rng(0)
    noise = random.standard_normal((DRAWS, *design.cells.shape))
    runs = design.cells[:size].sum(axis=1)
    # Each round but the last gives the places with more runs to those with the better means so far.
    for given in np.unique(runs)[:-1]:
        left = int(np.sum(runs >= given))
        common = design.cells[:left].all(axis=0)
        if common.any():
            order = np.argsort(-noise[:, :left, common].mean(axis=2), axis=1)
            noise[:, :left] = np.take_along_axis(noise[:, :left], order[:, :, None], axis=1)
    scores = noise[:, design.cells]
    return _log_ratio(design.effects(scores)[:, :size] / design.deviation(scores)[:, None], design)


@lru_cache(maxsize=1024)
def _information(design: Design, size: int) -> Floats:
    """The information on differences between the first configurations, size x size: the inverse of their covariance."""
    apart = np.hstack([np.ones((size - 1, 1)), -np.eye(size - 1)])
    found: Floats = apart.T @ np.linalg.solve(apart @ design.covariance[:size, :size] @ apart.T, apart)
    return found


def _log_ratio(effects: Floats, design: Design) -> Floats:
    """The logarithm of the average likelihood ratio, shape (...), up to a constant.

    Args:
        effects: of the first configurations of the design, in residual standard deviations, shape (..., size).
        design: the runs that were made.
    """
    size, freedom = effects.shape[1], design.freedom
    information = _information(design, size)
    weighted = effects @ information
    # The deviation under equality: the residual's and that between the members together.
    total = np.sqrt((freedom + np.sum(weighted * effects, axis=1)) / (freedom + size - 1))
    gap = GAP * (len(design.cells) / design.cells.sum()) ** 0.5
    ranks = np.argsort(np.argsort(-effects, axis=1), axis=1)
    ratios = np.empty((len(effects), size - 1))
    for better in range(1, size):
        group = (ranks < better).astype(float)
        expected = np.sum(group @ information * group, axis=1)
        weight = _ALONE if better in {1, size - 1} else 1.0
        ratios[:, better - 1] = gap * np.sum(group * weighted, axis=1) / total - gap**2 * expected / 2 + np.log(weight)
    average: Floats = np.logaddexp.reduce(ratios, axis=1)
    return average
