"""Layers adapted on the training part: those of Keras's once for all trials, others anew for each."""

from pathlib import Path
from typing import Any

import keras
import numpy as np
import pytest
import tensorflow as tf

from hpo.config.experiment import DatasetSpec
from hpo.data.adapting import adapted, adapting
from hpo.data.prepare import prepare
from hpo.data.source_data import RawDataset, RawPart, Values

TEXTS = np.array([f"Hello w{number % 7}" for number in range(28)], object)


class Vectorization(keras.layers.TextVectorization):
    """A layer of a user's own."""


LAYERS = {
    "Keras's": (keras.layers.TextVectorization, {}),
    "a function": (keras.layers.TextVectorization, {"standardize": tf.strings.lower}),
    "a lambda": (keras.layers.TextVectorization, {"standardize": lambda text: tf.strings.lower(text, "utf-8")}),
    "a subclass": (Vectorization, {}),
}


@pytest.mark.parametrize("name", LAYERS)
def test_layers_are_kept_where_they_can_be_loaded_again(tmp_path: Path, name: str) -> None:
    part = RawPart(Values(TEXTS, "x"), Values(np.arange(28) % 2, "y"))
    dataset = prepare(RawDataset("texts", part, part, part), DatasetSpec(name="texts"))
    kind, options = LAYERS[name]

    def vocabulary() -> Any:
        with adapting(dataset, tmp_path):
            return adapted(kind(max_tokens=20, name="words", **options)).get_vocabulary()

    first = vocabulary()
    assert {"hello", "w6"} < set(first)
    assert vocabulary() == first
    assert len([*tmp_path.glob("adapted/*.keras")]) == (name == "Keras's")
