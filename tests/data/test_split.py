"""Splits: sizes, strata, limit, and the same rows for the same seed."""

from typing import Any

import numpy as np
import pytest

from hpo.config.experiment import DatasetSpec
from hpo.data.split import Rows, split
from hpo.errors import DataError

CLASSES = np.repeat([0, 1], [900, 100])
NOTHING: frozenset[str] = frozenset()


def cut(classes=CLASSES, given: frozenset[str] = NOTHING, total: int = 1000, **options: Any) -> Rows:
    return split(classes, total, DatasetSpec(name="toy", **options), given, "dataset toy")


def test_parts_are_disjoint_and_complete() -> None:
    rows = cut()
    everything = np.concatenate([rows.training, rows.validation, rows.test])
    np.testing.assert_array_equal(np.sort(everything), np.arange(1000))
    assert (len(rows.test), len(rows.validation), len(rows.training)) == (200, 160, 640)


def test_counts_and_given_parts() -> None:
    rows = cut(validation=77, given=frozenset({"test"}))
    assert rows.test is None
    assert (len(rows.validation), len(rows.training)) == (77, 923)
    rows = cut(given=frozenset({"test", "validation"}))
    np.testing.assert_array_equal(rows.training, np.arange(1000))


def test_same_seed_same_split() -> None:
    np.testing.assert_array_equal(cut().training, cut().training)
    assert not np.array_equal(cut().training, cut(seed=1).training)


def test_stratified_by_default() -> None:
    rows = cut(limit=500)
    assert [int((CLASSES[part] == 1).sum()) for part in (rows.training, rows.validation, rows.test)] == [32, 8, 10]
    shares = {float((CLASSES[cut(stratify=False, seed=seed).test] == 1).mean()) for seed in range(5)}
    assert shares != {0.1}


def test_limit_comes_before_the_splits() -> None:
    rows = cut(limit=100)
    assert len(rows.training) + len(rows.validation) + len(rows.test) == 100
    rows = cut(limit=100, validation=20, given=frozenset({"test"}))
    assert (len(rows.training), len(rows.validation)) == (80, 20)
    assert len(cut(limit=5000).training) == 640
    # All but one sample: what is left out cannot hold both classes, which is nobody's concern.
    assert len(cut(limit=999, stratify=True, given=frozenset({"test"})).training) == 799


def test_falls_back_where_classes_are_too_small() -> None:
    rare = np.concatenate([np.zeros(999, int), [1]])
    assert len(cut(rare).test) == 200
    with pytest.raises(DataError, match="cannot stratify for test: no two classes have two samples"):
        cut(rare, stratify=True)
    with pytest.raises(DataError, match="cannot stratify for validation: 2 samples cannot hold 4 classes"):
        cut(np.arange(1000) % 4, validation=2, stratify=True)
    assert len(cut(np.arange(1000) % 4, validation=2).validation) == 2
    with pytest.raises(DataError, match="cannot stratify for test: the task is regression"):
        cut(None, stratify=True)


@pytest.mark.parametrize(
    ("option", "message"),
    [
        ({"validation": 800}, "dataset toy: validation: 800 asks for 800 of 800 samples and leaves none"),
        ({"validation": 60000}, "asks for 60000 of 800"),
        ({"test": 1000}, "dataset toy: test: 1000 asks for 1000 of 1000"),
        ({"validation": 0.9999}, "validation: 0.9999 asks for 800 of 800"),
    ],
)
def test_parts_larger_than_the_data(option: dict[str, Any], message: str) -> None:
    with pytest.raises(DataError, match=message):
        cut(**option)


def strata_of(rows: Rows) -> list[tuple[str, int, bool]]:
    return [(draw.purpose, draw.count, draw.stratified) for draw in rows.draws]


def test_how_each_part_was_drawn_is_kept() -> None:
    assert strata_of(cut(limit=500)) == [("limit", 500, True), ("test", 100, True), ("validation", 80, True)]
    assert strata_of(cut(limit=1000, stratify=False)) == [("test", 200, False), ("validation", 160, False)]
    assert strata_of(cut(None)) == [("test", 200, False), ("validation", 160, False)]


def test_a_draw_is_stratified_where_both_sides_just_hold_every_class() -> None:
    fours = np.arange(1000) % 4
    given = frozenset({"test"})
    assert strata_of(cut(fours, given=given, validation=4)) == [("validation", 4, True)]
    assert strata_of(cut(fours, given=given, validation=3)) == [("validation", 3, False)]
    # The rest must hold them as well.
    assert strata_of(cut(fours, given=given, validation=996)) == [("validation", 996, True)]
    assert strata_of(cut(fours, given=given, validation=997)) == [("validation", 997, False)]
    with pytest.raises(DataError, match="cannot stratify for validation: 3 samples cannot hold 4 classes"):
        cut(fours, given=given, validation=997, stratify=True)
    # What `limit` leaves out need not hold any.
    assert strata_of(cut(fours, given=given, limit=996))[0] == ("limit", 996, True)
    assert strata_of(cut(fours, given=given, limit=997))[0] == ("limit", 997, False)


def test_two_members_of_a_class_are_enough_and_classes_that_do_not_occur_do_not_count() -> None:
    pair = np.concatenate([np.zeros(998, int), [3, 3]])
    rows = cut(pair, given=frozenset({"test"}), validation=500)
    assert strata_of(rows) == [("validation", 500, True)]
    assert (pair[rows.validation] == 3).sum() == 1
    single = np.concatenate([np.zeros(999, int), [3]])
    with pytest.raises(DataError, match="no two classes have two samples"):
        cut(single, stratify=True)


def test_shares_are_rounded_up_and_leave_a_sample_to_train_on() -> None:
    given = frozenset({"test"})
    assert len(cut(None, given, total=11, validation=0.1).validation) == 2
    assert len(cut(None, given, total=10, validation=0.1).validation) == 1
    assert len(cut(None, given, total=10, validation=2).validation) == 2
    assert len(cut(None, given, total=10, validation=9).training) == 1
    assert len(cut(None, given, total=11, limit=10, validation=3).training) == 7


def test_the_validation_part_has_a_seed_of_its_own() -> None:
    one, other = (cut(validation={"size": 0.2, "seed": seed}) for seed in (1, 2))
    np.testing.assert_array_equal(one.test, other.test)
    assert not np.array_equal(one.validation, other.validation)
