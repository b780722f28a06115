"""Toy data and models, and their curves by `model.fit`: what training inside the graph is compared with."""

import itertools
from collections.abc import Callable
from typing import Any

import keras
import numpy as np
import pytest

from hpo.data.dataset import Dataset, DatasetInfo, Part, Scaling, Task
from hpo.training.graph import GraphLoop
from hpo.training.learning_rate import Rates

SAMPLES = 203
"""No multiple of any batch size below: the last batch is incomplete."""

SHAPE = (6, 6, 1)
rng = np.random.default_rng(0)
PIXELS = rng.integers(0, 256, (SAMPLES + 100, *SHAPE)).astype(np.uint8)
CLASSES = (PIXELS.reshape(len(PIXELS), -1)[:, :18].mean(axis=1) > 127).astype(np.int64) + (PIXELS[:, 0, 0, 0] > 200)
SCALING = Scaling("minmax", np.array(0, np.float32), np.array(1 / 255, np.float32))


def dataset(labels: np.ndarray = CLASSES, task: Task = "classification") -> Dataset:
    one_hot = labels.ndim == 2
    classes = 3 if task == "classification" else None
    sizes = {"training": SAMPLES, "validation": 50, "test": 50}
    info = DatasetInfo("toy", "toy", task, SHAPE, classes, classes or 1, one_hot, sizes, {}, "", SCALING)
    edges = (0, SAMPLES, SAMPLES + 50, SAMPLES + 100)
    training, validation, test = (Part(PIXELS[a:b], labels[a:b]) for a, b in itertools.pairwise(edges))
    return Dataset(info, training, validation, test)


def model_of(*layers: Any, optimizer: Any = "adam", **compiling: Any) -> keras.Model:
    keras.utils.clear_session()  # as before each trial, whose layers have the names of the last one's then
    keras.utils.set_random_seed(7)
    model = keras.Sequential([keras.Input(SHAPE), *(make() for make in layers)])
    compiling = {"loss": "sparse_categorical_crossentropy", "metrics": ["accuracy"], **compiling}
    model.compile(optimizer=optimizer() if callable(optimizer) else optimizer, **compiling)
    return model


def layer(name: str, *arguments: Any, **options: Any) -> Callable[[], Any]:
    return lambda: getattr(keras.layers, name)(*arguments, **options)


FLAT, HEAD = layer("Flatten"), layer("Dense", 3, activation="softmax")
MLP = (FLAT, layer("Dense", 8, activation="relu"), HEAD)


Curves = tuple[list[dict[str, float]], dict[str, float]]
"""Loss and metrics of each epoch, and those on the test part."""


def _orders(epochs: int) -> list[np.ndarray]:
    return [np.random.default_rng(epoch).permutation(SAMPLES) for epoch in range(epochs)]


def curves_in_graph(loop: GraphLoop, batch: int, epochs: int = 2, rates: Rates | None = None) -> Curves:
    curves = []
    for epoch, order in enumerate(_orders(epochs)):
        trained = loop.train(order, batch, lambda loss: None, None if rates is None else rates.of_epoch(epoch))
        validated = loop.evaluate("validation", lambda loss: None)
        curves.append(trained | {f"val_{name}": value for name, value in validated.items()})
    return curves, loop.evaluate("test", lambda loss: None)


def make_variables(model: keras.Model, x: Any, y: Any = None, sample_weight: Any = None) -> None:
    """Makes the variables of a model, its metrics and its optimizer: made in the graph, they have it traced twice."""
    model._symbolic_build(data_batch=(x, y, sample_weight))


def curves_by_fit(
    model: keras.Model, data: Dataset, batch: int, weights: np.ndarray | None = None, epochs: int = 2
) -> Curves:
    curves = []
    # Tracing Keras's functions takes ten times as long as these few steps.
    model.run_eagerly = batch >= 32 and model.dtype_policy.compute_dtype in ("float32", "float64")
    scale = data.info.scaling.apply
    make_variables(model, scale(data.training.x[:2]), data.training.y[:2], None if weights is None else weights[:2])
    for order in _orders(epochs):
        history = model.fit(
            scale(data.training.x[order]),
            data.training.y[order],
            sample_weight=None if weights is None else weights[order],
            validation_data=(scale(data.validation.x), data.validation.y),
            batch_size=batch,
            validation_batch_size=512,
            shuffle=False,
            verbose=0,
        ).history
        curves.append({name: value for name, (value,) in history.items()})
    return curves, model.evaluate(scale(data.test.x), data.test.y, batch_size=512, verbose=0, return_dict=True)


def assert_same(found: Curves, expected: Curves) -> None:
    for one, other in zip([*found[0], found[1]], [*expected[0], expected[1]], strict=True):
        # Where two classes are as likely, rounding decides on a sample; there are fifty and more.
        wanted = {
            name: pytest.approx(value, rel=2e-4, abs=0.021 if "accuracy" in name else 2e-5)
            for name, value in other.items()
        }
        assert one == wanted


def assert_same_curves(
    make: Callable[[], keras.Model], data: Dataset, batch: int, weights: np.ndarray | None = None, epochs: int = 2
) -> None:
    """Trains twice from the same seed and in the same order: inside the graph, and by `model.fit`."""
    found = curves_in_graph(GraphLoop(make(), data, weights), batch, epochs)
    assert_same(found, curves_by_fit(make(), data, batch, weights, epochs))
