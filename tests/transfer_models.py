"""A model with a small network in it, as one for transfer learning has, and what its tests share."""

from typing import Any

import keras


def network() -> keras.Model:
    """Two convolutions with batch normalization, for images of 8 x 8 pixels."""
    inputs = keras.Input((8, 8, 1))
    x = inputs
    for number in (1, 2):
        x = keras.layers.Conv2D(4, 3, name=f"convolution_{number}")(x)
        x = keras.layers.BatchNormalization(name=f"normalization_{number}")(x)
        x = keras.layers.ReLU(name=f"relu_{number}")(x)
    return keras.Model(inputs, x, name="network")


def build(params: Any, dataset: Any) -> keras.Model:
    """The network, of which nothing is said about what trains, and a head."""
    inputs = keras.Input((8, 8, 1))
    x = keras.layers.GlobalAveragePooling2D()(network()(inputs))
    x = keras.layers.Dropout(params.get("dropout", 0.2))(x)
    return keras.Model(inputs, keras.layers.Dense(dataset.classes, "softmax")(x))


def frozen(params: Any, dataset: Any) -> keras.Model:
    """The same, of which only the head trains."""
    model = build(params, dataset)
    model.layers[1].trainable = False
    return model


def two(params: Any, dataset: Any) -> keras.Model:
    """A model with two networks in it."""
    first = keras.Sequential([keras.layers.Dense(3)])
    second = keras.Sequential([keras.layers.Dense(dataset.classes)])
    return keras.Sequential([keras.Input((8, 8, 1)), keras.layers.Flatten(), first, second])
