"""k-fold cross-validation of data: which rows go where, a scaling for each fold, the test part kept out."""

from pathlib import Path

import numpy as np
import pytest
from sklearn.datasets import load_iris
from sklearn.model_selection import KFold, StratifiedKFold, train_test_split
from sklearn.preprocessing import StandardScaler

from hpo.config.experiment import DatasetSpec
from hpo.data import load, open_prepared, save
from hpo.data.split import Rows, split
from hpo.errors import DataError

CLASSES = np.repeat([0, 1], [80, 20])
NOTHING: frozenset[str] = frozenset()


def cut(folds: int, classes=CLASSES, given: frozenset[str] = NOTHING, seed: int | None = None, **more: object) -> Rows:
    spec = DatasetSpec.model_validate({"name": "toy", "validation": {"folds": folds, "seed": seed}, **more})
    return split(classes, 100, spec, given, "dataset toy")


def test_folds_are_scikit_learns_and_the_test_part_is_in_none() -> None:
    rows = cut(4, seed=7)
    rest, test = train_test_split(np.arange(100), test_size=20, random_state=0, stratify=CLASSES)
    np.testing.assert_array_equal(rows.test, test)
    expected = StratifiedKFold(4, shuffle=True, random_state=7).split(rest, CLASSES[rest])
    for (training, validation), (inner, outer) in zip(rows.folds, expected, strict=True):
        np.testing.assert_array_equal(training, rest[inner])
        np.testing.assert_array_equal(validation, rest[outer])
        assert (CLASSES[validation] == 1).sum() == 4
    assert [draw.purpose for draw in rows.draws] == ["test", "validation"]
    assert rows.draws[1].stratified
    assert rows.draws[1].count == 20


def test_each_sample_is_validated_once_and_another_seed_divides_otherwise() -> None:
    rows = cut(3, given=frozenset({"test"}))
    assert rows.test is None
    held_out = np.concatenate([validation for _, validation in rows.folds])
    np.testing.assert_array_equal(np.sort(held_out), np.arange(100))
    assert all(not set(training) & set(validation) for training, validation in rows.folds)
    np.testing.assert_array_equal(rows.training, rows.folds[0][0])
    assert not np.array_equal(cut(3, seed=1).folds[0][1], cut(3, seed=2).folds[0][1])
    np.testing.assert_array_equal(cut(3, seed=1).test, cut(3, seed=2).test)


@pytest.mark.parametrize(("members", "stratified"), [(5, True), (4, False)])
def test_a_class_of_as_many_members_as_folds_is_in_each_fold(members: int, stratified: bool) -> None:
    classes = np.repeat([0, 1], [100 - members, members])
    rows = cut(5, classes, frozenset({"test"}))
    assert rows.draws[-1].stratified is stratified
    if stratified:
        assert [(classes[validation] == 1).sum() for _, validation in rows.folds] == [1] * 5
        return
    with pytest.raises(DataError, match="no two classes have 5 samples"):
        cut(5, classes, frozenset({"test"}), stratify=True)


@pytest.mark.parametrize("options", [{"classes": None}, {"stratify": False}, {"classes": np.repeat([0, 1], [98, 2])}])
def test_folds_are_not_stratified_without_classes_where_not_wanted_or_where_classes_are_too_small(options) -> None:
    given = frozenset({"test"})
    rows = cut(3, given=given, **options)
    expected = KFold(3, shuffle=True, random_state=0).split(np.arange(100))
    for (training, validation), (inner, outer) in zip(rows.folds, expected, strict=True):
        np.testing.assert_array_equal(training, inner)
        np.testing.assert_array_equal(validation, outer)
    assert not rows.draws[-1].stratified


def test_a_class_that_does_not_occur_keeps_no_fold_from_being_stratified() -> None:
    rows = cut(5, np.repeat([0, 3], [80, 20]), frozenset({"test"}))
    assert rows.draws[-1].stratified


def test_as_many_folds_as_samples_leave_one_out() -> None:
    rows = cut(100, None, frozenset({"test"}))
    assert [len(validation) for _, validation in rows.folds] == [1] * 100
    assert (rows.draws[-1].count, rows.draws[-1].stratified) == (1, False)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"folds": 101}, "101 folds need as many samples, and there are 100 to train on; ask for fewer"),
        ({"folds": 21, "stratify": True}, "cannot stratify 21 folds: no two classes have 21 samples"),
        ({"folds": 3, "stratify": True, "classes": None}, "cannot stratify 3 folds: the task is regression"),
        ({"folds": 3, "given": frozenset({"test", "validation"})}, "the data have a validation part of their own"),
    ],
)
def test_folds_that_cannot_be(options: dict, message: str) -> None:
    with pytest.raises(DataError, match=message) as raised:
        cut(**{"given": frozenset({"test"}), **options})
    assert raised.value.key == ("dataset", "validation", "folds")


def test_pipelines_have_no_folds(tmp_path: Path) -> None:
    lines = [
        "import numpy as np, tensorflow as tf",
        "def parts():",
        "    part = tf.data.Dataset.from_tensor_slices((np.zeros((20, 3), 'float32'), np.arange(20) % 2))",
        "    return {'train': part, 'validation': part, 'test': part}",
    ]
    (tmp_path / "piped_folds.py").write_text("\n".join(lines))
    spec = DatasetSpec.model_validate({"name": "piped_folds:parts", "validation": {"folds": 2}})
    with pytest.raises(DataError, match="divides the arrays of a dataset, and the function returns none"):
        load(spec, [tmp_path])


def test_each_fold_is_a_dataset_with_a_scaling_of_its_own_and_is_opened_again(tmp_path: Path) -> None:
    data = load(DatasetSpec.model_validate({"name": "iris", "validation": {"folds": 3, "seed": 5}}), [])
    x, y = load_iris(return_X_y=True)
    rest, test = train_test_split(np.arange(150), test_size=30, random_state=0, stratify=y)
    for fold, (inner, outer) in zip(
        data.folds, StratifiedKFold(3, shuffle=True, random_state=5).split(rest, y[rest]), strict=True
    ):
        scaler = StandardScaler().fit(x[rest[inner]])
        np.testing.assert_allclose(fold.info.scaling.offset, scaler.mean_, rtol=1e-6)
        np.testing.assert_array_equal(fold.validation.x, x[rest[outer]])
        np.testing.assert_array_equal(fold.test.x, x[test])
        assert fold.info.folds is None
    assert len({fold.info.digest for fold in data.folds} | {data.info.digest}) == 4
    assert data.info.folds == 3
    assert data.info.scaling is data.folds[0].info.scaling
    assert data.validation is data.folds[0].validation
    save(data, tmp_path / "data")
    again = open_prepared(tmp_path / "data")
    assert again.info.digest == data.info.digest
    assert again.info.folds == 3
    np.testing.assert_array_equal(again.training.x, data.training.x)
    for one, other in zip(again.folds, data.folds, strict=True):
        np.testing.assert_array_equal(one.validation.x, other.validation.x)
        np.testing.assert_array_equal(one.info.scaling.factor, other.info.scaling.factor)
    third = open_prepared(tmp_path / "data" / "fold_3")
    assert third.info.digest == data.folds[2].info.digest


def test_folds_share_the_extra_tests() -> None:
    spec = {"name": "digits", "limit": 100, "validation": {"folds": 2}, "extra_tests": {"shifted": {"shift": [1, 0]}}}
    data = load(DatasetSpec.model_validate(spec), [])
    assert [fold.info.extra_tests for fold in data.folds] == [("shifted",)] * 2
    np.testing.assert_array_equal(data.folds[1].extra_tests["shifted"].x[:, 1:], data.test.x[:, :-1])
