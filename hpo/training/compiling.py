"""Compiling a model as the training section says, and labels in the form that its loss takes."""

import inspect
from collections.abc import Sequence
from typing import Any

import keras
import numpy as np

from hpo.config.experiment import TrainingSpec
from hpo.config.loss_parts import PlainLoss, metrics_with
from hpo.config.metrics import CROSSENTROPY
from hpo.config.training_rules import SMOOTHED_LOSSES, plain_name
from hpo.data.dataset import Array, DatasetInfo
from hpo.errors import nearest
from hpo.models import InvalidModel
from hpo.training.crossentropy import Crossentropy, OfLogits
from hpo.training.heads import Head, head_of, loss_name, needs_logits
from hpo.training.targets import applied_scaling, in_own_unit

_OPTIMIZER_KEYS = (
    "learning_rate", "momentum", "nesterov", "weight_decay", "rho", "beta_1", "beta_2", "epsilon", "clipnorm",
    "clipvalue", "global_clipnorm",
)  # fmt: skip
# `model.compile` itself finds what these mean, from the loss.
_METRICS_OF_COMPILE = ("accuracy", "acc")
_TAKES_NUMBERS = "sparsecategoricalcrossentropy"
# These take labels of forms of their own.
_OTHER_LOSSES = ("circle", "ctc", "loss")


def compile_model(
    model: keras.Model, training: TrainingSpec, info: DatasetInfo, plain_loss: PlainLoss | None = None
) -> keras.Model:
    """Compiles a model with the optimizer, loss and metrics of the training section; returns it.

    Where targets are scaled, the model gets a last layer that undoes it: see `targets`.

    `plain_loss` is added to the metrics.

    The loss, where none is named, goes with the model's head: cross-entropy over the classes (softmax), of each
    class by itself (sigmoid), or the mean squared error (regression). Of a head without an activation it takes logits.

    Raises:
        InvalidModel: a head that does not fit the targets; an optimizer, loss or metric that Keras does not know, or a
            key that it does not take.
    """
    head = head_of(model)
    loss = _loss(head, training, info)
    scaling = applied_scaling(model, head.activation, loss, info) if isinstance(loss, str) else None
    if scaling is not None:
        model, loss = in_own_unit(model, loss, scaling)
    metric = "accuracy" if info.task == "classification" else "mae"
    # Those of a whole part are computed beside Keras's: see `whole_part`.
    others = [spec.name for spec in training.metrics if spec.kind is None]
    metrics = [metric, *(name for name in others if name != metric)]
    if plain_loss is not None:
        metrics = metrics_with(metrics, plain_loss.of(info.task))
    # Keras looks them up in the first epoch only, by which time a trial has begun.
    for name in metrics:
        if name not in (*_METRICS_OF_COMPILE, CROSSENTROPY):
            _look_up("metrics", keras.metrics, name)
    logits = bool(not isinstance(loss, str) and loss.get_config().get("from_logits"))
    made = _metrics(metrics, head, logits)
    try:
        model.compile(optimizer=_optimizer(training), loss=loss, metrics=made)
    except (ValueError, TypeError) as error:
        raise InvalidModel(f"the model cannot be compiled: {error}") from error
    return model


def _look_up(key: str, module: Any, name: str) -> None:
    try:
        module.get(name)
    except ValueError:
        names = sorted({known for known in vars(module) if known[0].islower()} - {"deserialize", "get", "serialize"})
        raise InvalidModel(f"{key}: Keras knows no {name!r}; {nearest(name, names)}") from None


def _loss(head: Head, training: TrainingSpec, info: DatasetInfo) -> Any:
    if training.loss is not None:
        _look_up("loss", keras.losses, training.loss)
    name, options = loss_name(head, training.loss, info), dict[str, Any]()
    if needs_logits(head, name):
        options["from_logits"] = True
    kind = SMOOTHED_LOSSES.get(plain_name(name))
    if training.label_smoothing:
        if info.classes is None:
            raise InvalidModel("label_smoothing: only classification has classes, and the task is regression")
        if kind is None:
            raise InvalidModel(f"label_smoothing: {name} takes no label smoothing; leave it out, or take another loss")
        options["label_smoothing"] = training.label_smoothing
    elif plain_name(name) == _TAKES_NUMBERS:
        kind = "SparseCategoricalCrossentropy"
    return getattr(keras.losses, str(kind))(**options) if options else name


def _metrics(names: Sequence[str], head: Head, logits: bool) -> list[Any]:
    """Metrics as `model.compile` takes them: of logits, those that need probabilities see probabilities."""
    made: list[Any] = []
    for name in names:
        metric = Crossentropy() if name == CROSSENTROPY else name
        if logits and name in _METRICS_OF_COMPILE:
            # Which of several classes has the largest number is the same for logits.
            metric = keras.metrics.BinaryAccuracy(name=name, threshold=0.0) if head.units == 1 else name
        elif logits:
            metric = OfLogits(metric)
        made.append(metric)
    return made


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
    for name, parameter in takes.items():
        if parameter.default is parameter.empty and parameter.kind is parameter.POSITIONAL_OR_KEYWORD:
            raise InvalidModel(f"optimizer: {training.optimizer} needs {name}, which a name alone does not give")
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
    """The labels in the form that the compiled loss takes.

    Class numbers, shape (n,), for sparse losses and for one sigmoid unit; else one-hot rows, shape (n, classes).
    Losses that are not Keras's get what the data have.
    """
    if info.task != "classification" or info.classes is None:
        return y
    loss = getattr(model.loss, "name", None) or getattr(model.loss, "__name__", None) or model.loss
    name = plain_name(str(loss))
    if name not in {plain_name(known) for known in vars(keras.losses)} or name in _OTHER_LOSSES:
        return y
    units = head_of(model).units
    if name == _TAKES_NUMBERS or units == 1:
        return np.asarray(y.argmax(axis=1)) if y.ndim == 2 and y.shape[1] > 1 else y
    if y.ndim == 1 and (units == info.classes or name == "categoricalcrossentropy"):
        return np.eye(info.classes, dtype=np.float32)[y]
    return y
