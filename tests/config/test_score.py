"""Scores: which is better, what reaches a target, where along a curve it was reached."""

import pytest

from hpo.config.score import Score, best_of, merit, over_folds, score_of_curve


def high(value: float, epoch: int | None = None) -> Score:
    return Score(value, "maximize", epoch)


def low(value: float, epoch: int | None = None) -> Score:
    return Score(value, "minimize", epoch)


def test_which_of_two_is_better_and_by_how_much() -> None:
    assert high(0.9).better_than(high(0.8))
    assert low(0.1).better_than(low(0.2))
    assert not high(0.8).better_than(high(0.8))
    assert low(5.0).better_than(None)
    assert (high(0.75).lead(high(0.5)), low(0.75).lead(low(0.5))) == (0.25, -0.25)
    assert (high(0.75).better_than(high(0.5), by=0.2), high(0.75).better_than(high(0.5), by=0.25)) == (True, False)
    assert (merit(3, "maximize"), merit(3, "minimize"), low(3).merit) == (3, -3, -3.0)


def test_a_target_is_reached_by_what_is_as_good() -> None:
    assert [high(value).reaches(0.5) for value in (0.4, 0.5, 0.6)] == [False, True, True]
    assert [low(value).reaches(0.5) for value in (0.4, 0.5, 0.6)] == [True, True, False]
    assert not high(1.0).reaches(None)


def test_the_best_is_the_first_of_equal_ones() -> None:
    assert best_of([low(0.4, 1), low(0.2, 2), low(0.2, 3)]) == low(0.2, 2)
    assert best_of([]) is None


def test_the_score_of_a_curve_is_that_of_the_first_of_its_best_epochs() -> None:
    assert score_of_curve([0.4, 0.6, 0.6, 0.5], "maximize") == high(0.6, 2)
    assert score_of_curve([2.0, 1.0, 1.0, 3.0], "minimize") == low(1.0, 2)
    assert score_of_curve([0.5, 0.3, 0.4, 0.6], "maximize") == high(0.6, 4)
    assert score_of_curve([0.5, 0.3, 0.4], "maximize") == high(0.5, 1)
    assert score_of_curve([], "minimize") is score_of_curve([], "minimize", (0,)) is None


def test_the_score_of_folds_is_the_mean_of_their_best_epochs() -> None:
    curve = [0.4, 0.6, 0.9, 0.7, 0.3]
    assert score_of_curve(curve, "maximize", (2, 2, 1)) == Score(pytest.approx(0.6), "maximize", 3, (2, 3, 5))  # type: ignore[arg-type]
    assert score_of_curve(curve, "minimize", (2, 2, 1)) == Score(pytest.approx(1.4 / 3), "minimize", 5, (1, 4, 5))  # type: ignore[arg-type]
    assert over_folds([high(0.5, 2), high(0.25, 3)]) == Score(0.375, "maximize", 2, (2, 3))
