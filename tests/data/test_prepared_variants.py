"""Data prepared otherwise than the experiment says: what may vary, what must not, and which folders are kept."""

from typing import Any

import numpy as np
import pytest
from sklearn.datasets import load_iris
from sklearn.model_selection import train_test_split
from tiny import tiny

from hpo.config.experiment import DatasetSpec
from hpo.config.space import dataset_with
from hpo.data import open_prepared, prepared_variants
from hpo.data.prepared_variants import PreparedVariants, Variants
from hpo.errors import InvalidSettings
from hpo.export.script import script_of
from hpo.plan.exported_file import Exported
from hpo.plan.plan import load_plan

IRIS = DatasetSpec(name="iris")


@pytest.fixture
def data(tmp_path):
    return PreparedVariants(Variants(IRIS, []), tmp_path)


def opened(data, **settings):
    return open_prepared(data.folder(dataset_with(IRIS, {f"dataset.{key}": value for key, value in settings.items()})))


def test_scaling_and_the_validation_part_vary_and_the_test_part_does_not(data):
    base = open_prepared(data.base)
    x, y = load_iris(return_X_y=True)
    rest, test = train_test_split(np.arange(150), test_size=30, random_state=0, stratify=y)
    unscaled = opened(data, scaling="none")
    assert (base.info.scaling.method, unscaled.info.scaling.method) == ("standard", "none")
    np.testing.assert_array_equal(unscaled.training.x, base.training.x)
    other = opened(data, **{"validation.seed": 3, "validation.size": 0.5})
    inner, outer = train_test_split(rest, test_size=60, random_state=3, stratify=y[rest])
    np.testing.assert_array_equal(other.training.x, x[inner])
    np.testing.assert_array_equal(other.validation.x, x[outer])
    np.testing.assert_allclose(other.info.scaling.offset, x[inner].mean(axis=0), rtol=1e-6)
    for variant in (base, unscaled, other):
        np.testing.assert_array_equal(variant.test.x, x[test])


def test_each_variant_is_prepared_once_and_what_changes_no_data_is_the_base(data):
    assert data.folder(IRIS) == data.base
    noisy = dataset_with(IRIS, {"dataset.augmentation.noise": 0.1})
    assert data.folder(noisy) == data.base
    first = data.folder(dataset_with(IRIS, {"dataset.scaling": "none"}))
    assert first != data.base
    before = (first / "meta.json").stat().st_mtime_ns
    assert data.folder(dataset_with(IRIS, {"dataset.scaling": "none", "dataset.augmentation.noise": 0.1})) == first
    assert (first / "meta.json").stat().st_mtime_ns == before


@pytest.mark.parametrize(
    ("key", "value", "message"),
    [
        ("seed", 1, r"^dataset\.seed would change the test part, on which all trials of a study are scored"),
        ("limit", 50, r"^dataset\.limit would change the test part"),
        ("test", 0.5, r"^dataset\.test would change the test part"),
        ("validation", 500, "validation: 500 asks for 500 of 120 samples and leaves none to train on"),
        ("validation.folds", 3, "the number of folds must be the same for all trials of a study: None, not 3"),
        ("augmentation.rotation", 0.1, r"^dataset\.augmentation\.rotation: needs images"),
    ],
)
def test_what_must_not_vary_or_cannot_be_made(data, key, value, message):
    for _ in range(2):
        with pytest.raises(InvalidSettings, match=message):
            opened(data, **{key: value})
    assert opened(data, scaling="minmax").info.scaling.method == "minmax"


def test_limit_varies_where_the_data_bring_a_test_part(tmp_path):
    x, y = np.arange(240, dtype=np.uint8).reshape(60, 2, 2), np.arange(60) % 2
    np.savez(tmp_path / "toy.npz", x_train=x[:50], y_train=y[:50], x_test=x[50:], y_test=y[50:])
    spec = DatasetSpec(name="toy", path=str(tmp_path / "toy.npz"))
    data = PreparedVariants(Variants(spec, [tmp_path]), tmp_path)
    few = open_prepared(data.folder(dataset_with(spec, {"dataset.limit": 20, "dataset.seed": 4})))
    assert few.info.sizes == {"training": 16, "validation": 4, "test": 10}
    np.testing.assert_array_equal(few.test.x[..., 0], x[50:])


def test_the_folders_used_longest_ago_are_dropped_but_none_that_is_needed(data, monkeypatch):
    specs = [dataset_with(IRIS, {"dataset.validation.seed": seed}) for seed in range(12)]
    folders = [data.folder(spec) for spec in specs]
    assert data.folder(specs[1]) == folders[1]
    # Small ones all stay.
    assert not data.crowded
    monkeypatch.setattr(prepared_variants, "_SMALL", 0)
    assert data.crowded
    data.drop(needed=[folders[0]])
    assert not data.crowded
    kept = [number for number, folder in enumerate(folders) if folder.exists()]
    # The first is that of the section itself, which has this seed.
    assert (folders[0], kept) == (data.base, [0, 1, *range(5, 12)])
    assert data.base.exists()
    assert data.folder(specs[2]) not in folders
    assert data.folder(specs[0]) == folders[0]


def test_the_script_of_a_trial_prepares_the_data_as_the_trial_had_them(tmp_path):
    space = {
        "model": "mlp",
        "parameters": {
            "depth": 1,
            "width": 4,
            "scaling": {"type": "categorical", "choices": ["standard", "minmax"], "sets": "dataset.scaling"},
            "split": {"type": "int", "low": 0, "high": 9, "sets": "dataset.validation.seed"},
        },
    }
    plan = load_plan(tiny(search_space=space), home=tmp_path)
    config = {"depth": 1, "width": 4, "scaling": "minmax", "split": 7}
    scores = {"val_accuracy": 0.9}
    names: dict[str, Any] = {"__name__": "script"}
    exec(script_of(Exported("tiny", 0, plan, config, seed=1, epochs=2, scores=scores, digest="")), names)
    (x, y), (x_val, _), (x_test, _) = names["load_data"]()
    expected = Variants(IRIS, []).dataset(dataset_with(IRIS, plan.space.settings(config)))
    np.testing.assert_array_equal(y, expected.training.y)
    for found, part in ((x, expected.training), (x_val, expected.validation), (x_test, expected.test)):
        np.testing.assert_allclose(found, expected.info.scaling.apply(part.x), atol=1e-6)
