"""The task found from the targets, and the rules for labels."""

import numpy as np
import pytest

from hpo.data.labels import Labels, read_labels
from hpo.data.raw import Values
from hpo.errors import DataError


def read(training, test=None, **options) -> Labels:
    targets = {"training": Values(np.asarray(training), "train.gz")}
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
        ([-1, 0, 1], None, "from -1 to 1: number them anew"),
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
