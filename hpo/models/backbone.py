"""Which layers of a pretrained network train: none, its last ones, or all."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Literal

if TYPE_CHECKING:
    import keras

Unfrozen = int | Literal["all"]
"""How many of a backbone's layers train, counted from its output."""


@dataclass(frozen=True)
class Backbone:
    """How a network of keras.applications is made."""

    name: str
    """In keras.applications."""
    arguments: Mapping[str, Any]
    """Of its call, those that differ from Keras's defaults."""
    unfreeze: Unfrozen | None
    """How many of its layers train; None: all, as Keras makes them."""


def freeze(backbone: "keras.Model", unfreeze: Unfrozen) -> None:
    """Has the last layers of a backbone train, and no other; a layer counts whether or not it has weights.

    BatchNormalization layers do not train in any case, so that they keep the statistics that they came with, as Keras's
    guide "Transfer learning and fine-tuning" advises. Calling the backbone with `training=False`, as it is done there,
    has no effect in Keras 3: `fit` calls all layers of a functional model with `training=True`.
    """
    import keras

    backbone.trainable = unfreeze != 0
    if isinstance(unfreeze, int) and unfreeze:
        for layer in backbone.layers[:-unfreeze]:
            layer.trainable = False
    for layer in layers_of(backbone):
        if isinstance(layer, keras.layers.BatchNormalization):
            layer.trainable = False


def without_dropout(backbone: "keras.Model") -> None:
    """Switches dropout within a backbone off: it puts out the same in training as in inference."""
    for layer in layers_of(backbone):
        if hasattr(layer, "rate"):
            layer.rate = 0.0


def backbones(model: "keras.Model") -> list[Any]:
    """The layers of a model that are models with weights themselves, its backbone for one."""
    import keras

    return [layer for layer in model.layers if isinstance(layer, keras.Model) and layer.weights]


def layers_of(model: "keras.Model") -> Iterator[Any]:
    """The layers of a model, and those of models among them."""
    import keras

    for layer in model.layers:
        yield layer
        if isinstance(layer, keras.Model):
            yield from layers_of(layer)
