"""What a confirmation claims holds as often as it says: simulated studies, fewer than the benchmark has."""

from functools import partial

import pytest

from benchmarks.decisions_hold import (
    BETTER,
    TWO_BETTER,
    WORSE,
    Confirm,
    Figure,
    covers,
    found_worse,
    lost,
    wrongly_worse,
)


def within(expected: float, repeats: int) -> float:
    """Three standard errors of a part of so many studies."""
    return 3 * (expected * (1 - expected) / repeats) ** 0.5


@pytest.mark.parametrize("race", [True, False])
@pytest.mark.parametrize("apart", [0.0, 0.5])
def test_the_interval_of_the_winner_covers_its_mean(apart: float, race: bool) -> None:
    covered = Figure("", "", partial(covers, apart=apart)).mean(300, race)
    assert covered > 0.95 - within(0.95, 300)


@pytest.mark.parametrize(("shared", "race"), [(0.0, True), (0.5, False)])
def test_equal_finalists_are_rarely_called_worse(shared: float, race: bool) -> None:
    wrong = Figure("", "", partial(wrongly_worse, truth=(0,) * 5), Confirm(shared=shared)).mean(300, race)
    assert wrong < 0.05 + within(0.05, 300)


def test_a_gap_of_a_point_is_found() -> None:
    for truth in (BETTER, WORSE, TWO_BETTER):
        assert Figure("", "", partial(found_worse, truth=truth)).mean(150, race=True) > 0.55 - within(0.55, 150)


def test_the_race_loses_less_than_the_same_runs_spread_evenly() -> None:
    race, even = (Figure("", "", partial(lost, spread=0.5)).mean(300, race) for race in (True, False))
    assert race < min(even, 0.2)
