"""Who is called worse than the best: against scipy where the test is a known one, and what it must never say."""

import numpy as np
import pytest
from scipy import stats

from hpo.statistics.against_best import p_values
from hpo.statistics.two_way import fitted

LEAD, NEXT = [0.93, 0.94, 0.94, 0.97, 0.92], [0.91, 0.90, 0.93, 0.96, 0.91]


def table(*rows: list[float]) -> dict[int, dict[int, float]]:
    return {one: dict(enumerate(row)) for one, row in enumerate(rows, 1)}


def test_two_configurations_get_the_p_value_of_the_paired_t_test() -> None:
    (found,) = p_values(fitted(table(LEAD, NEXT)), 1, 1).values()
    # Two-sided, since which of them would be the best was not known.
    assert found == pytest.approx(stats.ttest_rel(LEAD, NEXT).pvalue, abs=0.006)


def test_losses_are_compared_the_other_way_round() -> None:
    rows = np.array([LEAD, NEXT, NEXT[::-1]])
    higher = p_values(fitted(table(*rows.tolist())), 1, 1)
    assert p_values(fitted(table(*(-rows).tolist())), 1, -1) == pytest.approx(higher)


def test_one_that_is_far_worse_makes_none_of_the_equal_ones_worse() -> None:
    rng = np.random.default_rng(0)
    rows = [*rng.normal(0.9, 0.006, (4, 5)).tolist(), (0.5 + rng.normal(0, 0.006, 5)).tolist()]
    model = fitted(table(*rows))
    best = max(model.configurations, key=lambda one: float(np.mean(rows[one - 1])))
    found = p_values(model, best, 1)
    assert found.pop(5) < 0.001
    assert min(found.values()) > 0.05


def test_runs_that_leave_no_residual_give_no_p_values() -> None:
    assert p_values(fitted({1: {1: 0.9}, 2: {1: 0.5}}), 1, 1) == {}
    assert p_values(fitted({1: {1: 0.9, 2: 0.8}, 2: {3: 0.5, 4: 0.4}}), 1, 1) == {}
    assert p_values(fitted({1: {1: 0.9, 2: 0.8}}), 1, 1) == {}
    same = dict.fromkeys(range(5), 0.9)
    assert p_values(fitted({1: same, 2: same}), 1, 1) == {2: 1.0}


@pytest.mark.parametrize(("seeds", "worse"), [(2, False), (5, True)])
def test_a_gap_that_is_the_same_on_all_seeds_is_one_once_seeds_are_enough(seeds: int, worse: bool) -> None:
    scores = table([0.95] * seeds, [0.90] * seeds)
    assert (p_values(fitted(scores), 1, 1)[2] < 0.05) is worse
