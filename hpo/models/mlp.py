"""The multilayer perceptron: dense layers, all alike or each with its own width, activation and dropout."""

import math
import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Annotated, Any, Literal

from pydantic import Field

from hpo.models.built import InvalidModel
from hpo.models.layers import activate, dense, output, weight_options
from hpo.models.parts import Activation, Head, HeadKeys, LayerKeys, Weights, activation, head, weights
from hpo.models.values import Values

if TYPE_CHECKING:
    import keras

    from hpo.data.dataset import DatasetInfo


class EachKeys(LayerKeys):
    """The parameters of all hidden layers, or of one as `width_2`."""

    width: Annotated[int, Field(ge=1)] = 128
    """How many units each hidden layer has. Unit: units. Example: 64"""
    dropout: Annotated[float, Field(ge=0, lt=1)] = 0.0
    """How many of a hidden layer's units are dropped at random while training. Unit: share. Example: 0.2"""
    normalization: Literal["none", "batch", "layer"] = "none"
    """The normalization before each activation. Values: none: nothing; batch: batch normalization; layer: layer
    normalization. Example: batch"""


class Keys(EachKeys, HeadKeys):
    """A multilayer perceptron: dense layers, all alike or each with its own values, as `width_2`."""

    depth: Annotated[int, Field(ge=0)] = 2
    """How many hidden layers there are. Unit: layers. Example: 3"""
    units: list[Annotated[int, Field(ge=1)]] | None = None
    """The width of each hidden layer, instead of `depth` and `width`. Unit: units. Default: from depth and width.
    Example: [500, 300, 100]"""
    constant_input: bool = False
    """Whether the features are joined by an input that is always 1. Example: true"""


@dataclass(frozen=True)
class _Hidden:
    units: int
    activation: Activation
    normalization: str
    dropout: float
    weights: Weights


@dataclass(frozen=True)
class _Plan:
    hidden: tuple[_Hidden, ...]
    constant_input: bool
    head: Head


def check(params: Mapping[str, Any], info: "DatasetInfo") -> None:
    """Raises the same errors as `build`, without importing Keras."""
    _plan(params, info)


def build(params: Mapping[str, Any], info: "DatasetInfo") -> "keras.Model":
    """Builds an uncompiled model; input shape `info.input_shape`, flattened; output shape (info.outputs,), or (1,)
    for two classes with `output_activation: sigmoid`.

    `Keys` documents the parameters. `activation_1` sets `activation` of the first layer alone, and so on.

    Raises:
        InvalidModel: a value is not allowed.
    """
    import keras

    plan = _plan(params, info)
    layers: list[Any] = [keras.Input(info.input_shape, name="input"), keras.layers.Flatten(name="flatten")]
    if plan.constant_input:
        layers += _constant_input(math.prod(info.input_shape))
    for number, hidden in enumerate(plan.hidden, start=1):
        layers += _layers(hidden, number)
    return keras.Sequential([*layers, output(plan.head)], name="mlp")


def _plan(params: Mapping[str, Any], info: "DatasetInfo") -> _Plan:
    hidden = []
    for number, units in enumerate(_widths(params), start=1):
        values = Values(params, number)
        normalization = values.word("normalization", "none", ("none", "batch", "layer"))
        own_weights = weights(values, use_bias=normalization != "batch")
        hidden.append(_Hidden(units, activation(values), normalization, values.share("dropout"), own_weights))
    return _Plan(tuple(hidden), Values(params).boolean("constant_input", False), head(params, info))


def _widths(params: Mapping[str, Any]) -> tuple[int, ...]:
    values = Values(params)
    if "units" not in params:
        depth = values.whole("depth", 2, low=0)
        return tuple(Values(params, number).whole("width", 128) for number in range(1, depth + 1))
    for key in params:
        if re.fullmatch(r"depth|width(_[1-9]\d*)?", key):
            raise InvalidModel(f"units lists the width of each layer, which leaves nothing to {key}: drop one", key)
    return values.wholes("units")


def _layers(hidden: _Hidden, number: int) -> list[Any]:
    import keras

    name = f"hidden_{number}"
    if hidden.normalization == "none":
        layers = dense(hidden.units, hidden.activation, hidden.weights, name)
    else:
        kinds = {"batch": keras.layers.BatchNormalization, "layer": keras.layers.LayerNormalization}
        linear = keras.layers.Dense(hidden.units, name=name, **weight_options(hidden.weights))
        normalization = kinds[hidden.normalization](name=f"normalization_{number}")
        layers = [linear, normalization, activate(hidden.activation)]
    if hidden.dropout:
        layers.append(keras.layers.Dropout(hidden.dropout, name=f"dropout_{number}"))
    return layers


def _constant_input(features: int) -> list[Any]:
    """Layers that add a feature that is always 1. They are Keras's own, so a saved model does not need hpo."""
    import keras

    return [
        keras.layers.Reshape((features, 1), name="column"),
        keras.layers.ZeroPadding1D((0, 1), name="one_more"),
        keras.layers.Flatten(name="row"),
        keras.layers.Rescaling(1.0, [0.0] * features + [1.0], name="constant_input"),
    ]
