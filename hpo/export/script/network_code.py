"""Pretrained networks as parts of a plain script: those of keras.applications with a head, and training in phases."""

import inspect
from collections.abc import Iterator
from typing import Any

import keras

from hpo.config.training import TrainingSpec
from hpo.config.training_rules import has_schedule
from hpo.export.script.keras_code import layer_as_code
from hpo.models.backbone import Backbone, backbones, layers_of


def application_as_code(model: keras.Model, backbone: Backbone) -> dict[str, Any]:
    """Name in the template -> value, for a model of `model: application` as it was built."""
    arguments = ", ".join(f"{name}={value!r}" for name, value in backbone.arguments.items())
    has_dropout = any(map(_drops, layers_of(backbones(model)[0])))
    return {
        "backbone": f"keras.applications.{backbone.name}({arguments})",
        "unfreeze": backbone.unfreeze,
        "has_dropout": has_dropout and backbone.unfreeze is not None,
        "lines": list(_lines(model)),
    }


def freezing(model: keras.Model) -> dict[str, Any]:
    """What a script needs to say which layers of the network within a model train."""
    network = backbones(model)[0]
    changed = [one for one in layers_of(network) if isinstance(one, keras.layers.BatchNormalization) or _drops(one)]
    outer = [id(layer) for layer in network.layers]
    return {
        "network": f"model.layers[{model.layers.index(network)}]",
        "normalizes": any(isinstance(one, keras.layers.BatchNormalization) for one in changed),
        "nested": any(id(one) not in outer for one in changed),
    }


def phases_as_code(training: TrainingSpec, optimizer: keras.optimizers.Optimizer, limit: int | None) -> list[Any]:
    """The phases that begin before a limit: epochs, layers of the network that train, learning rate."""
    if training.phases is None:
        return []
    default, end, rows = inspect.signature(type(optimizer)).parameters["learning_rate"].default, 0, []
    for phase in training.phases:
        if limit is None or end < limit:
            rows.append((phase.epochs, phase.unfrozen, phase.learning_rate or training.learning_rate or default))
        end += phase.epochs
    return rows


def by_phase(training: TrainingSpec) -> bool:
    """Whether the schedule of a training depends on how long each of its phases is."""
    schedule = training.schedule
    ends = schedule is not None and schedule.name in ("cosine", "polynomial") and schedule.decay_epochs is None
    return ends and training.phases is not None


def rate_as_code(training: TrainingSpec) -> str:
    """The learning rate of a phase, which has the variables `rate` and `epochs`."""
    if not has_schedule(training):
        return "rate"
    return "schedule(rate, steps, epochs)" if by_phase(training) else "schedule(rate, steps)"


def _lines(model: keras.Model) -> Iterator[str]:
    """The statements that lead from the input to the output of a chain around a network."""
    network, before = backbones(model)[0], "inputs"
    for operation in model.operations[1:]:
        if operation is network:
            yield f"x = backbone({before})"
        elif isinstance(operation, keras.layers.Concatenate):
            yield f"x = layers.Concatenate()([{before}] * {len(operation.input)})"
        elif isinstance(operation, keras.layers.Rescaling):
            yield "# The pixels as the network was trained to see them."
            yield f"x = layers.Rescaling({_brief(operation.scale)}, {_brief(operation.offset)})({before})"
        elif isinstance(operation, keras.layers.Layer):
            yield f"x = {layer_as_code(operation)}({before})"
        else:
            yield "# Blue first."
            yield f"x = {before}[..., ::-1]"
        before = "x"


def _drops(layer: keras.layers.Layer) -> bool:
    return hasattr(layer, "rate")


def _brief(channels: list[float]) -> float | list[float]:
    """One number where that of each channel is the same."""
    return channels[0] if len(set(channels)) == 1 else channels
