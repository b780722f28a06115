"""Saved models: what they say of features as they came, and what they know of their data."""

from pathlib import Path

import keras
import numpy as np
import pandas as pd
import pytest
import tensorflow as tf

from hpo import models
from hpo.config.experiment import DatasetSpec, TrainingSpec
from hpo.data import Dataset, load
from hpo.data.column import Column
from hpo.errors import ModelError
from hpo.training.compiling import compile_model
from hpo.training.model_data import read_info, write_info
from hpo.training.predict import predict
from hpo.training.saving import with_preprocessing


def saved(folder: Path, dataset: Dataset, name: str = "mlp") -> tuple[keras.Model, Path]:
    """A model without its scaling, and the file of the same with it."""
    keras.utils.set_random_seed(0)
    model = models.build(name, {}, dataset.info).model
    compile_model(model, TrainingSpec(), dataset.info)
    model.optimizer.build(model.trainable_variables)  # as training does
    path = folder / "m.keras"
    with_preprocessing(model, dataset.info).save(path)
    write_info(path, dataset.info)
    return model, path


@pytest.mark.parametrize("name", ["mlp", "cnn"])
def test_features_as_they_came_are_scaled_as_in_training(tmp_path: Path, name: str) -> None:
    dataset = load(DatasetSpec(name="digits", limit=100), [])
    model, path = saved(tmp_path, dataset, name)
    expected = model.predict(dataset.info.scaling.apply(dataset.test.x), verbose=0)
    np.testing.assert_allclose(predict(path, dataset.test.x, batch_size=7), expected, atol=1e-6)


def test_large_numbers_keep_their_differences(tmp_path: Path) -> None:
    rng = np.random.default_rng(0)
    frame = pd.DataFrame({"at": 1_700_000_000 + rng.integers(0, 900, 200), "size": rng.random(200)})
    frame["late"] = frame["at"] > 1_700_000_450
    frame.to_csv(tmp_path / "t.csv", index=False)
    dataset = load(DatasetSpec(path="t.csv", target="late"), [tmp_path])
    model, path = saved(tmp_path, dataset)
    scaled = dataset.info.scaling.apply(dataset.test.x)
    np.testing.assert_allclose(predict(path, dataset.test.x), model.predict(scaled, verbose=0), atol=1e-5)
    # In float32 there would be 15 different times in 900 seconds.
    assert len(np.unique(predict(path, dataset.training.x)[:, 0])) > 100


def test_a_saved_model_knows_its_data_and_loads_in_plain_keras(tmp_path: Path) -> None:
    frame = pd.DataFrame({"size": np.linspace(0, 1, 90), "town": ["Ulm", "Bonn", "Jena"] * 30})
    frame.assign(price=frame["size"] * 3).to_csv(tmp_path / "t.csv", index=False)
    dataset = load(DatasetSpec(path="t.csv", target="price"), [tmp_path])
    _, path = saved(tmp_path, dataset)
    info = read_info(path)
    assert info is not None
    assert info.columns == (Column("size"), Column("town", ("Bonn", "Jena", "Ulm")))
    assert info.feature_names == ("size", "town_Bonn", "town_Jena", "town_Ulm")
    assert (info.digest, info.draws) == (dataset.info.digest, dataset.info.draws)
    model = keras.saving.load_model(path)
    assert model({"size": tf.ones((2, 1)), "town": tf.constant([["Ulm"], ["Oslo"]])}).shape == (2, 1)


def test_a_model_saved_elsewhere_has_no_description_of_its_data(tmp_path: Path) -> None:
    keras.Sequential([keras.Input((3,)), keras.layers.Dense(2)]).save(tmp_path / "m.keras")
    assert read_info(tmp_path / "m.keras") is None
    assert predict(tmp_path / "m.keras", np.ones((5, 3), np.int64)).shape == (5, 2)


def test_samples_of_another_shape(tmp_path: Path) -> None:
    _, path = saved(tmp_path, load(DatasetSpec(name="digits", limit=100), []))
    with pytest.raises(ModelError, match=r"takes samples of shape \(8, 8, 1\), got \(8, 8\)"):
        predict(path, np.ones((5, 8, 8)))


def test_files_that_are_no_model(tmp_path: Path) -> None:
    (tmp_path / "m.keras").write_text("no model")
    with pytest.raises(ModelError, match=r"m\.keras: cannot be"):
        predict(tmp_path / "m.keras", np.ones((1, 3)))


def test_code_within_a_model_is_not_run(tmp_path: Path) -> None:
    layers = [keras.Input((3,)), keras.layers.Lambda(lambda x: x * 2)]
    keras.Sequential(layers).save(tmp_path / "m.keras")
    with pytest.raises(ModelError, match=r"cannot be loaded: .*[Ll]ambda"):
        predict(tmp_path / "m.keras", np.ones((1, 3)))
