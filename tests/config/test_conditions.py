"""Conditions by themselves: what meets them, and which exclude each other."""

import pytest
from pydantic import ValidationError

from hpo.config.conditions import Interval, describe, exclude, holds, is_number, same

LOW, HIGH, BOTH = Interval(low=2), Interval(high=3), Interval(low=2, high=3)


@pytest.mark.parametrize(
    ("condition", "yes", "no"),
    [
        (LOW, [2, 2.5, 1e300, float("inf")], [1.999, -5, True, "3", None, [2]]),
        (HIGH, [3, -1e300], [3.001, False, None]),
        (BOTH, [2, 3.0], [1, 4]),
        ([1, "a", None], [1, 1.0, "a", None], [True, "1", 2, []]),
        (1, [1, 1.0], [True, "1"]),
        (True, [True], [1, "true"]),
        (False, [False], [0, None]),
        ([], [], [None, 1]),
    ],
)
def test_which_values_meet_a_condition(condition, yes, no):
    assert all(holds(condition, value) for value in yes)
    assert not any(holds(condition, value) for value in no)


@pytest.mark.parametrize(
    ("one", "other", "excluded"),
    [
        (Interval(high=2), Interval(low=2), False),
        (Interval(high=2), Interval(low=2.001), True),
        (Interval(low=1, high=2), Interval(low=3, high=9), True),
        (Interval(low=1, high=9), Interval(low=3, high=4), False),
        (Interval(low=3), Interval(low=9), False),
        (Interval(high=3), Interval(high=9), False),
        (BOTH, [1, 2], False),
        (BOTH, [1, 4], True),
        (BOTH, 3, False),
        (BOTH, True, True),
        ([1, 2], [2, 3], False),
        ([1, 2], [3, 4], True),
        ("a", ["b", "a"], False),
        ("a", "b", True),
        (1, True, True),
    ],
)
def test_conditions_that_exclude_each_other(one, other, excluded):
    assert exclude(one, other) is excluded
    assert exclude(other, one) is excluded


def test_an_interval_has_an_end_and_does_not_run_backwards():
    assert Interval(low=2, high=2).holds(2)
    with pytest.raises(ValidationError, match="needs low or high"):
        Interval()
    with pytest.raises(ValidationError, match="low must not exceed high, got 3 and 2"):
        Interval(low=3, high=2)


def test_true_is_no_number_and_not_one():
    assert [is_number(value) for value in (1, 0.5, True, "1", None)] == [True, True, False, False, False]
    assert [same(True, 1), same(1, 1.0), same(False, 0), same("a", "a")] == [False, True, False, True]


def test_conditions_in_words():
    when = {"a": LOW, "b": HIGH, "c": BOTH, "d": ["x", None], "e": True}
    assert (
        describe(when)
        == "a is at least 2 and b is at most 3 and c is at least 2 and at most 3 and d is x or None and e is True"
    )
