"""What is chosen, what is expected of it, and what others are beside it."""

import pytest

from hpo.statistics.choice import Candidates, choose, compared
from hpo.statistics.intervals import Selected, pooled

SCORES = {
    1: {1: 0.95, 2: 0.97, 3: 0.96, 4: 0.90, 5: 0.92, 6: 0.91},
    2: {1: 0.94, 2: 0.96, 3: 0.97, 4: 0.89, 5: 0.90, 6: 0.92},
    3: {1: 0.99, 2: 0.96, 3: 0.94},
    4: {1: 0.70, 2: 0.72, 3: 0.71},
}


def test_the_best_of_those_still_in_is_chosen_and_expected_to_do_as_on_fresh_seeds() -> None:
    found, deviation = choose(SCORES, 1, Candidates([1, 2], range(4, 7))), pooled(SCORES)
    assert found is not None
    assert deviation is not None
    assert (found.best, found.chosen, found.may_cost) == (1, 1, None)
    assert found.estimate == deviation.interval([0.90, 0.92, 0.91], Selected(4))
    # A single fresh seed says too little.
    cut = choose(SCORES, 1, Candidates([1, 2], range(6, 7)))
    assert cut is not None
    assert cut.estimate == deviation.interval(list(SCORES[1].values()), Selected(4))
    assert choose({1: {1: 0.9}, 2: {1: 0.8}}, 1, Candidates([1, 2])) is None


def test_within_a_margin_the_cheapest_is_chosen_and_what_that_may_cost_is_known() -> None:
    costs = {1: (100.0, 1.0), 2: (50.0, 1.0)}
    close = choose(SCORES, 1, Candidates([1, 2], range(4, 7), margin=0.01, costs=costs))
    assert close is not None
    assert (close.best, close.chosen) == (1, 2)
    assert close.may_cost is not None
    assert 0.005 < close.may_cost < 0.05
    assert close.estimate.mean == pytest.approx((0.89 + 0.90 + 0.92) / 3)
    wide = choose(SCORES, 1, Candidates([1, 2], margin=0.001, costs=costs))
    assert wide is not None
    assert (wide.chosen, wide.may_cost) == (1, None)


def test_others_are_compared_on_the_seeds_that_they_share_with_the_best() -> None:
    found = compared(SCORES, 1, 1)
    assert found[2].behind == pytest.approx(sum(SCORES[1][s] - SCORES[2][s] for s in range(1, 7)) / 6)
    assert found[4].p_value is not None
    assert found[4].p_value < 0.001
    # Better on the shared seeds, which were hard on all, though its mean over all of its own is not.
    assert found[3].p_value == 1.0


def test_of_losses_the_lowest_is_chosen() -> None:
    found = choose({1: {1: 0.3, 2: 0.31}, 2: {1: 0.1, 2: 0.12}}, -1, Candidates([1, 2]))
    assert found is not None
    assert found.chosen == 2


def test_where_seeds_allow_no_comparison_the_plain_means_choose() -> None:
    apart = {1: {1: 0.9, 2: 0.91}, 2: {3: 0.95, 4: 0.94}}
    found = choose(apart, 1, Candidates([1, 2]))
    assert found is not None
    assert found.chosen == 2
    assert compared(apart, 1, 2) == {}
