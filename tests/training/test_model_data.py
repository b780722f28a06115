"""Saved models: what they say of features as they came, and what they know of their data."""

from pathlib import Path
from typing import Any

import keras
import numpy as np
import pandas as pd
import pytest
import tensorflow as tf

from hpo import models
from hpo.config.experiment import DatasetSpec, TrainingSpec
from hpo.data import Dataset, load
from hpo.data.column import Column
from hpo.data.prepare import prepare
from hpo.data.several import Several
from hpo.data.source_data import RawDataset, RawPart, Values
from hpo.errors import ModelError
from hpo.export.predict import predict as predicted_file
from hpo.training.compiling import compile_model
from hpo.training.model_data import read_info, write_info
from hpo.training.predict import outputs_by_name, predict
from hpo.training.saving import save, with_preprocessing


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


@keras.saving.register_keras_serializable("test_model_data")
class FailsWithoutAWord(keras.layers.Layer):
    @classmethod
    def from_config(cls, config):
        raise KeyError


def test_an_error_without_a_message_is_said_by_its_type(tmp_path: Path) -> None:
    keras.Sequential([keras.Input((3,)), FailsWithoutAWord()]).save(tmp_path / "m.keras")
    with pytest.raises(ModelError, match=r"m\.keras: cannot be loaded: KeyError\n"):
        predict(tmp_path / "m.keras", np.ones((1, 3)))


def test_code_within_a_model_is_not_run(tmp_path: Path) -> None:
    layers = [keras.Input((3,)), keras.layers.Lambda(lambda x: x * 2)]
    keras.Sequential(layers).save(tmp_path / "m.keras")
    with pytest.raises(ModelError, match=r"cannot be loaded: .*[Ll]ambda"):
        predict(tmp_path / "m.keras", np.ones((1, 3)))


X = np.random.default_rng(0).normal(size=(64, 4)).astype(np.float32)


def made(y: Any, task: Any) -> Dataset:
    """Three parts of the same samples."""
    part = RawPart(Values(X, "x"), None if y is None else Values(y, "y"), None)
    return prepare(RawDataset("s", part, part, part), DatasetSpec(name="d", scaling="none", task=task))


def network(*units: int, names: tuple[str, ...] = ()) -> keras.Model:
    """A model with an output of each number of units, without activations: by name, in a list or by itself."""
    keras.utils.set_random_seed(0)
    x = keras.Input((4,))
    outputs = [keras.layers.Dense(one)(x) for one in units]
    named = dict(zip(names, outputs, strict=True)) if names else outputs
    return keras.Model(x, named if len(units) > 1 else outputs[0])


def test_each_label_is_a_probability_by_itself(tmp_path: Path) -> None:
    held = (X > 0).astype(int)
    dataset = made(held, "multilabel")
    model = compile_model(network(4), TrainingSpec(), dataset.info)
    expected = np.asarray(tf.sigmoid(model(X)))
    scores = model.evaluate(X, held, verbose=0, return_dict=True)
    assert scores["binary_accuracy"] == pytest.approx(float(((expected > 0.5) == held).mean()))
    save(model, dataset, tmp_path / "m.keras")
    np.testing.assert_allclose(predict(tmp_path / "m.keras", X), expected, atol=1e-6)


@pytest.mark.parametrize("listed", [False, True])
def test_each_of_several_outputs_has_its_own_probabilities(tmp_path: Path, listed: bool) -> None:
    y = {"target_1": (X[:, 0] > 0).astype(int), "target_2": np.arange(64) % 3, "target_3": X[:, 1]}
    dataset = made(Several(y, listed), None)
    model = compile_model(network(1, 3, 1, names=() if listed else tuple(y)), TrainingSpec(), dataset.info)
    save(model, dataset, tmp_path / "m.keras")
    raw = model(X)
    one, three, number = raw if listed else raw.values()
    found = outputs_by_name(tmp_path / "m.keras", X)
    for mine, expected in zip(found.values(), (tf.sigmoid(one), tf.nn.softmax(three), number), strict=True):
        np.testing.assert_allclose(mine, expected, atol=1e-6)


def test_several_outputs_without_a_target_are_all_there(tmp_path: Path) -> None:
    dataset, model = made(None, "custom"), network(2, 3)
    model.compile("adam")
    save(model, dataset, tmp_path / "m.keras")
    np.testing.assert_allclose(predict(tmp_path / "m.keras", X), model(X)[0], atol=1e-6)
    np.save(tmp_path / "x.npy", X)
    assert predicted_file(str(tmp_path / "m.keras"), tmp_path / "x.npy").table.shape == (64, 5)
