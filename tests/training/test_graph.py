"""Epochs inside the graph: the same figures as `model.fit`, batch for batch."""

import time
from collections.abc import Callable, Iterator
from typing import Any

import keras
import numpy as np
import pytest
from toys import CLASSES, FLAT, HEAD, MLP, PIXELS, SAMPLES, SHAPE, assert_same_curves, dataset, layer, model_of

from hpo.training.graph import GraphLoop
from hpo.training.needs_fit import needs_fit


@pytest.mark.parametrize("batch", [1, 500])
def test_batch_sizes(batch: int) -> None:
    assert_same_curves(lambda: model_of(*MLP), dataset(), batch)


OPTIMIZERS: dict[str, Callable[[], Any]] = {
    "nesterov": lambda: keras.optimizers.SGD(0.05, momentum=0.9, nesterov=True),
    "rmsprop": lambda: keras.optimizers.RMSprop(0.01, momentum=0.5, centered=True),
    "adamw": lambda: keras.optimizers.AdamW(0.01, weight_decay=0.1),
    "adadelta": lambda: keras.optimizers.Adadelta(1.0),
    "adagrad": lambda: keras.optimizers.Adagrad(0.1, clipvalue=0.01),
    "lion": lambda: keras.optimizers.Lion(0.001),
    "muon": lambda: keras.optimizers.Muon(0.01, clipnorm=0.1),
    "clipped": lambda: keras.optimizers.Adam(0.01, global_clipnorm=0.1),
    "scheduled": lambda: keras.optimizers.SGD(
        keras.optimizers.schedules.CosineDecay(0.1, 15, warmup_target=0.3, warmup_steps=4)
    ),
    "accumulating": lambda: keras.optimizers.Adam(0.01, gradient_accumulation_steps=2),
}  # fmt: skip


@pytest.mark.parametrize("name", OPTIMIZERS)
def test_optimizers(name: str) -> None:
    assert_same_curves(lambda: model_of(*MLP, optimizer=OPTIMIZERS[name]), dataset(), 64)


MODELS: dict[str, tuple[Any, ...]] = {
    "dropout": (FLAT, layer("Dense", 16, activation="silu"), layer("Dropout", 0.4), HEAD),
    "batch normalisation": (FLAT, layer("Dense", 8), layer("BatchNormalization"), layer("ReLU"), HEAD),
    "layer normalisation": (FLAT, layer("Dense", 8), layer("LayerNormalization"), HEAD),
    "regularised": (FLAT, layer("Dense", 8, kernel_regularizer="l2", activity_regularizer="l1"), HEAD),
    "convolutions": (layer("Conv2D", 4, 3, activation="relu"), layer("MaxPooling2D"), FLAT, HEAD),
    "augmentation": (layer("RandomFlip"), layer("RandomTranslation", 0.1, 0.1), layer("GaussianNoise", 0.1), *MLP),
}


@pytest.mark.parametrize("name", MODELS)
def test_layers(name: str) -> None:
    assert_same_curves(lambda: model_of(*MODELS[name]), dataset(), 64)


def test_sample_weights() -> None:
    weights = np.random.default_rng(3).uniform(0, 2, SAMPLES).astype(np.float32)
    make = lambda: model_of(*MLP, weighted_metrics=["accuracy"])  # noqa: E731
    assert_same_curves(make, dataset(), 32, weights)


def test_one_hot_labels_and_several_metrics() -> None:
    make = lambda: model_of(  # noqa: E731
        *MLP, loss="categorical_crossentropy", metrics=["accuracy", keras.metrics.AUC(name="auc"), "mse"]
    )
    assert_same_curves(make, dataset(np.eye(3, dtype=np.float32)[CLASSES]), 32)


def test_regression() -> None:
    numbers = PIXELS.reshape(len(PIXELS), -1).mean(axis=1).astype(np.float32) / 255
    make = lambda: model_of(FLAT, layer("Dense", 8), layer("Dense", 1), loss="mse", metrics=["mae"])  # noqa: E731
    assert_same_curves(make, dataset(numbers, "regression"), 32)


@pytest.fixture(params=["mixed_float16", "mixed_bfloat16", "float64"])
def policy(request: pytest.FixtureRequest) -> Iterator[str]:
    yield request.param
    keras.mixed_precision.set_global_policy("float32")


def test_precisions(policy: str) -> None:
    def make() -> keras.Model:
        keras.utils.set_random_seed(7)
        keras.mixed_precision.set_global_policy(policy)
        inside = (FLAT, layer("Dense", 8, activation="relu"), layer("Dropout", 0.3), HEAD)
        model = keras.Sequential([keras.Input(SHAPE), *(part() for part in inside)])
        model.compile("adam", "sparse_categorical_crossentropy", metrics=["accuracy"])
        return model

    assert isinstance(make().optimizer, keras.optimizers.LossScaleOptimizer) is (policy == "mixed_float16")
    assert_same_curves(make, dataset(), 32)


class Subclassed(keras.Model):
    """Has no shapes before it is called."""

    def __init__(self) -> None:
        super().__init__()
        self.parts = [keras.layers.Flatten(), keras.layers.Dense(8, activation="relu"), keras.layers.Dense(3)]

    def call(self, x: Any, training: bool = False) -> Any:
        for part in self.parts:
            x = part(x)
        return keras.ops.softmax(x)


def test_a_subclassed_model_that_is_not_built() -> None:
    def make() -> keras.Model:
        keras.utils.set_random_seed(7)
        model = Subclassed()
        model.compile("adam", "sparse_categorical_crossentropy", metrics=["accuracy"])
        return model

    assert_same_curves(make, dataset(), 32)


class OwnStep(Subclassed):
    def train_step(self, data: Any) -> Any:
        return super().train_step(data)


def test_the_reason_why_a_model_cannot_train_in_the_graph() -> None:
    model = OwnStep()
    model.compile("adam", "mse")
    assert needs_fit(model) == "the model has a train_step of its own"
    model = Subclassed()
    model.compile("adam", "mse", run_eagerly=True)
    assert needs_fit(model) == "the model is compiled with run_eagerly"
    model.compile("adam", "mse")
    assert needs_fit(model) is None


def test_an_epoch_can_be_broken_off_between_pieces() -> None:
    class Enough(Exception):
        pass

    looks = []

    def between(loss: float) -> None:
        looks.append(loss)
        if len(looks) == 3:
            raise Enough

    loop = GraphLoop(model_of(*MLP), dataset())
    began = time.perf_counter()

    def train() -> None:
        while True:
            loop.train(np.arange(SAMPLES), 1, between)

    with pytest.raises(Enough):
        train()
    assert time.perf_counter() - began < 20
    assert all(np.isfinite(loss) and loss > 0 for loss in looks)
