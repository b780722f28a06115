"""The two-way model against its formulas for complete tables, and with runs that are missing."""

import numpy as np
import pytest

from hpo.statistics.two_way import fitted, resolution

TABLE = np.array([[0.91, 0.93, 0.92, 0.95], [0.90, 0.91, 0.92, 0.93], [0.85, 0.88, 0.86, 0.90]])
COMPLETE = {one: dict(enumerate(map(float, row))) for one, row in zip((4, 7, 9), TABLE, strict=True)}


def test_a_complete_table_has_the_two_way_fit_of_textbooks() -> None:
    model = fitted(COMPLETE)
    residual = TABLE - TABLE.mean(0) - TABLE.mean(1, keepdims=True) + TABLE.mean()
    assert model.design.freedom == 6
    assert model.deviation == pytest.approx(np.sqrt((residual**2).sum() / 6))
    assert model.differences(4) == pytest.approx({4: 0.0, 7: -0.0125, 9: -0.055})
    assert model.design.errors(2.0)[0, 1] == pytest.approx(2 * (2 / 4) ** 0.5)


def test_a_hard_seed_that_one_configuration_lacks_makes_it_no_better() -> None:
    without = {4: {1: 0.90, 2: 0.70, 3: 0.92}, 7: {1: 0.88, 3: 0.91}}
    # Seed 2 was hard for all: 7, which was not run with it, is no better for that.
    assert fitted(without).differences(4)[7] == pytest.approx(-0.015)


def test_configurations_without_a_common_seed_are_compared_through_others_or_not_at_all() -> None:
    chain = {1: {1: 0.9, 2: 0.9}, 2: {2: 0.8, 3: 0.8}, 3: {3: 0.7, 4: 0.7}}
    assert fitted(chain).differences(1)[3] == pytest.approx(-0.2)
    assert fitted(chain | {4: {9: 0.5}}).differences(1).keys() == {1, 2, 3}
    assert fitted({1: {1: 0.9}, 2: {}}).configurations == (1,)


def test_scores_on_a_grid_deviate_by_at_least_what_rounding_leaves() -> None:
    assert resolution(np.array([0.90, 0.90, 0.92, 0.96])) == pytest.approx(0.02 / 12**0.5)
    assert resolution(np.array([0.1 + 0.2, 0.3])) == 0.0
    constant = {1: dict.fromkeys(range(5), 0.95), 2: dict.fromkeys(range(5), 0.90)}
    assert fitted(constant).deviation == pytest.approx(0.05 / 12**0.5)
