"""Compiling a model as the training section says, and labels in the form that its loss takes."""

import inspect
from collections.abc import Sequence
from typing import Any

import keras
import numpy as np

from hpo.config.experiment import TrainingSpec
from hpo.config.loss_parts import PlainLoss, metrics_with
from hpo.config.metrics import CROSSENTROPY, usual_metric
from hpo.config.training_rules import SMOOTHED_LOSSES, plain_name
from hpo.data.dataset import DatasetInfo
from hpo.data.several import as_keras
from hpo.errors import nearest
from hpo.models import InvalidModel
from hpo.training.crossentropy import Crossentropy, OfLogits
from hpo.training.heads import Head, head_of, head_of_output, loss_name, needs_logits
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
    if info.targets:
        loss, metrics = _of_several(model, training, info)
    else:
        head = head_of(model)
        loss = None if _is_its_own(training, info) else _loss(head, training, info)
        if isinstance(loss, str) and (scaling := applied_scaling(model, head.activation, loss, info)) is not None:
            model, loss = in_own_unit(model, loss, scaling)
        metrics = _metrics(_names(training, info, plain_loss), head, _takes_logits(loss))
    try:
        model.compile(optimizer=_optimizer(training), loss=loss, metrics=metrics)
    except (ValueError, TypeError) as error:
        raise InvalidModel(f"the model cannot be compiled: {error}") from error
    return model


def _is_its_own(training: TrainingSpec, info: DatasetInfo) -> bool:
    """Whether the loss is what the model adds by itself, or its own `train_step` computes."""
    return info.task == "custom" and training.loss is None


def _takes_logits(loss: Any) -> bool:
    return isinstance(loss, keras.losses.Loss) and bool(loss.get_config().get("from_logits"))


def _of_several(model: keras.Model, training: TrainingSpec, info: DatasetInfo) -> tuple[Any, Any]:
    """The losses and metrics of several outputs, in the structure of the targets."""
    losses, metrics = dict[str, Any](), dict[str, Any]()
    for number, name in enumerate(info.targets):
        head, of_target = head_of_output(model, name, number), info.of_target(name)
        if not _is_its_own(training, of_target):
            losses[name] = _loss(head, training, of_target)
            metrics[name] = _metrics(_names(training, of_target, None), head, _takes_logits(losses[name]))
    if not losses:
        return None, None
    return ([*losses.values()], [*metrics.values()]) if info.targets_listed else (losses, metrics)


def _names(training: TrainingSpec, info: DatasetInfo, plain_loss: PlainLoss | None) -> list[str]:
    """The metrics of Keras that are logged: the usual one of the task, those of the training section, the plain loss.

    Those of a whole part are computed beside them: see `whole_part`.
    """
    usual = usual_metric(info.task)
    named = [spec.name for spec in training.metrics if spec.kind is None]
    names = [*named] if usual is None else [usual, *(name for name in named if name != usual)]
    if plain_loss is not None and info.task in ("classification", "regression"):
        names = metrics_with(names, plain_loss.of(info.task))
    # Keras looks them up in the first epoch only, by which time a trial has begun.
    for name in names:
        if name not in (*_METRICS_OF_COMPILE, CROSSENTROPY):
            _look_up("metrics", keras.metrics, name)
    return names


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


def labels_for(model: keras.Model, y: Any, info: DatasetInfo) -> Any:
    """The labels in the form that the compiled loss takes.

    Class numbers, shape (n,), for sparse losses and for one sigmoid unit; else one-hot rows, shape (n, classes). Losses
    that are not Keras's get what the data have. Several targets are in the structure in which Keras takes them.
    """
    if info.targets:
        # The losses that are chosen for several targets take labels as they are.
        return as_keras(y, lambda _, array: array)
    if info.task != "classification" or info.classes is None or (info.target_shape and not info.one_hot):
        return y
    loss = getattr(model.loss, "name", None) or getattr(model.loss, "__name__", None) or model.loss
    name = plain_name(str(loss))
    if name not in {plain_name(known) for known in vars(keras.losses)} or name in _OTHER_LOSSES:
        return y
    units = head_of(model).units
    if name == _TAKES_NUMBERS or units == 1:
        rows = y.shape[-1] > 1 if info.target_shape else y.ndim == 2 and y.shape[1] > 1
        return np.asarray(y.argmax(axis=-1)) if rows else y
    if y.ndim == 1 and (units == info.classes or name == "categoricalcrossentropy"):
        return np.eye(info.classes, dtype=np.float32)[y]
    return y
