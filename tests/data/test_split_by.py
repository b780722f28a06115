"""Divisions by group and by time: what shuffling flatters, and what they must keep together."""

from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
from sklearn.linear_model import LinearRegression
from sklearn.model_selection import GroupShuffleSplit, TimeSeriesSplit
from sklearn.neighbors import KNeighborsClassifier, KNeighborsRegressor

from hpo.config.experiment import DatasetSpec
from hpo.data import Dataset, load
from hpo.data.split import Rows, split
from hpo.errors import DataError

NOTHING: frozenset[str] = frozenset()
GROUPS = np.repeat(np.arange(60), 5)


def cut(by: np.ndarray, classes: np.ndarray | None = None, **options: Any) -> Rows:
    return split(classes, len(by), DatasetSpec.model_validate({"name": "toy", **options}), NOTHING, "dataset toy", by)


def read(folder: Path, frame: pd.DataFrame, **options: Any) -> Dataset:
    frame.to_csv(folder / "t.csv", index=False)
    return load(DatasetSpec.model_validate({"path": "t.csv", "target": "y", **options}), [folder])


def triplicates() -> pd.DataFrame:
    """80 patients, each with three rows alike but for a little noise; their class is a coin toss."""
    rng = np.random.default_rng(0)
    x, y = rng.normal(size=(80, 4)), rng.integers(0, 2, 80)
    frame = pd.DataFrame(np.repeat(x, 3, axis=0) + rng.normal(scale=1e-3, size=(240, 4)), columns=list("abcd"))
    return frame.assign(patient=np.repeat([f"p{number}" for number in range(80)], 3), y=np.repeat(y, 3))


def test_whole_groups_show_that_nothing_was_learnt_where_shuffled_rows_flatter(tmp_path: Path) -> None:
    frame = triplicates()
    shuffled = read(tmp_path, frame.drop(columns="patient"))
    grouped = read(tmp_path, frame, validation={"group": "patient"})
    scores = []
    for dataset in (shuffled, grouped):
        nearest = KNeighborsClassifier(1).fit(dataset.training.x, dataset.training.y)
        scores.append(nearest.score(dataset.test.x, dataset.test.y))
    assert scores[0] > 0.85
    assert scores[1] < 0.7
    assert grouped.info.input_shape == (4,)
    (note,) = grouped.info.notes
    assert note.startswith("parts hold whole groups of column patient, which is no input; groups: training ")
    kept = read(tmp_path, frame.assign(patient=GROUPS[:240]), validation={"group": "patient", "as_input": True})
    assert kept.info.input_shape == (5,)


def test_the_latest_rows_show_a_trend_that_shuffled_rows_hide(tmp_path: Path) -> None:
    day = np.arange(300)
    frame = pd.DataFrame({"day": day, "week": day // 7, "y": day + np.sin(day)})
    errors = []
    for options in ({}, {"validation": {"time": "day"}}):
        dataset = read(tmp_path, frame.sample(frac=1, random_state=0), **options)
        nearest = KNeighborsRegressor(3).fit(dataset.training.x[:, -1:], dataset.training.y)
        errors.append(float(np.abs(nearest.predict(dataset.test.x[:, -1:]) - dataset.test.y).mean()))
    assert errors[0] < 5
    assert errors[1] > 20
    assert dataset.info.feature_names == ("week",)
    assert dataset.training.y.max() < dataset.validation.y.min()
    assert dataset.validation.y.max() < dataset.test.y.min()
    assert "training 0 to 191, validation 192 to 239, test 240 to 299" in dataset.info.notes[0]
    in_order = read(tmp_path, frame, shuffle=False)
    np.testing.assert_array_equal(in_order.test.y, dataset.test.y)
    assert LinearRegression().fit(in_order.training.x, in_order.training.y).score(in_order.test.x, in_order.test.y) > 0


@pytest.mark.parametrize("classes", [None, np.arange(300) % 3, (GROUPS == 7).astype(int)])
@pytest.mark.parametrize("options", [{}, {"validation": {"folds": 5}}, {"validation": {"size": 30}, "limit": 200}])
def test_no_group_stands_in_two_parts(classes: np.ndarray | None, options: dict[str, Any]) -> None:
    options = {**options, "validation": {**options.get("validation", {}), "group": "g"}}
    rows = cut(GROUPS, classes, **options)
    assert rows.test is not None
    for training, validation in rows.folds or ((rows.training, rows.validation),):
        assert validation is not None
        together = [set(GROUPS[part]) for part in (training, validation, rows.test)]
        assert not together[0] & together[1] | together[0] & together[2] | together[1] & together[2]
        assert abs(len(validation) - len(training) / 4) <= 10 or "limit" in options
    assert abs(len(rows.test) - 0.2 * options.get("limit", 300)) <= 10
    again = cut(GROUPS, classes, **options)
    np.testing.assert_array_equal(again.training, rows.training)


def test_groups_without_classes_are_drawn_as_scikit_learn_draws_them() -> None:
    rows = cut(GROUPS, validation={"group": "g"})
    _, expected = next(GroupShuffleSplit(1, test_size=12, random_state=0).split(GROUPS, groups=GROUPS))
    np.testing.assert_array_equal(rows.test, expected)
    assert rows.draws[0].groups == 12


def test_folds_go_forward_in_time_as_scikit_learn_s_do() -> None:
    times = np.random.default_rng(0).permutation(100)
    rows = cut(times, validation={"time": "t", "folds": 4}, test=20)
    assert sorted(times[rows.test]) == list(range(80, 100))
    for (training, validation), (inner, outer) in zip(rows.folds, TimeSeriesSplit(4).split(np.arange(80)), strict=True):
        np.testing.assert_array_equal(times[training], inner)
        np.testing.assert_array_equal(times[validation], outer)


@pytest.mark.parametrize("folds", [None, 3])
def test_samples_of_one_time_stay_together(folds: int | None) -> None:
    times = np.arange(100) // 7
    rows = cut(times, validation={"time": "t", "folds": folds})
    assert rows.test is not None
    for training, validation in rows.folds or ((rows.training, rows.validation),):
        assert validation is not None
        assert times[training].max() < times[validation].min()
        assert times[validation].max() < times[rows.test].min()


def test_data_that_cannot_be_divided_by_time_or_group_are_refused_with_the_reason(tmp_path: Path) -> None:
    with pytest.raises(DataError, match="all 50 samples have the same time"):
        cut(np.zeros(50), validation={"time": "t"})
    assert len(cut(np.repeat([0, 1, 2], [45, 2, 3]), validation={"time": "t"}, test=3).validation) == 2
    with pytest.raises(DataError, match="test: needs at least 2 groups, and 50 samples have 1"):
        cut(np.zeros(50), validation={"group": "t"})
    with pytest.raises(DataError, match="70 folds in the order of time need more times than that, and there are 40"):
        cut(np.repeat(np.arange(50), 2), validation={"time": "t", "folds": 70})
    frame = triplicates()
    with pytest.raises(DataError, match=r"has no column 'patiens'; did you mean patient\?"):
        read(tmp_path, frame, validation={"group": "patiens"})
    with pytest.raises(DataError, match="column 'patient': times must be numbers or dates such as 2024-01-31"):
        read(tmp_path, frame, validation={"time": "patient"})
    with pytest.raises(DataError, match=r"day names a column of a table, and iris is none; shuffle: false takes"):
        load(DatasetSpec.model_validate({"name": "iris", "validation": {"time": "day"}}), [])
    for wrong in (
        {"validation": {"group": "a", "time": "b"}},
        {"validation": {"as_input": True}},
        {"validation": {"group": "a"}, "shuffle": False},
    ):
        with pytest.raises(ValueError, match=r"exclude each other|as_input is for"):
            DatasetSpec.model_validate({"name": "iris", **wrong})


def test_times_must_be_told_and_are_in_one_order(tmp_path: Path) -> None:
    day = [*map(str, range(39)), "NA"]
    with pytest.raises(DataError, match="column 'day': must have a value in every row, line 41 has none"):
        read(tmp_path, pd.DataFrame({"day": day, "x": range(40), "y": range(40)}), validation={"time": "day"})
    with pytest.raises(ValueError, match="stratify: true is for parts that are drawn"):
        DatasetSpec.model_validate({"name": "toy", "stratify": True, "shuffle": False})
