"""Which configurations are worse than the best one, tested together: a closed test in the two-way model.

The data decide which configuration is the best. Tests of each configuration against one that was fixed beforehand
(Dunnett's, Bonferroni's) do not allow for that: they call one of five equal configurations worse in 14% of studies.
Here a configuration is called worse only if every set of configurations that contains it and the best is found to be
unequal (a closed test: Marcus, Peritz & Gabriel, Biometrika 1976). A false claim is then made in at most 5% of studies,
whichever configurations are truly equal.

Whether a set is unequal is decided by an average likelihood ratio: that of two groups, a better one and a worse one,
which lie `GAP` apart, against equality. The average is over the groups that the order of the results suggests, the best
one against the others, the best two, and so on; it counts twice where a group has one member. A Bayes factor as a test
statistic has good power on average over what it averages (Good, "The Bayes/non-Bayes compromise", Journal of the
American Statistical Association 1992). How large it is among equal configurations is simulated, so the claim does not
rest on the weights: normal noise is drawn for the runs that were made, and a race gives more runs to the configurations
with the better noise.
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
    drawn = _among_equals(ordered.tobytes(), ordered.shape, len(members))
    found = _log_ratio(model.effects[None, members] / model.deviation, Design(ordered))
    return float((1 + np.sum(drawn >= found)) / (1 + len(drawn)))


@lru_cache(maxsize=1024)
def _among_equals(cells: bytes, shape: tuple[int, int], size: int) -> Floats:
    """Draws of the statistic for equal configurations, shape (DRAWS,).

    Args:
        cells: `Design.cells` as bytes; the members of the set come first, those with more runs before the others.
        shape: configurations x seeds.
        size: the number of members of the set.
    """
    design = Design(np.frombuffer(cells, bool).reshape(shape))
    random = np.random.default_rng(0)
    noise = random.standard_normal((DRAWS, *shape))
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


def _log_ratio(effects: Floats, design: Design) -> Floats:
    """The logarithm of the average likelihood ratio, shape (...), up to a constant.

    Args:
        effects: of the first configurations of the design, in residual standard deviations, shape (..., size).
        design: the runs that were made.
    """
    size, freedom = effects.shape[1], design.freedom
    # The information on differences between the members: the inverse of their covariance.
    apart = np.hstack([np.ones((size - 1, 1)), -np.eye(size - 1)])
    information = apart.T @ np.linalg.solve(apart @ design.covariance[:size, :size] @ apart.T, apart)
    weighted = effects @ information
    # The deviation under equality: the residual's and that between the members together.
    total = np.sqrt((freedom + np.sum(weighted * effects, axis=1)) / (freedom + size - 1))
    gap = GAP * (len(design.cells) / design.cells.sum()) ** 0.5
    ranks = np.argsort(np.argsort(-effects, axis=1), axis=1)
    ratios = np.empty((len(effects), size - 1))
    for better in range(1, size):
        group = (ranks < better).astype(float)
        expected = np.sum(group @ information * group, axis=1)
        twice = np.log(2.0) if better in {1, size - 1} else 0.0
        ratios[:, better - 1] = gap * np.sum(group * weighted, axis=1) / total - gap**2 * expected / 2 + twice
    average: Floats = np.logaddexp.reduce(ratios, axis=1)
    return average
