"""Compiling a model as the training section says, and labels in the form that its loss takes."""

import inspect
from collections.abc import Callable, Mapping, Sequence
from typing import Any

import keras
import numpy as np

from hpo.config.experiment import TrainingSpec
from hpo.config.loss_parts import PlainLoss
from hpo.config.metrics import CROSSENTROPY, usual_metric
from hpo.config.named import by_output, choice_of
from hpo.config.training_rules import SMOOTHED_LOSSES, plain_name
from hpo.config.whole_metrics import MetricSpec
from hpo.data.dataset import DatasetInfo
from hpo.data.several import as_keras
from hpo.errors import nearest
from hpo.models import InvalidModel
from hpo.system.imports import load_object
from hpo.training.crossentropy import Accuracy, Crossentropy, OfLogits
from hpo.training.heads import Activation, Head, activation_of, head_of, head_of_output, loss_name, needs_logits
from hpo.training.named_parts import called, class_of, look_up, made, own_metric, renamed
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
    model: keras.Model,
    training: TrainingSpec,
    info: DatasetInfo,
    plain_loss: PlainLoss | None = None,
    folders: Sequence[str] = (),
) -> keras.Model:
    """Compiles a model with the optimizer, loss and metrics of the training section; returns it.

    Where targets are scaled, the model gets a last layer that undoes it: see `targets`.

    `plain_loss` is added to the metrics. `folders`: where import paths of the user's own code are looked for.

    The loss, where none is named, goes with the model's head: cross-entropy over the classes (softmax), of each
    class by itself (sigmoid), or the mean squared error (regression). Of a head without an activation it takes logits.

    Raises:
        InvalidModel: a head that does not fit the targets; an optimizer, loss or metric that Keras does not know, or a
            key that it does not take.
    """
    if info.targets:
        loss, metrics = _of_several(model, training, info, folders)
        _check_outputs(training, info)
        weights: Any = training.loss_weights
        if weights and info.targets_listed:
            weights = [weights.get(name, 1.0) for name in info.targets]
    else:
        head, weights = head_of(model), None
        if training.loss_weights or by_output(training.loss):
            key = "loss_weights" if training.loss_weights else "loss"
            raise InvalidModel(f"{key}: names several outputs, and {info.name} has one target")
        loss = None if _is_its_own(training, info) else _loss(head, training.loss, training, info, folders)
        if isinstance(loss, str) and (scaling := applied_scaling(model, head.activation, loss, info)) is not None:
            model, loss = in_own_unit(model, loss, scaling)
        metrics = _metrics(_specs(training, info, plain_loss), head, activation_of(loss, head.units), folders) or None
    try:
        model.compile(optimizer=_optimizer(training, folders), loss=loss, loss_weights=weights, metrics=metrics)
    except (ValueError, TypeError) as error:
        raise InvalidModel(f"the model cannot be compiled: {error}") from error
    return model


def _is_its_own(training: TrainingSpec, info: DatasetInfo) -> bool:
    """Whether the loss is what the model adds by itself, or its own `train_step` computes."""
    return info.task == "custom" and training.loss is None


def set_precision(training: TrainingSpec) -> None:
    """Sets Keras's dtype policy of this thread as a training section says, before the model is built."""
    if training.precision is not None:
        keras.config.set_dtype_policy(training.precision)


def _check_outputs(training: TrainingSpec, info: DatasetInfo) -> None:
    named = {
        "loss": by_output(training.loss) or (),
        "loss_weights": training.loss_weights or (),
        "metrics": [spec.output for spec in training.metrics if spec.output],
    }
    for key, names in named.items():
        for name in names:
            if name not in info.targets:
                raise InvalidModel(f"{key}: {info.name} has no target {name!r}; {nearest(name, info.targets)}")


def _of_several(
    model: keras.Model, training: TrainingSpec, info: DatasetInfo, folders: Sequence[str]
) -> tuple[Any, Any]:
    """The losses and metrics of several outputs, in the structure of the targets."""
    losses, metrics, each = dict[str, Any](), dict[str, Any](), by_output(training.loss)
    for number, name in enumerate(info.targets):
        head, of_target = head_of_output(model, name, number), info.of_target(name)
        own = training.loss if each is None else each.get(name)
        if own is not None or of_target.task != "custom":
            losses[name] = _loss(head, own, training, of_target, folders)
            specs = [one for one in _specs(training, of_target, None) if one.output in (None, name)]
            metrics[name] = _metrics(specs, head, activation_of(losses[name], head.units), folders)
    if not losses:
        return None, None
    if info.targets_listed:
        # In the order of the outputs, of which those without a loss have a place.
        return [losses.get(name) for name in info.targets], [metrics.get(name) for name in info.targets]
    return losses, metrics


def _specs(training: TrainingSpec, info: DatasetInfo, plain_loss: PlainLoss | None) -> list[MetricSpec]:
    """The metrics that Keras computes: the usual one of the task, those of the training section, the plain loss.

    Those of a whole part are computed beside them: see `whole_part`.
    """
    usual = usual_metric(info.task)
    specs = [spec for spec in training.metrics if spec.kind is None]
    if usual is not None:
        specs = [MetricSpec(name=usual), *(spec for spec in specs if spec.logged != usual)]
    if plain_loss is not None and info.task in ("classification", "regression"):
        added = plain_loss.of(info.task)
        specs += [] if added in [spec.logged for spec in specs] else [MetricSpec(name=added)]
    return specs


def _loss(head: Head, named: Any, training: TrainingSpec, info: DatasetInfo, folders: Sequence[str]) -> Any:
    choice = None if named is None else choice_of(named)
    if choice is not None and choice.is_own:
        return made("loss", choice, folders)
    if choice is not None:
        look_up("loss", keras.losses, choice.name)
    name = loss_name(head, None if choice is None else choice.name, info)
    options = dict(choice.options) if choice is not None else {}
    if needs_logits(head, name) and "from_logits" not in options:
        options["from_logits"] = True
    kind = SMOOTHED_LOSSES.get(plain_name(name))
    if training.label_smoothing:
        if info.classes is None:
            raise InvalidModel(f"label_smoothing: only classification has classes, and the task is {info.task}")
        if kind is None:
            raise InvalidModel(f"label_smoothing: {name} takes no label smoothing; leave it out, or take another loss")
        options["label_smoothing"] = training.label_smoothing
    elif plain_name(name) == _TAKES_NUMBERS:
        kind = "SparseCategoricalCrossentropy"
    return called("loss", class_of(keras.losses, kind or name), options) if options else name


def _metrics(specs: Sequence[MetricSpec], head: Head, logits: Activation | None, folders: Sequence[str]) -> list[Any]:
    """Metrics as `model.compile` takes them: of logits, those that need probabilities see probabilities."""
    return [own_metric(spec, folders) if spec.is_own else _metric(spec, head, logits) for spec in specs]


def _metric(spec: MetricSpec, head: Head, logits: Activation | None) -> Any:
    if spec.name in (*_METRICS_OF_COMPILE, CROSSENTROPY) and spec.options:
        raise InvalidModel(f"metrics: {spec.name} takes no options, got {', '.join(spec.options)}")
    if spec.name in _METRICS_OF_COMPILE:
        # Which of several classes has the largest number is the same for logits.
        if logits and head.units == 1:
            return keras.metrics.BinaryAccuracy(name=spec.logged, threshold=0.0)
        return Accuracy(spec.log_as) if spec.log_as else spec.name
    if spec.name == CROSSENTROPY:
        metric: Any = Crossentropy(spec.logged)
    elif spec.options:
        metric = called("metrics", class_of(keras.metrics, spec.name), {"name": spec.logged, **spec.options})
    else:
        # Keras looks them up in the first epoch only, by which time a trial has begun.
        look_up("metrics", keras.metrics, spec.name)
        metric = renamed(spec.name, spec.log_as) if spec.log_as else spec.name
    return OfLogits(metric, each=logits == "sigmoid") if logits else metric


def _optimizer(training: TrainingSpec, folders: Sequence[str]) -> Any:
    choice = choice_of(training.optimizer)
    kind = load_object(choice.name, folders) if choice.is_own else _kerass_optimizer(choice.name)
    given = optimizer_options(training)
    takes = inspect.signature(kind).parameters
    takes_all = choice.is_own and any(one.kind is one.VAR_KEYWORD for one in takes.values())
    for name, parameter in takes.items():
        unset = parameter.default is parameter.empty and parameter.kind is parameter.POSITIONAL_OR_KEYWORD
        if unset and name not in choice.options and name not in given:
            raise InvalidModel(f"optimizer: {choice.name} needs {name}, which a name alone does not give")
    for key, value in given.items():
        if key not in takes and not takes_all:
            raise InvalidModel(
                f"{key}: {choice.name} takes no {key}, got {value}; give the parameter a condition, "
                f"when: {{optimizer: ...}}"
            )
    optimizer = called("optimizer", kind, {**choice.options, **given})
    if not isinstance(optimizer, keras.optimizers.Optimizer):
        raise InvalidModel(f"optimizer: {choice.name} must make a keras.optimizers.Optimizer, made {optimizer!r}")
    return optimizer


def _kerass_optimizer(name: str) -> Any:
    known = {
        name.lower(): kind
        for name, kind in vars(keras.optimizers).items()
        if inspect.isclass(kind) and issubclass(kind, keras.optimizers.Optimizer) and name != "Optimizer"
    }
    if name.lower() not in known:
        raise InvalidModel(f"optimizer: unknown name {name!r}; {nearest(name, sorted(known))}")
    return known[name.lower()]


def optimizer_options(training: TrainingSpec) -> dict[str, Any]:
    """The arguments of the optimizer that the training section sets."""
    return {key: getattr(training, key) for key in _OPTIMIZER_KEYS if getattr(training, key) is not None}


def labels_for(model: keras.Model, y: Any, info: DatasetInfo) -> Any:
    """The labels in the form that the compiled loss takes.

    Class numbers, shape (n,), for sparse losses and for one sigmoid unit; else one-hot rows, shape (n, classes). Losses
    that are not Keras's get what the data have. Several targets are in the structure in which Keras takes them.
    """
    if not info.targets:
        return _labels_for(model.loss, y, info, lambda: head_of(model))
    losses, order = model.loss, list(info.targets)

    def of_target(name: str, array: Any) -> Any:
        number = order.index(name)
        loss = losses
        if isinstance(losses, Mapping):
            loss = losses.get(name)
        elif isinstance(losses, list | tuple):
            loss = losses[number]
        return _labels_for(loss, array, info.of_target(name), lambda: head_of_output(model, name, number))

    return as_keras(y, of_target)


def _labels_for(loss: Any, y: Any, info: DatasetInfo, head: Callable[[], Head]) -> Any:
    """The labels of one target."""
    if info.task != "classification" or info.classes is None or (info.target_shape and not info.one_hot):
        return y
    name = plain_name(str(getattr(loss, "name", None) or getattr(loss, "__name__", None) or loss))
    if name not in {plain_name(known) for known in vars(keras.losses)} or name in _OTHER_LOSSES:
        return y
    units = head().units
    if name == _TAKES_NUMBERS or units == 1:
        rows = y.shape[-1] > 1 if info.target_shape else y.ndim == 2 and y.shape[1] > 1
        return np.asarray(y.argmax(axis=-1)) if rows else y
    if y.ndim == 1 and (units == info.classes or name == "categoricalcrossentropy"):
        return np.eye(info.classes, dtype=np.float32)[y]
    return y
