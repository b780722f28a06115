"""The whole way from a section to a dataset: determinism, digests, leaks."""

from collections.abc import Mapping
from pathlib import Path

import numpy as np
import pytest

from hpo.config.dataset_parts import Validation
from hpo.config.experiment import DatasetSpec
from hpo.data import load
from hpo.errors import DataError


def test_two_runs_give_the_same_dataset() -> None:
    first, second = (load(DatasetSpec(name="digits"), []) for _ in range(2))
    assert first.info.digests == second.info.digests
    np.testing.assert_array_equal(first.training.x, second.training.x)
    assert load(DatasetSpec(name="digits", seed=1), []).info.digest != first.info.digest


def test_digests_tell_content_type_and_shape(tmp_path: Path) -> None:
    x, y = np.arange(200, dtype=np.int64).reshape(100, 2), np.arange(100) % 2

    def digests(x: np.ndarray, y: np.ndarray) -> Mapping[str, str]:
        np.savez(tmp_path / "d.npz", x_train=x, y_train=y, x_test=x[:9], y_test=y[:9])
        return load(DatasetSpec(path="d.npz", validation=Validation(size=10)), [tmp_path]).info.digests

    base = digests(x, y)
    changed = x.copy()
    changed[50, 1] += 1
    other = digests(changed, y)
    assert other["test"] == base["test"]
    assert other["training"] + other["validation"] != base["training"] + base["validation"]
    assert digests(x.astype(np.float64), y)["test"] != base["test"]
    assert digests(x[..., np.newaxis], y)["test"] != base["test"]
    assert all(len(digest) == 32 for digest in base.values())


def test_scaling_sees_the_training_part_alone(tmp_path: Path) -> None:
    x, y = np.zeros((100, 1)), np.arange(100) % 2
    x[:50] = 1
    np.savez(tmp_path / "d.npz", x_train=x, y_train=y, x_val=x + 50, y_val=y, x_test=x - 50, y_test=y)
    scaling = load(DatasetSpec(path="d.npz", scaling="minmax"), [tmp_path]).info.scaling
    assert (scaling.offset.tolist(), scaling.factor.tolist()) == ([0.0], [1.0])


def test_scaling_is_fitted_after_the_split() -> None:
    dataset = load(DatasetSpec(name="diabetes"), [])
    scaled = dataset.info.scaling.apply(dataset.training.x)
    np.testing.assert_allclose(scaled.mean(axis=0), 0, atol=1e-5)
    assert np.abs(dataset.info.scaling.apply(dataset.test.x).mean(axis=0)).max() > 1e-3


def test_limit_keeps_a_given_test_part(tmp_path: Path) -> None:
    x, y = np.arange(1000.0).reshape(1000, 1), np.arange(1000) % 10
    np.savez(tmp_path / "d.npz", x_train=x, y_train=y, x_test=x[:300], y_test=y[:300])
    dataset = load(DatasetSpec(path="d.npz", limit=100), [tmp_path])
    assert dataset.info.sizes == {"training": 80, "validation": 20, "test": 300}
    assert np.bincount(dataset.training.y).tolist() == [8] * 10


def test_samples_keep_their_labels() -> None:
    whole = load(DatasetSpec(name="iris"), [])
    known = {(*row, label) for row, label in zip(map(tuple, _iris().data), _iris().target, strict=True)}
    for part in (whole.training, whole.validation, whole.test):
        assert {(*row, label) for row, label in zip(map(tuple, part.x), part.y, strict=True)} <= known


def _iris():
    from sklearn.datasets import load_iris

    return load_iris()


def test_validation_larger_than_the_data() -> None:
    with pytest.raises(DataError, match="dataset iris: validation: 500 asks for 500 of 120 samples"):
        load(DatasetSpec(name="iris", validation=Validation(size=500)), [])


def test_stratify_on_regression() -> None:
    with pytest.raises(DataError, match="dataset diabetes: cannot stratify for test: the task is regression"):
        load(DatasetSpec(name="diabetes", stratify=True), [])


def test_series_keep_their_shape_and_grey_images_get_a_channel(tmp_path: Path) -> None:
    y = np.arange(40) % 2
    for dtype, shape in (("float32", (5, 3)), ("uint8", (5, 3, 1))):
        np.savez(tmp_path / "d.npz", x_train=np.zeros((40, 5, 3), dtype), y_train=y)
        assert load(DatasetSpec(path="d.npz"), [tmp_path]).info.input_shape == shape
