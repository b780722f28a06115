"""A model that comes compiled, brought to what the training section says: what can be set is set, the rest refused."""

from collections.abc import Iterator, Mapping
from typing import Any

import keras

from hpo.config.experiment import TrainingSpec
from hpo.config.named import choice_of, plain_choice
from hpo.config.space import in_section
from hpo.config.training_rules import CLIPPING, plain_name
from hpo.models import Built, NotApplied
from hpo.training.compiling import optimizer_options

_INSTEAD = "leave the key out, read it in the code that compiles, or return the model without compiling it"


def adopt_training(built: Built, training: TrainingSpec) -> dict[str, Any]:
    """Sets what the training section says of the optimizer of a compiled model; returns what was set: key -> value.

    Keys that the code of the model has read itself are its own concern.

    Raises:
        NotApplied: a key that would have no effect.
    """
    model, read = built.model, {".".join(path) for key in built.reads if (path := in_section(key, "training"))}
    adopted = {key: value for key, value in optimizer_options(training).items() if key not in read}
    wrong = [*_wrong(model, training, read)]
    for key, value in adopted.items():
        if why := _why_not(model, key):
            wrong.append((key, value, why))
    if wrong:
        raise NotApplied("\n".join(_without_effect(*one) for one in wrong), wrong[0][0])
    for key, value in adopted.items():
        setattr(_optimizer(model), key, value)
    return adopted


def _wrong(model: keras.Model, training: TrainingSpec, read: set[str]) -> Iterator[tuple[str, Any, str]]:
    """Keys that compiling takes alone, with their values, and what the model was compiled with instead."""
    optimizer, loss = type(_optimizer(model)).__name__, model.loss
    chosen, named = "optimizer" in training.model_fields_set and "optimizer" not in read, choice_of(training.optimizer)
    if chosen and (named.options or optimizer.lower() != named.name.lower()):
        yield "optimizer", training.optimizer, f"with {optimizer}"
    name = str(getattr(loss, "name", None) or getattr(loss, "__name__", None) or loss)
    same = plain_name(name) == plain_name(plain_choice(training.loss) or "")
    if training.loss and "loss" not in read and not same:
        yield "loss", training.loss, f"with the loss {name}"
    if training.loss_weights and "loss_weights" not in read:
        yield "loss_weights", training.loss_weights, "with weights of its own, or none"
    smoothing = loss.get_config().get("label_smoothing", 0.0) if isinstance(loss, keras.losses.Loss) else 0.0
    if training.label_smoothing and "label_smoothing" not in read and smoothing != training.label_smoothing:
        yield "label_smoothing", training.label_smoothing, f"with a loss that smooths by {smoothing:g}"
    config: Mapping[str, Any] = model.get_compile_config() or {}
    known = [*_names([config.get("metrics"), config.get("weighted_metrics")])]
    for metric in training.metrics:
        # Those of a whole part are computed beside Keras's.
        if metric.kind is None and "metrics" not in read and metric.logged not in known:
            yield "metrics", metric.logged, f"with the metrics {', '.join(known) or 'none'}"


def _names(metrics: Any) -> Iterator[str]:
    """The names in the configuration of a model's metrics."""
    if isinstance(metrics, str):
        yield metrics
    elif isinstance(metrics, Mapping) and isinstance(metrics.get("config"), Mapping):
        yield str(metrics["config"].get("name") or metrics.get("class_name"))
    elif isinstance(metrics, Mapping | list | tuple):
        for one in metrics.values() if isinstance(metrics, Mapping) else metrics:
            yield from _names(one)


def _optimizer(model: keras.Model) -> Any:
    """The optimizer that takes the steps, within one that scales the loss."""
    return getattr(model.optimizer, "inner_optimizer", model.optimizer)


def _why_not(model: keras.Model, key: str) -> str | None:
    """Why a key of the optimizer cannot be set: how the model was compiled."""
    optimizer = _optimizer(model)
    name = type(optimizer).__name__
    if type(model).compile is not keras.Model.compile:
        return "by a compile of its own, with optimizers that hpo does not know"
    if not hasattr(optimizer, key):
        return f"with {name}, which takes no {key}"
    if key == "learning_rate" and not isinstance(optimizer.learning_rate, keras.Variable):
        return "with a learning-rate schedule"
    if key == "momentum" and optimizer.built:
        return f"with {name}, which was built already"
    others = [other for other in CLIPPING if key in CLIPPING and other != key and getattr(optimizer, other, None)]
    return f"with {others[0]}, beside which there is no {key}" if others else None


def _without_effect(key: str, value: Any, compiled: str) -> str:
    return f"{key}: {value} would have no effect, since the model comes compiled {compiled}; {_INSTEAD}"
