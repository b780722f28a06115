"""The rounds of a race, and who comes to the next."""

import pytest

from hpo.statistics.race import Round, Rule, entrants, rounds


@pytest.mark.parametrize(
    ("finalists", "seeds", "expected"),
    [(5, 5, [(5, 4), (3, 5), (2, 6)]), (5, 2, [(5, 2)]), (5, 10, [(5, 8), (3, 10), (2, 12)]),
     (10, 5, [(10, 4), (5, 5), (3, 6), (2, 7)]), (4, 5, [(4, 4), (2, 6)]), (3, 3, [(3, 3)]),
     (5, 4, [(5, 3), (3, 4), (2, 5)]), (2, 5, [(2, 5)]), (1, 5, [(1, 5)])],
)  # fmt: skip
def test_most_seeds_for_all_and_the_rest_for_the_better_ones(
    finalists: int, seeds: int, expected: list[tuple[int, int]]
) -> None:
    found = rounds(finalists, seeds)
    assert [(one.places, one.seeds) for one in found] == expected
    before = [0, *(one.seeds for one in found)]
    assert sum(one.places * (one.seeds - seen) for one, seen in zip(found, before, strict=False)) <= finalists * seeds
    assert len(rounds(finalists, seeds, race=False)) == 1


RULE = Rule((Round(4, 3), Round(2, 5)), sign=1)
FIRST = {1: [0.9, 0.8, 0.9], 2: [0.7, 0.7, 0.7], 3: [0.8, 0.9, 0.8], 4: [0.95, None, 0.99]}


def outcomes(**changed: list[float | None]) -> dict[int, dict[int, float | None]]:
    rows = FIRST | {int(one[1:]): values for one, values in changed.items()}
    return {one: dict(enumerate(values, 1)) for one, values in rows.items()}


def test_the_best_means_go_on_once_all_runs_of_the_round_have_ended() -> None:
    assert entrants(RULE, [4, 3, 2, 1], outcomes()) == [(4, 3, 2, 1), (3, 1)]
    assert entrants(RULE, [4, 3, 2, 1], outcomes(_2=[0.7, 0.7])) == [(4, 3, 2, 1)]
    low = Rule(RULE.rounds, sign=-1)
    assert entrants(low, [1, 2, 3], outcomes())[1] == (2, 3)


def test_finalists_with_failed_runs_race_on_only_if_the_others_failed_as_often() -> None:
    failed = outcomes(_1=[0.9, None, 0.9], _2=[None, 0.7, 0.7], _3=[0.8, None, None])
    assert entrants(RULE, [1, 2, 3, 4], failed)[1] == (1, 4)
    assert entrants(RULE, [1, 2, 3], outcomes(_1=[None] * 3, _2=[None] * 3))[1] == (1, 3)


def test_with_a_margin_the_cheapest_within_it_keeps_the_last_place() -> None:
    costs = {1: (90.0,), 2: (10.0,), 3: (80.0,), 4: (1.0,)}
    for margin, expected in ((0.05, (1, 3)), (0.17, (1, 2))):
        assert entrants(Rule(RULE.rounds, 1, margin, costs), [1, 2, 3, 4], outcomes())[1] == expected
