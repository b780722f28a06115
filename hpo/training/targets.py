"""Scaled targets: the last layer of a model turns them back into their own unit, and its loss is computed of both.

A step follows the gradient of the loss of scaled targets, whatever their unit; what is logged is the loss in their own
unit, as that of all metrics.
"""

from collections.abc import Sequence
from typing import Any

import keras

from hpo.config.training_rules import DIFFERENCE_LOSSES, plain_name, undoes_target_scaling
from hpo.data.dataset import Array, DatasetInfo, Scaling
from hpo.training.keras_compat import is_functional

_PACKAGE = "hpo"
_DIGITS = 7
"""Those that float32 holds."""


@keras.saving.register_keras_serializable(package=_PACKAGE)
class OwnUnitLoss(keras.losses.Loss):  # type: ignore[misc]
    """A loss in the targets' own unit, whose gradient is that of the loss of scaled targets."""

    def __init__(self, loss: str, factor: Sequence[float], name: str | None = None, **options: Any) -> None:
        """`loss`: the name of a function of keras.losses; `factor`: what scales each target."""
        super().__init__(name=name or loss, **options)
        self.loss = loss
        self.factor = list(factor)

    def call(self, y: Any, predicted: Any) -> Any:
        """The loss of each sample, shape (n,)."""
        ops, of = keras.ops, getattr(keras.losses, self.loss)
        predicted = ops.convert_to_tensor(predicted)
        y = ops.reshape(ops.cast(y, predicted.dtype), ops.shape(predicted))
        factor = ops.convert_to_tensor(self.factor, predicted.dtype)
        scaled = of(y * factor, predicted * factor)
        return ops.stop_gradient(of(y, predicted)) + (scaled - ops.stop_gradient(scaled))

    def get_config(self) -> dict[str, Any]:
        """The arguments of the constructor."""
        return {**super().get_config(), "loss": self.loss, "factor": self.factor}


def applied_scaling(model: keras.Model, activation: str | None, loss: str, info: DatasetInfo) -> Scaling | None:
    """The scaling of the targets with which a model trains; None where it cannot be undone.

    Args:
        model: a model that is not compiled. Only a chain or a graph of layers gets a further layer.
        activation: that of its last layer; None where it is not known.
        loss: its name.
        info: what is known of the data.
    """
    scaling = info.target_scaling
    if scaling is None or not undoes_target_scaling(scaling.method, loss, activation):
        return None
    is_chain = type(model) is keras.Sequential
    return scaling if is_chain or (is_functional(model) and len(model.outputs) == 1) else None


def in_own_unit(model: keras.Model, loss: str, scaling: Scaling) -> tuple[keras.Model, OwnUnitLoss]:
    """The model with a layer that turns its outputs into the targets' own unit, and its loss.

    A chain of layers gets the layer itself; for a graph of layers, another model is made of the same layers.
    """
    factor = _plain(scaling.factor)
    unit, offset = _plain(1 / scaling.factor), _plain(scaling.offset)
    single = len(factor) == 1
    layer = keras.layers.Rescaling(
        unit[0] if single else unit, offset[0] if single else offset, dtype="float32", name="own_unit"
    )
    if type(model) is keras.Sequential:
        model.add(layer)
    else:
        model = keras.Model(model.input, layer(model.output), name=model.name)
    return model, OwnUnitLoss(DIFFERENCE_LOSSES[plain_name(loss)], factor)


def _plain(numbers: Array) -> list[float]:
    return [float(f"{number:.{_DIGITS}g}") for number in numbers.reshape(-1)]
