"""Data whose samples have weights as `model.fit` takes them, and models for them: `training/test_sample_weights`."""

from typing import Any

import keras
import numpy as np
from keras_task import parts

L = keras.layers
SIZES = {"train": 60, "validation": 20, "test": 20}


def _samples() -> tuple[Any, Any, Any]:
    rng = np.random.default_rng(0)
    x = rng.normal(size=(100, 5, 3)).astype("float32")
    targets = {"a": x.sum((1, 2)), "b": (x[..., :1] > 0).astype(int) + (x[..., 1:2] > 1)}
    return x, targets, {"a": rng.uniform(0, 2, 100), "b": rng.uniform(0, 2, (100, 5))}


def by_target() -> Any:
    return parts(*_samples())


def for_all() -> Any:
    """One number a sample, for a target that has steps, too."""
    x, y, w = _samples()
    return parts(x, y, w["a"])


def column() -> Any:
    x, y, w = _samples()
    return parts(x, y, w["a"][:, None])


def of_one_target() -> Any:
    x, y, w = _samples()
    found = parts(x, y, w)
    # As Keras has it, the other's samples count alike.
    return {part: (x, y, {"a": w["a"], "b": None}) for part, (x, y, w) in found.items()}


def validated_alike() -> Any:
    """Weights of a sample for training and test, none for validation."""
    found = for_all()
    return {**found, "validation": found["validation"][:2]}


def as_lists() -> Any:
    x, y, w = _samples()
    return parts(x, list(y.values()), list(w.values()))


def steps() -> Any:
    """A single target."""
    x, y, w = _samples()
    return parts(x, y["b"], w["b"])


def samples_of_steps() -> Any:
    x, y, w = _samples()
    return parts(x, y["b"], w["a"])


def _slices(data: Any) -> Any:
    import tensorflow as tf

    return {name: tf.data.Dataset.from_tensor_slices(keras.tree.lists_to_tuples(part)) for name, part in data.items()}


def _pipelines(data: Any) -> Any:
    return {name: samples.batch(SIZES[name]) for name, samples in _slices(data).items()}


def pipelines_by_target() -> Any:
    return _pipelines(by_target())


def pipelines_for_all() -> Any:
    return _pipelines(for_all())


def pipelines_as_lists() -> Any:
    return _pipelines(as_lists())


def pipelines_of_steps() -> Any:
    return _pipelines(steps())


def unbatched_steps() -> Any:
    return _slices(steps())


def endless(batch_size: int, rng: Any) -> Any:
    """Generated data: several targets, one of them with steps."""
    while True:
        x = rng.normal(size=(batch_size, 5, 3)).astype("float32")
        y = {"a": x.sum((1, 2)), "b": (x[..., :1] > 0).astype(int)}
        yield x, y, {"a": rng.uniform(0, 2, batch_size), "b": rng.uniform(0, 2, (batch_size, 5))}


def endless_steps(batch_size: int, rng: Any) -> Any:
    for x, y, weights in endless(batch_size, rng):
        yield x, y["b"], weights["b"]


def endless_classes(batch_size: int, rng: Any) -> Any:
    for x, y, weights in endless(batch_size, rng):
        yield x, y["b"][:, 0, 0], weights["a"]


def _outputs(classes: int = 3) -> tuple[Any, dict[str, Any]]:
    x = keras.Input((5, 3))
    hidden = L.Dense(4, "tanh")(x)
    of_steps = L.Dense(classes, "softmax", name="b")(hidden)
    return x, {"a": L.Dense(1, name="a")(L.Flatten()(hidden)), "b": of_steps}


def heads(params: Any, dataset: Any) -> keras.Model:
    return keras.Model(*_outputs())


def listed_heads(params: Any, dataset: Any) -> keras.Model:
    x, outputs = _outputs()
    return keras.Model(x, list(outputs.values()))


def head(params: Any, dataset: Any) -> keras.Model:
    x, outputs = _outputs()
    return keras.Model(x, outputs["b"])


def weighted_metrics(params: Any, dataset: Any) -> keras.Model:
    model = heads(params, dataset)
    metrics = {"a": ["mae"], "b": ["accuracy"]}
    model.compile(keras.optimizers.SGD(0.1), COMPILED["loss"], weighted_metrics=metrics, metrics=metrics)
    return model


def classes(params: Any, dataset: Any) -> keras.Model:
    return keras.Sequential([keras.Input((5, 3)), L.Flatten(), L.Dense(2, "softmax")])


COMPILED: dict[str, Any] = {
    "loss": {"a": "mse", "b": "sparse_categorical_crossentropy"},
    "loss_weights": {"a": 0.3, "b": 2.0},
    "metrics": {"a": ["mae"], "b": ["accuracy"]},
}
