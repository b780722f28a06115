"""Samples to predict as Python has them: arrays, dicts and lists of inputs, tables; and what several outputs say."""

from types import SimpleNamespace

import keras
import numpy as np
import pandas as pd
import pytest

import hpo
from hpo.errors import DataError
from hpo.export.predict import predict
from hpo.python.given_samples import given_samples
from hpo.study.read import decided_before

RNG = np.random.default_rng(0)
LEFT, RIGHT = RNG.normal(5, 3, (100, 3)), RNG.normal(size=(100, 2))
SIDE = np.where(RIGHT[:, 0] > 0, "right", "left")


def build(params, dataset):
    inputs = [keras.Input(one.shape) for one in dataset.inputs.values()]
    hidden = keras.layers.Concatenate()(inputs)
    return keras.Model(inputs, {"sum": keras.layers.Dense(1)(hidden), "side": keras.layers.Dense(2, "softmax")(hidden)})


def test_a_list_of_inputs_is_predicted_by_each_way(tmp_path) -> None:
    study = hpo.tune(
        build, hpo.Space(learning_rate=0.01), data=([LEFT, RIGHT], {"sum": LEFT.sum(axis=1), "side": SIDE}), trials=1,
        epochs=1, name="pair", home=tmp_path, progress=False, engine={"name": "serial"},
    )  # fmt: skip
    new = [LEFT[:4], RIGHT[:4]]
    table = study.predict(new)
    assert list(table.columns) == ["sum_prediction", "side_class", "side_probability_left", "side_probability_right"]
    by_itself = study.best.model().predict(new, verbose=0)
    np.testing.assert_allclose(table["sum_prediction"], by_itself["sum"][:, 0], atol=1e-5)
    pd.testing.assert_frame_equal(study.predict({"input_1": LEFT[:4], "input_2": RIGHT[:4]}), table)
    np.savez(tmp_path / "new.npz", input_1=LEFT[:4], input_2=RIGHT[:4])
    pd.testing.assert_frame_equal(predict(study.best.model_file, tmp_path / "new.npz").table, table)
    pd.testing.assert_frame_equal(study.predict(tmp_path / "new.npz"), table)
    with pytest.raises(DataError, match=r"list of 2 arrays, .* got list of 1"):
        study.predict([LEFT])
    with pytest.raises(DataError, match=r"inputs: input_2: samples must have shape \(2,\), got \(3,\)"):
        study.predict([LEFT, LEFT])
    found = study.predictions()
    assert list(found.columns) == ["sum_true", "side_true", *table.columns]
    assert set(found["side_true"]) == {"left", "right"}
    # Each input has a scaling of its own, which nobody who goes on with the study takes from it.
    assert study.best.resolved is not None
    decided = decided_before(study.storage, "pair", None)
    assert decided is not None
    assert "scaling" not in decided["dataset"]
    assert study.best.resolved.dataset["scaling"] is None
    error = np.abs(found["sum_true"] - found["sum_prediction"]).mean()
    assert error == pytest.approx(study.best.curves["val_sum_mae"][-1], rel=1e-4)


def info(inputs=(), listed=False, columns=(), is_text=False):
    return SimpleNamespace(inputs=dict.fromkeys(inputs), inputs_listed=listed, columns=columns, is_text=is_text)


def of_file(samples):
    """What stands in the file of samples that were given."""
    return pd.read_parquet(samples) if samples.suffix == ".parquet" else np.load(samples)


def test_samples_are_told_what_the_model_takes(tmp_path) -> None:
    named = given_samples({"words": ["a", "b"], "size": [1, 2]}, info(["words", "size"]), tmp_path)
    assert {name: one.dtype.kind for name, one in named.items()} == {"words": "U", "size": "i"}
    with pytest.raises(DataError, match="must be a dict of the arrays words, size, got ndarray"):
        given_samples(LEFT, info(["words", "size"]), tmp_path)
    with pytest.raises(DataError, match="takes a single array, got a dict: a, b"):
        given_samples({"a": LEFT, "b": LEFT}, info(), tmp_path)
    table = given_samples({"size": [1, 2], "town": ["x", "y"]}, info(columns=("size", "town")), tmp_path)
    assert of_file(table)["town"].tolist() == ["x", "y"]
    with pytest.raises(DataError, match="columns of equal lengths"):
        given_samples({"size": [1, 2], "town": ["x"]}, info(columns=("size", "town")), tmp_path)
    assert of_file(given_samples([[1, 2], [3, 4]], info(), tmp_path)).shape == (2, 2)
    with pytest.raises(DataError, match=r"inputs: must be an array, .*, got object"):
        given_samples(object(), info(), tmp_path)
    with pytest.raises(DataError, match="inputs: words: must have a value for each sample, got a single one"):
        given_samples({"words": "a film", "size": [1]}, info(["words", "size"]), tmp_path)
