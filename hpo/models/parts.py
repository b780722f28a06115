"""The parts that the models known to hpo have in common: activations, initial weights, penalties, the output layer."""

import math
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Annotated, Any

from pydantic import Field, WithJsonSchema

from hpo.config.section import Section
from hpo.errors import ModelError, nearest
from hpo.models.built import InvalidModel
from hpo.models.keras_names import ACTIVATIONS, INITIALIZERS, OF_MATRICES
from hpo.models.values import Found, Values, is_finite

if TYPE_CHECKING:
    from hpo.data.dataset import DatasetInfo


class LayerKeys(Section):
    """The parameters of all layers, or of one as `activation_2`. They are read by `activation` and `weights`."""

    activation: Annotated[str, WithJsonSchema({"type": "string", "enum": list(ACTIVATIONS)})] = "relu"
    """Activation of the hidden layers, by its name in Keras. Example: tanh"""
    leaky_slope: Annotated[float, Field(ge=0)] = 0.2
    """What leaky_relu multiplies negative numbers by. Unit: factor. Example: 0.01"""
    kernel_initializer: str | dict[str, Any] | None = None
    """How the kernels are initialized: the name of a Keras initializer, or a mapping of its name and arguments.
    Default: glorot_uniform. Example: {name: random_normal, stddev: 0.05}"""
    bias_initializer: str | dict[str, Any] | None = None
    """How the biases are initialized: a name or a mapping, as in `kernel_initializer`. Default: zeros. Example: ones"""
    use_bias: bool | None = None
    """Whether the layers have a bias. Default: true, and false before batch normalization. Example: false"""
    l1: Annotated[float, Field(ge=0)] = 0.0
    """L1 penalty: the loss grows by the sum of the kernel's absolute values, times this. Unit: factor.
    Example: 1.0e-4"""
    l2: Annotated[float, Field(ge=0)] = 0.0
    """L2 penalty: the loss grows by the sum of the kernel's squares, times this. Unit: factor. Example: 1.0e-4"""


class HeadKeys(Section):
    """The parameters of the output layer, read by `head`. The output layer also uses the initializers of all layers."""

    output_activation: str | None = None
    """Activation of the output layer: softmax or sigmoid for classes, any that Keras knows for numbers.
    Default: softmax for classes, linear for numbers. Example: sigmoid"""
    output_use_bias: bool = True
    """Whether the output layer has a bias. Example: false"""


@dataclass(frozen=True)
class Activation:
    """An activation by its name in Keras."""

    name: str
    slope: float | None = None
    """The factor by which leaky_relu multiplies negative numbers; None for Keras's 0.2."""


@dataclass(frozen=True)
class Initializer:
    """An initializer of Keras by its name, with the arguments that differ from Keras's defaults."""

    name: str
    arguments: Mapping[str, Any] = field(default_factory=dict)


@dataclass(frozen=True)
class Weights:
    """The weights of a dense or convolutional layer: whether there is a bias, the initializers, the penalties."""

    use_bias: bool = True
    kernel_initializer: Initializer | None = None
    """None for Keras's default."""
    bias_initializer: Initializer | None = None
    """None for Keras's default."""
    l1: float = 0.0
    """The factor of the sum of the kernel's absolute values in the loss."""
    l2: float = 0.0
    """The factor of the sum of the kernel's squares in the loss."""


@dataclass(frozen=True)
class Head:
    """The output layer."""

    units: int
    activation: str
    weights: Weights


def activation(values: Values) -> Activation:
    """The activation of a layer, from `activation` (default relu) and `leaky_slope`.

    Raises:
        InvalidModel: Keras has no activation of that name, or the slope is not a number of at least 0.
    """
    name = values.word("activation", "relu", ACTIVATIONS, "an activation of Keras")
    if name == "leaky_relu" and values.find("leaky_slope").parameter:
        return Activation(name, values.amount("leaky_slope"))
    return Activation(name)


def weights(values: Values, use_bias: bool = True) -> Weights:
    """The weights of a layer, from `use_bias`, `kernel_initializer`, `bias_initializer`, `l1` and `l2` (default 0).

    Raises:
        InvalidModel: Keras does not know an initializer, or a value is not allowed.
    """
    return Weights(
        use_bias=values.boolean("use_bias", use_bias),
        kernel_initializer=_initializer(values, "kernel_initializer"),
        bias_initializer=_initializer(values, "bias_initializer"),
        l1=values.amount("l1"),
        l2=values.amount("l2"),
    )


def head(params: Mapping[str, Any], info: "DatasetInfo") -> Head:
    """The output layer, from `output_activation` and `output_use_bias` (default true).

    For classes there is one probability for each class (softmax), or a sigmoid for each class; with two classes there
    is a single sigmoid, the probability of the second class. Labels of which several may hold have a sigmoid each.
    Numbers are predicted without an activation (linear), or with any other one.

    Raises:
        InvalidModel: the activation does not suit the task.
    """
    values = Values(params)
    units = info.outputs
    if info.task == "multilabel":
        name = values.word("output_activation", "sigmoid", ("sigmoid", "linear"))
    elif info.task == "classification":
        name = values.word("output_activation", "softmax", ("softmax", "sigmoid"))
        units = 1 if name == "sigmoid" and info.classes == 2 else units
    else:
        name = values.word("output_activation", "linear", ACTIVATIONS, "an activation of Keras")
    given = weights(values)
    begin = Weights(values.boolean("output_use_bias", True), given.kernel_initializer, given.bias_initializer)
    return Head(units, name, begin)


def steps_of(model: str, info: "DatasetInfo") -> tuple[int, int]:
    """Samples as a sequence: its steps, along their first dimension, and the numbers of each step.

    Raises:
        ModelError: a sample is a single number.
    """
    if not info.input_shape:
        raise ModelError(f"{model} needs samples of several steps, and one of {info.name} is a single number")
    steps, *rest = info.input_shape
    return steps, math.prod(rest)


def _initializer(values: Values, key: str) -> Initializer | None:
    found = values.find(key)
    if found.parameter is None:
        return None
    given = {"name": found.value} if isinstance(found.value, str) else found.value
    if not isinstance(given, Mapping) or "name" not in given:
        raise found.refused("an initializer of Keras, or a mapping of its name and arguments")
    name = given["name"]
    if not isinstance(name, str) or name not in INITIALIZERS:
        raise found.refused("an initializer of Keras", nearest(name, INITIALIZERS))
    if key == "bias_initializer" and name in OF_MATRICES:
        raise InvalidModel(f"{found.called}: {name} makes matrices, and a bias is a vector", found.parameter)
    arguments = {argument: value for argument, value in given.items() if argument != "name"}
    _check_arguments(found, name, arguments)
    return Initializer(name, arguments)


def _check_arguments(found: Found, name: str, arguments: Mapping[str, Any]) -> None:
    takes = INITIALIZERS[name]
    for argument, value in arguments.items():
        if argument not in takes:
            hint = nearest(argument, takes) if takes else "it takes no arguments"
            raise InvalidModel(f"{found.called}: {name} has no {argument!r}; {hint}", found.parameter)
        words = takes[argument]
        rule = f"one of {', '.join(words)}" if words else "a finite number"
        if not (value in words if words else is_finite(value)):
            raise InvalidModel(f"{found.called}: {argument} must be {rule}, got {value!r}", found.parameter)
    if name == "variance_scaling" and arguments.get("scale", 1) <= 0:
        raise InvalidModel(f"{found.called}: scale must be above 0, got {arguments['scale']!r}", found.parameter)
