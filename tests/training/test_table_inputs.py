"""The columns of a table as inputs of a saved model: the same features as before training."""

from pathlib import Path

import keras
import numpy as np
import pandas as pd
import pytest
import tensorflow as tf
from tables_of_all_kinds import all_kinds

from hpo.config.experiment import DatasetSpec
from hpo.data import load
from hpo.data.tables import read_features
from hpo.training.predict import predict
from hpo.training.saving import with_preprocessing
from hpo.training.table_inputs import features_of_columns


@pytest.mark.parametrize("categories", ["one_hot", "ordinal", "hashing"])
def test_columns_become_the_features_of_training(tmp_path: Path, categories: str) -> None:
    file = tmp_path / "t.csv"
    all_kinds().to_csv(file, index=False)
    spec = {"path": str(file), "target": "price", "drop": ["id"], "categories": categories, "shuffle": False}
    dataset = load(DatasetSpec.model_validate(spec), [])
    features_of_columns(dataset.info).save(tmp_path / "features.keras")
    model = keras.saving.load_model(tmp_path / "features.keras", safe_mode=True)
    odd = pd.DataFrame(
        {"zip": ["1", None], "size a/b": [None, 1.0], "rooms": [None, 3], "garden": [True, None], "town": ["?", "Ulm"],
         "sold": ["2024-02-29", None], "built": ["29.02.2000", "31.12.1899"]}
    )  # fmt: skip
    odd.to_csv(tmp_path / "odd.csv", index=False)
    for name in ("t.csv", "odd.csv"):
        found = read_features(tmp_path / name, dataset.info)
        inputs = {
            key.replace("/", "_"): tf.constant(values.tolist(), tf.float64 if values.dtype.kind == "f" else tf.string)
            for key, values in found.columns.items()
        }
        np.testing.assert_allclose(model(inputs), found.features, rtol=0, atol=1e-9)
    whole = read_features(file, dataset.info).features
    np.testing.assert_array_equal(whole[-len(dataset.test) :], dataset.test.x)
    core = keras.Sequential([keras.Input(dataset.info.input_shape), keras.layers.Dense(1)])
    core.build()
    with_preprocessing(core, dataset.info).save(tmp_path / "m.keras")
    found = read_features(file, dataset.info)
    expected = core.predict(dataset.info.scaling.apply(found.features), verbose=0)
    np.testing.assert_allclose(predict(tmp_path / "m.keras", found.columns), expected, atol=1e-5)
    np.testing.assert_allclose(predict(tmp_path / "m.keras", found.features), expected, atol=1e-5)
    assert dataset.info.feature_names[:3] == ("size a/b", "rooms", "garden")
