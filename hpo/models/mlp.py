"""The multilayer perceptron: dense layers, all alike or each with its own width, activation and dropout."""

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from hpo.models.layers import activation, head, share, whole

if TYPE_CHECKING:
    import keras

    from hpo.data.dataset import DatasetInfo

KEYS = ("depth", "width", "activation", "dropout", "width_N", "activation_N", "dropout_N")


def build(params: Mapping[str, Any], info: "DatasetInfo") -> "keras.Model":
    """Builds an uncompiled model; input shape `info.input_shape`, flattened; output shape (info.outputs,).

    `depth` hidden layers (2), each with `width` units (128), an `activation` (relu) and a share `dropout` of
    its units dropped (0). `width_1`, `activation_1`, `dropout_1` are the first layer's own, and so on.

    Raises:
        InvalidModel: a value that makes no layer.
    """
    import keras

    layers: list[Any] = [keras.Input(info.input_shape, name="input"), keras.layers.Flatten(name="flatten")]
    for number in range(1, whole(params, "depth", 2, low=0) + 1):

        def key(of: str, number: int = number) -> str:
            own = f"{of}_{number}"
            return own if own in params else of

        units, function = whole(params, key("width"), 128), activation(params, key("activation"), "relu")
        layers.append(keras.layers.Dense(units, activation=function, name=f"hidden_{number}"))
        if dropped := share(params, key("dropout"), 0.0):
            layers.append(keras.layers.Dropout(dropped, name=f"dropout_{number}"))
    return keras.Sequential([*layers, head(info)], name="mlp")
