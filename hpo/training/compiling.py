"""Compiling a model as the training section says, and labels in the form that its loss takes."""

import inspect
from typing import Any

import keras
import numpy as np

from hpo.data.dataset import Array, DatasetInfo
from hpo.errors import nearest
from hpo.experiment import TrainingSpec
from hpo.models import InvalidModel

_OPTIMIZER_KEYS = (
    "learning_rate", "momentum", "nesterov", "weight_decay", "rho", "beta_1", "beta_2", "epsilon", "clipnorm",
)  # fmt: skip
# `model.compile` itself finds what these mean, from the loss.
_METRICS_OF_COMPILE = ("accuracy", "acc")


def compile_model(model: keras.Model, training: TrainingSpec, info: DatasetInfo) -> None:
    """Compiles a model with the optimizer, loss and metrics of the training section.

    Raises:
        InvalidModel: an optimizer, loss or metric that Keras does not know, or a key that it does not take.
    """
    if info.task == "classification":
        loss = "categorical_crossentropy" if info.one_hot else "sparse_categorical_crossentropy"
        metric = "accuracy"
    else:
        loss, metric = "mean_squared_error", "mae"
    metrics = [metric, *(name for name in training.metrics if name != metric)]
    # Keras looks them up in the first epoch only, by which time a trial has begun.
    _look_up("loss", keras.losses, training.loss or loss)
    for name in metrics:
        if name not in _METRICS_OF_COMPILE:
            _look_up("metrics", keras.metrics, name)
    try:
        model.compile(optimizer=_optimizer(training), loss=training.loss or loss, metrics=metrics)
    except (ValueError, TypeError) as error:
        raise InvalidModel(f"the model cannot be compiled: {error}") from error


def _look_up(key: str, module: Any, name: str) -> None:
    try:
        module.get(name)
    except ValueError:
        names = sorted({known for known in vars(module) if known[0].islower()} - {"deserialize", "get", "serialize"})
        raise InvalidModel(f"{key}: Keras knows no {name!r}; {nearest(name, names)}") from None


def _optimizer(training: TrainingSpec) -> Any:
    known = {
        name.lower(): kind
        for name, kind in vars(keras.optimizers).items()
        if inspect.isclass(kind) and issubclass(kind, keras.optimizers.Optimizer) and name != "Optimizer"
    }
    kind = known.get(training.optimizer.lower())
    if kind is None:
        raise InvalidModel(
            f"optimizer: unknown name {training.optimizer!r}; {nearest(training.optimizer, sorted(known))}"
        )
    given = optimizer_options(training)
    takes = inspect.signature(kind).parameters
    for key, value in given.items():
        if key not in takes:
            raise InvalidModel(
                f"{key}: {training.optimizer} takes no {key}, got {value}; give the parameter a condition, "
                f"when: {{optimizer: ...}}"
            )
    return kind(**given)


def optimizer_options(training: TrainingSpec) -> dict[str, Any]:
    """The arguments of the optimizer that the training section sets."""
    return {key: getattr(training, key) for key in _OPTIMIZER_KEYS if getattr(training, key) is not None}


def labels_for(model: keras.Model, y: Array, info: DatasetInfo) -> Array:
    """The labels in the form that the compiled loss takes: class numbers or one-hot rows.

    Models that bring their own loss may want the other form than the data have.
    """
    if info.task != "classification" or info.classes is None:
        return y
    loss = getattr(model.loss, "name", None) or getattr(model.loss, "__name__", None) or model.loss
    name = str(loss).lower().replace("_", "")
    if name == "categoricalcrossentropy" and y.ndim == 1:
        return np.eye(info.classes, dtype=np.float32)[y]
    if name == "sparsecategoricalcrossentropy" and y.ndim == 2 and y.shape[1] > 1:
        return np.asarray(y.argmax(axis=1))
    return y
