"""The task found from the targets, and the rules for labels."""

import re

import numpy as np
import pytest

from hpo.data.dataset import PartName
from hpo.data.label_kinds import Labels
from hpo.data.labels import read_labels, task_hint
from hpo.data.source_data import Values
from hpo.errors import DataError


def read(training, test=None, **options) -> Labels:
    targets: dict[PartName, Values] = {"training": Values(np.asarray(training), "train.gz")}
    if test is not None:
        targets["test"] = Values(np.asarray(test), "test.gz")
    return read_labels(targets, options.pop("task", None), **options)


@pytest.mark.parametrize(
    ("y", "task", "outputs", "one_hot"),
    [
        ([0, 1, 2, 1], "classification", 3, False),
        (np.array([[0], [1], [2]], np.uint8), "classification", 3, False),
        ([True, False], "classification", 2, False),
        (["cat", "dog", "cat"], "classification", 2, False),
        (np.eye(4), "classification", 4, True),
        (np.eye(4, dtype=int), "classification", 4, True),
        ([0.5, 1.5], "regression", 1, False),
        ([0.0, 1.0, 2.0], "regression", 1, False),
        ([[0.5, 1.5], [1.0, 2.0]], "regression", 2, False),
    ],
)
def test_task_is_found(y, task: str, outputs: int, one_hot: bool) -> None:
    labels = read(y)
    assert (labels.task, labels.outputs, labels.one_hot) == (task, outputs, one_hot)


def test_types_are_keras_s() -> None:
    assert read([0, 1]).targets["training"].dtype == np.int32
    assert read([[0], [1]]).targets["training"].shape == (2,)
    assert read([0.5, 1]).targets["training"].dtype == np.float32
    assert read(np.eye(2, dtype=int)).targets["training"].dtype == np.float32
    np.testing.assert_array_equal(read(np.eye(3)[[2, 0, 1]]).class_numbers("training"), [2, 0, 1])


def test_task_overrides() -> None:
    assert read([0, 1, 2], task="regression").outputs == 1
    assert read([0.0, 1.0, 2.0], task="classification").outputs == 3
    assert read(np.eye(3), task="regression").outputs == 3
    with pytest.raises(DataError, match="class labels must be whole numbers, got float64"):
        read([0.0, 0.5], task="classification")


def test_names_are_numbered_in_order() -> None:
    labels = read(["dog", "cat", "eel"], ["eel", "cat"])
    assert labels.class_names == ("cat", "dog", "eel")
    np.testing.assert_array_equal(labels.targets["test"], [2, 0])


@pytest.mark.parametrize(
    ("training", "test", "message"),
    [
        ([1, 2, 3], None, "train.gz: labels must run from 0 .* got 3 different ones from 1 to 3: subtract 1"),
        ([0, 1, 3], None, "train.gz: labels must run from 0 .* with none left out, got 3 .* from 0 to 3"),
        ([-1, 0, 1], None, "from -1 to 1: number them again from 0"),
        ([0, 1], [1, 0, 2], r"test.gz: label 2 in row 2 \(counted from 0\) is not one of the classes 0 to 1"),
        ([0, 1], [1, -1], "test.gz: label -1 in row 1"),
        (["a", "b"], ["b", "zebra"], "test.gz: label zebra in row 1 .* is not one of the 2 classes"),
        (["a", "b"], [0, 1], "test.gz: labels must be of the training part's type"),
        ([0, 0], None, "train.gz: needs at least two classes, got only 0"),
        (["a", "a"], None, "train.gz: needs at least two classes, got only a"),
        ([[1, 1], [0, 1]], None, r"train.gz: labels must be class numbers or rows .* got \[1 1\] in row 0; task: reg"),
        (np.eye(3), np.ones((2, 3)), r"test.gz: labels must be class numbers or rows .* got \[1. 1. 1.\] in row 0"),
        (np.eye(3), np.eye(4), "test.gz: one-hot labels must have the 3 columns"),
        (np.eye(3), [0, 1], r"test.gz: labels must be class numbers or rows .* got shape \(2,\)"),
        ([0.5, 1.5], [[0.5, 1.0]], "test.gz: targets must have the shape of the training part's"),
    ],
)
def test_wrong_labels(training, test, message: str) -> None:
    with pytest.raises(DataError, match=message):
        read(training, test)


def test_named_classes_need_not_all_occur() -> None:
    assert read([0, 2], class_names=("a", "b", "c")).outputs == 3
    with pytest.raises(DataError, match=r"label 3 in row 1 .* is not one of the classes 0 to 2"):
        read([0, 3], class_names=("a", "b", "c"))


@pytest.mark.parametrize(
    ("y", "is_table", "task"),
    [
        (np.arange(40) % 20, True, "classification"),
        (np.arange(42) % 21, True, "regression"),
        (np.arange(42) % 21, False, "classification"),
        # Each twice on average, or not quite.
        ([0, 0, 1, 1, 2, 2], True, "classification"),
        ([0, 0, 1, 1, 2], True, "regression"),
        ([0, 0, 1, 1, 2], False, "classification"),
    ],
)
def test_whole_numbers_of_a_table_are_classes_where_there_are_few_of_them(y, is_table: bool, task: str) -> None:
    assert read(y, is_table=is_table).task == task


def test_one_row_that_is_not_one_hot_makes_the_task_regression() -> None:
    rows = np.eye(3)[[0, 1, 2, 0]]
    for row, wrong in ((3, [0, 0, 0]), (2, [0, 1, 1]), (1, [0, 0, 2])):
        odd = rows.copy()
        odd[row] = wrong
        assert read(odd).task == "regression"
        with pytest.raises(DataError, match=rf"got \[.*\] in row {row}"):
            read(odd, task="classification")
        with pytest.raises(DataError, match=rf"test.gz: labels must be .* in row {row}"):
            read(rows, odd)
    with pytest.raises(DataError, match="class labels must be whole numbers"):
        read([0.0, 1.0, 2.0], [0.0, 0.5], task="classification")


def test_numbers_and_columns_as_they_come() -> None:
    labels = read([[0.5, 1.5], [1.0, 2.0]], [[3.0, 4.0]])
    assert (labels.outputs, labels.class_numbers("training")) == (2, None)
    np.testing.assert_array_equal(labels.targets["test"], [[3, 4]])
    with pytest.raises(DataError, match=r"test.gz: targets must have the shape .*, \(2,\), got \(3,\)"):
        read([[0.5, 1.5]], [[1.0, 2.0, 3.0]])
    with pytest.raises(DataError, match=r"test.gz: regression needs numbers, got b"):
        read([0.5, 1.5], ["b", "a"])
    # One column is none; two stay two.
    assert read(np.array([[0.5], [1.5]])).targets["training"].shape == (2,)


def test_names_of_bytes_and_numbers_of_tables() -> None:
    labels = read([b"dog", b"cat"], [b"cat"])
    assert (labels.class_names, labels.targets["test"].tolist()) == (("cat", "dog"), [0])
    labels = read([10, 50, -3] * 3, [50], is_table=True)
    assert (labels.class_names, labels.targets["test"].tolist()) == (("-3", "10", "50"), [2])
    assert read([0, 1, 2] * 3, is_table=True).class_names == ()
    assert read([1, 2, 3] * 3, is_table=True).class_names == ("1", "2", "3")
    for unknown in (49, 51, -4):
        with pytest.raises(DataError, match=f"label {unknown} in row 1 .* is not one of the 3 classes"):
            read([10, 50, -3] * 3, [10, unknown], is_table=True)
    assert read([True, False], [True]).class_names == ("False", "True")


def test_class_names_say_how_many_there_are() -> None:
    labels = read([0, 2], [1], class_names=("a", "b", "c"))
    assert (labels.class_names, labels.targets["test"].tolist()) == (("a", "b", "c"), [1])
    assert read(np.eye(3), class_names=("a", "b", "c")).class_names == ("a", "b", "c")
    assert read([0, 1]).outputs == 2
    with pytest.raises(DataError, match="needs at least two classes"):
        read([0, 0], class_names=("a",))
    np.testing.assert_array_equal(read([0, 1, 1]).class_numbers("training"), [0, 1, 1])


@pytest.mark.parametrize(
    ("y", "names", "is_table", "task", "note"),
    [
        # A count that scikit-learn would draw from Poisson's distribution.
        (np.random.default_rng(0).poisson(3, 300), ["val_mae"], True, "regression", "since val_mae compares numbers"),
        (np.random.default_rng(0).poisson(3, 300), ["val_loss", "poisson"], True, "regression", "since poisson"),
        (np.random.default_rng(0).poisson(3, 300), ["val_loss"], True, "regression", "of which some occur only once"),
        (np.arange(90) % 9, ["val_loss"], True, "classification", r"\(0, 1, ..., 8\), since there are 9 different"),
        (np.arange(90) % 30, ["val_accuracy"], True, "classification", r"\(0, 1, ..., 29\), since only classes"),
        (np.arange(90) % 30, ["val_loss"], True, "regression", "there are 30 different ones"),
        (np.arange(90) % 2 * 1.0, ["val_loss"], True, "classification", r"\(0, 1\), since there are 2 different ones"),
        (np.arange(90) % 3 * 1.0, ["val_loss"], True, "regression", r"\(0, 1, 2\), since there are 3 different ones"),
        (np.arange(90) % 2 * 1.0, ["val_loss"], False, "regression", None),
        (np.arange(90) % 3 * 1.0, ["val_loss", "val_auc"], False, "classification", "since only classes have val_auc"),
        (np.arange(90) % 3, ["val_mse"], False, "regression", r"dataset\.task: classification says otherwise"),
        (np.arange(90) / 7, ["val_accuracy"], True, "regression", None),
        (["a", "b"] * 4, ["val_mae"], True, "classification", None),
    ],
)
def test_the_objective_and_the_loss_decide_what_whole_numbers_are(y, names, is_table, task, note) -> None:
    labels = read(y, is_table=is_table, hint=task_hint(names))
    assert labels.task == task
    if note is None:
        assert labels.note is None
    else:
        assert labels.note is not None
        assert re.search(note, labels.note)
