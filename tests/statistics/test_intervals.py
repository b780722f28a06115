"""Intervals of means against scipy, and the deviation that finalists share."""

import numpy as np
import pytest
from scipy import stats

from hpo.statistics.intervals import Deviation, Selected, pooled

SCORES = [0.92, 0.92, 0.94, 0.96, 0.96]


def test_the_interval_of_one_configuration_is_students() -> None:
    deviation = pooled({3: dict(enumerate(SCORES))})
    assert deviation is not None
    assert (deviation.value, deviation.freedom) == (pytest.approx(0.02), pytest.approx(4))
    found = deviation.interval(SCORES)
    low, high = stats.t.interval(0.95, 4, loc=np.mean(SCORES), scale=stats.sem(SCORES))
    assert (found.low, found.high, found.seeds) == (pytest.approx(low), pytest.approx(high), 5)


def test_configurations_share_their_deviation_and_the_luck_of_seeds_counts_once() -> None:
    rng = np.random.default_rng(0)
    apart, luck = rng.normal(0, 1, (200, 4, 6)), rng.normal(0, 1, (200, 1, 6))
    for noise, freedom in ((apart, (18, 20)), (luck + 0.01 * apart, (5, 5.1))):
        found = [pooled({one: dict(enumerate(map(float, row))) for one, row in enumerate(table)}) for table in noise]
        assert freedom[0] <= np.mean([one.freedom for one in found if one]) <= freedom[1]
        assert np.mean([one.value**2 for one in found if one]) == pytest.approx(1, abs=0.2)


def test_too_few_scores_have_no_deviation_and_equal_ones_no_width() -> None:
    assert pooled({}) is None
    assert pooled({1: {1: 0.9}, 2: {1: 0.8}, 3: {}}) is None
    # In binary fractions the sum of squares of three equal scores is negative.
    for scores in ([1.0] * 3, [0.9] * 3, [0.7] * 6):
        perfect = pooled({1: dict(enumerate(scores))})
        assert perfect is not None
        assert perfect.value == pytest.approx(0.0, abs=1e-8)
    same = pooled({1: {1: 0.1 + 0.2, 2: 0.3}})
    assert same is not None
    found = same.interval([0.1 + 0.2, 0.3])
    assert (found.low, found.high) == (pytest.approx(0.3), pytest.approx(0.3))


def test_the_best_of_several_may_be_too_good_rather_than_too_bad() -> None:
    deviation, cdf = Deviation(0.6, 1e9), stats.norm.cdf
    two, five = (deviation.interval([0.0] * 4, Selected(choices)) for choices in (2, 5))
    # Choosing the better of two makes its error neither larger nor more often too large.
    assert (two.low, two.high) == (pytest.approx(-0.588, abs=1e-3), pytest.approx(0.588, abs=1e-3))
    low, high = -five.low / 0.3, five.high / 0.3
    assert low > 1.96 > high
    # Five equal means, of which the best has the largest error; five that are far apart.
    assert cdf(low) ** 5 - cdf(-high) ** 5 == pytest.approx(0.95)
    assert cdf(low) - cdf(-high) == pytest.approx(0.95)
    losses = deviation.interval([0.0] * 4, Selected(5, sign=-1))
    assert (losses.low, losses.high) == (pytest.approx(-five.high), pytest.approx(-five.low))


def test_intervals_that_hold_together_are_wider() -> None:
    assert Deviation(0.6, 1e9).interval([0.0] * 4, together=5).high / 0.3 == pytest.approx(stats.norm.isf(0.005))
