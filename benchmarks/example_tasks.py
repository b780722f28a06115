"""Twelve tasks of the kinds of Keras's code examples, written anew: images, text, series, structured data.

Each is a function of data and KerasTuner's `build(hp)`. Images are those of Fashion-MNIST; all else is made.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

import keras
import numpy as np
from keras import layers as L

from benchmarks import job

_SAMPLES, _VALIDATION = 4000, 1000
_WORDS, _LENGTH = 2000, 40


@dataclass(frozen=True)
class Example:
    """A task."""

    title: str
    data: Callable[[], tuple[Any, Any]]
    """Inputs and targets: 4,000 samples to train on, then 1,000 to validate."""
    build: Callable[[Any], keras.Model]


def split(values: Any) -> tuple[Any, Any]:
    """What of some data trains, and what validates."""
    if isinstance(values, Mapping):
        halves = {name: split(one) for name, one in values.items()}
        return {name: one[0] for name, one in halves.items()}, {name: one[1] for name, one in halves.items()}
    return values[:_SAMPLES], values[_SAMPLES:]


def _random() -> np.random.Generator:
    return np.random.default_rng(0)


def _compiled(hp: Any, model: keras.Model, loss: str, *metrics: str) -> keras.Model:
    rate = hp.Float("learning_rate", 1e-4, 1e-2, sampling="log")
    model.compile(keras.optimizers.Adam(rate), loss, metrics=list(metrics))
    return model


def _classes(hp: Any, inputs: Any, outputs: Any, classes: int) -> keras.Model:
    model = keras.Model(inputs, L.Dense(classes, "softmax")(outputs))
    return _compiled(hp, model, "sparse_categorical_crossentropy", "accuracy")


def _images() -> tuple[Any, Any]:
    found = job.load_data()
    count = _SAMPLES + _VALIDATION
    return found.x_train[:count].reshape(count, 28, 28, 1).astype("float32"), found.y_train[:count]


def _pictures() -> tuple[Any, Any]:
    x, _ = _images()
    return x, x


def _convnet(hp: Any) -> keras.Model:
    inputs = keras.Input((28, 28, 1))
    x = inputs
    for block in range(2):
        x = L.Conv2D(hp.Choice(f"filters_{block}", [8, 16, 32]), 3, activation="relu")(x)
        x = L.MaxPooling2D()(x)
    return _classes(hp, inputs, L.Dropout(hp.Float("dropout", 0.0, 0.5))(L.Flatten()(x)), 10)


def _residual(hp: Any) -> keras.Model:
    inputs = keras.Input((28, 28, 1))
    filters = hp.Choice("filters", [8, 16])
    x = L.Conv2D(filters, 3, strides=2, padding="same", activation="relu")(inputs)
    for _ in range(hp.Int("blocks", 1, 2)):
        inner = L.BatchNormalization()(L.Conv2D(filters, 3, padding="same", activation="relu")(x))
        x = L.Activation("relu")(L.Add()([x, L.Conv2D(filters, 3, padding="same")(inner)]))
    return _classes(hp, inputs, L.GlobalAveragePooling2D()(x), 10)


def _attended(x: Any, heads: int, units: int) -> Any:
    x = L.LayerNormalization()(L.Add()([x, L.MultiHeadAttention(heads, 16)(x, x)]))
    return L.LayerNormalization()(L.Add()([x, L.Dense(x.shape[-1])(L.Dense(units, "gelu")(x))]))


def _vision_transformer(hp: Any) -> keras.Model:
    inputs = keras.Input((28, 28, 1))
    x = L.Reshape((16, 32))(L.Conv2D(32, 7, strides=7)(inputs))
    for _ in range(hp.Int("blocks", 1, 2)):
        x = _attended(x, hp.Choice("heads", [1, 2]), 64)
    return _classes(hp, inputs, L.Flatten()(x), 10)


def _autoencoder(hp: Any) -> keras.Model:
    filters = hp.Choice("filters", [8, 16])
    inputs = keras.Input((28, 28, 1))
    x = L.Conv2D(filters, 3, strides=2, padding="same", activation="relu")(inputs)
    x = L.Conv2DTranspose(filters, 3, strides=2, padding="same", activation="relu")(x)
    return _compiled(hp, keras.Model(inputs, L.Conv2D(1, 3, padding="same", activation="sigmoid")(x)), "mse")


def _text() -> tuple[Any, Any]:
    x = _random().integers(1, _WORDS, (_SAMPLES + _VALIDATION, _LENGTH))
    return x, ((x % 7 == 0).sum(axis=1) > 5).astype("int64")


def _embedded(hp: Any) -> tuple[Any, Any]:
    inputs = keras.Input((_LENGTH,), dtype="int64")
    return inputs, L.Embedding(_WORDS, hp.Choice("size", [16, 32]))(inputs)


def _pooled_words(hp: Any) -> keras.Model:
    inputs, x = _embedded(hp)
    x = L.GlobalMaxPooling1D()(L.Conv1D(hp.Choice("filters", [16, 32]), 5, activation="relu")(x))
    return _classes(hp, inputs, x, 2)


def _bidirectional(hp: Any) -> keras.Model:
    inputs, x = _embedded(hp)
    return _classes(hp, inputs, L.Bidirectional(L.LSTM(hp.Choice("units", [8, 16])))(x), 2)


def _text_transformer(hp: Any) -> keras.Model:
    inputs, x = _embedded(hp)
    return _classes(hp, inputs, L.GlobalAveragePooling1D()(_attended(x, hp.Choice("heads", [1, 2]), 32)), 2)


def _series(features: int) -> np.ndarray:
    rng, count = _random(), _SAMPLES + _VALIDATION
    time = np.arange(48)[None, :, None] / 8 + rng.uniform(0, 6, (count, 1, features))
    return (np.sin(time) + rng.normal(0, 0.2, (count, 48, features))).astype("float32")


def _weather() -> tuple[Any, Any]:
    x = _series(4)
    return x[:, :-1], x[:, -1, 0]


def _forecast(hp: Any) -> keras.Model:
    inputs = keras.Input((47, 4))
    return _compiled(hp, keras.Model(inputs, L.Dense(1)(L.LSTM(hp.Choice("units", [16, 32]))(inputs))), "mse", "mae")


def _engines() -> tuple[Any, Any]:
    x = _series(1)
    kind = _random().integers(0, 2, len(x))
    x[kind == 1, 20:24] += 1.0
    return x, kind


def _series_classes(hp: Any) -> keras.Model:
    inputs = keras.Input((48, 1))
    x = inputs
    for _ in range(hp.Int("blocks", 1, 3)):
        x = L.ReLU()(L.BatchNormalization()(L.Conv1D(hp.Choice("filters", [16, 32]), 3, padding="same")(x)))
    return _classes(hp, inputs, L.GlobalAveragePooling1D()(x), 2)


def _readings() -> tuple[Any, Any]:
    x = _series(1)
    return x, x


def _anomalies(hp: Any) -> keras.Model:
    filters = hp.Choice("filters", [8, 16, 32])
    inputs = keras.Input((48, 1))
    x = L.Conv1D(filters, 7, strides=2, padding="same", activation="relu")(inputs)
    x = L.Conv1DTranspose(filters, 7, strides=2, padding="same", activation="relu")(L.Dropout(0.2)(x))
    return _compiled(hp, keras.Model(inputs, L.Conv1D(1, 7, padding="same")(x)), "mse")


def _census() -> tuple[Any, Any]:
    rng, count = _random(), _SAMPLES + _VALIDATION
    x = {"wide": rng.integers(0, 2, (count, 20)).astype("float32"), "deep": rng.normal(size=(count, 8))}
    x["deep"] = x["deep"].astype("float32")
    return x, (x["deep"][:, 0] * x["deep"][:, 1] + x["wide"][:, 0] > 0.5).astype("int64")


def _wide_and_deep(hp: Any) -> keras.Model:
    inputs = {"wide": keras.Input((20,), name="wide"), "deep": keras.Input((8,), name="deep")}
    x = inputs["deep"]
    for _ in range(hp.Int("depth", 1, 3)):
        x = L.Dropout(hp.Float("dropout", 0.0, 0.5))(L.Dense(hp.Int("units", 16, 64, step=16), "relu")(x))
    return _classes(hp, inputs, L.Concatenate()([inputs["wide"], x]), 2)


def _ratings() -> tuple[Any, Any]:
    rng, count = _random(), _SAMPLES + _VALIDATION
    x = {"user": rng.integers(0, 300, count), "film": rng.integers(0, 500, count)}
    return x, (np.sin(x["user"]) * np.cos(x["film"])).astype("float32")


def _recommender(hp: Any) -> keras.Model:
    size = hp.Choice("size", [8, 16, 32])
    inputs = {name: keras.Input((), dtype="int64", name=name) for name in ("user", "film")}
    factors = [L.Embedding(rows, size)(inputs[name]) for name, rows in (("user", 300), ("film", 500))]
    return _compiled(hp, keras.Model(inputs, L.Dense(1)(L.Multiply()(factors))), "mse", "mae")


EXAMPLES = {
    "convnet": Example("Simple convnet", _images, _convnet),
    "residual": Example("Residual blocks", _images, _residual),
    "vision_transformer": Example("Vision transformer", _images, _vision_transformer),
    "autoencoder": Example("Convolutional autoencoder", _pictures, _autoencoder),
    "text": Example("Text classification from scratch", _text, _pooled_words),
    "bidirectional": Example("Bidirectional LSTM on text", _text, _bidirectional),
    "text_transformer": Example("Text classification with a transformer", _text, _text_transformer),
    "forecast": Example("Forecast of a series", _weather, _forecast),
    "series_classes": Example("Classification of series", _engines, _series_classes),
    "anomalies": Example("Anomalies in a series", _readings, _anomalies),
    "wide_and_deep": Example("Wide and deep, two inputs", _census, _wide_and_deep),
    "recommender": Example("Collaborative filtering", _ratings, _recommender),
}
"""Name -> task."""
