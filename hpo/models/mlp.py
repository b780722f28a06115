"""The multilayer perceptron: dense layers, all alike or each with its own width, activation and dropout."""

import math
import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from hpo.models.built import InvalidModel
from hpo.models.layers import activate, dense, options, output
from hpo.models.parts import OF_HEAD, OF_LAYERS, Activation, Head, Weights, activation, head, weights
from hpo.models.values import Values

if TYPE_CHECKING:
    import keras

    from hpo.data.dataset import DatasetInfo

_OF_LAYERS = ("width", "dropout", "normalization", *OF_LAYERS)
KEYS = ("depth", "units", "constant_input", *OF_HEAD, *_OF_LAYERS, *(f"{key}_N" for key in _OF_LAYERS))


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
    """Raises what `build` would, without Keras."""
    _plan(params, info)


def build(params: Mapping[str, Any], info: "DatasetInfo") -> "keras.Model":
    """Builds an uncompiled model; input shape `info.input_shape`, flattened; output shape (info.outputs,), or (1,)
    for two classes with `output_activation: sigmoid`.

    `depth` hidden layers (2) of `width` units (128); or `units`, a list of widths. Each layer has `activation`
    (relu; `leaky_slope` is leaky_relu's, 0.2), `normalization` before it (none, batch or layer), a share `dropout`
    of its units dropped (0), `use_bias` (true, but for batch normalization, which has its own), Keras's
    `kernel_initializer` and `bias_initializer`, and `l1` and `l2`, which add to the loss the sum of its kernel's
    absolute values or squares, times the number given. `activation_1` is the first layer's own, and so on.

    `constant_input` (false) puts an input of ones beside the features. The output layer has `output_activation`
    (softmax for classes, linear for numbers), `output_use_bias` (true), and the initializers of all layers.

    Raises:
        InvalidModel: a value that makes no layer.
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
        linear = keras.layers.Dense(hidden.units, name=name, **options(hidden.weights))
        normalization = kinds[hidden.normalization](name=f"normalization_{number}")
        layers = [linear, normalization, activate(hidden.activation)]
    if hidden.dropout:
        layers.append(keras.layers.Dropout(hidden.dropout, name=f"dropout_{number}"))
    return layers


def _constant_input(features: int) -> list[Any]:
    """Layers that add a feature that is always 1, by layers of Keras alone: a saved model needs no hpo."""
    import keras

    return [
        keras.layers.Reshape((features, 1), name="column"),
        keras.layers.ZeroPadding1D((0, 1), name="one_more"),
        keras.layers.Flatten(name="row"),
        keras.layers.Rescaling(1.0, [0.0] * features + [1.0], name="constant_input"),
    ]
