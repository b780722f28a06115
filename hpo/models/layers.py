"""Checked values and shared layers of the models that hpo knows."""

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from hpo.errors import nearest
from hpo.models.built import InvalidModel

if TYPE_CHECKING:
    import keras

    from hpo.data.dataset import DatasetInfo


def whole(params: Mapping[str, Any], key: str, default: int, low: int = 1) -> int:
    """A whole number of at least `low`.

    Raises:
        InvalidModel: the value is none.
    """
    value = params.get(key, default)
    if not isinstance(value, int) or isinstance(value, bool) or value < low:
        raise InvalidModel(f"{key} must be a whole number of at least {low}, got {value!r}")
    return value


def share(params: Mapping[str, Any], key: str, default: float) -> float:
    """A share from 0 to below 1.

    Raises:
        InvalidModel: the value is none.
    """
    value = params.get(key, default)
    if not isinstance(value, int | float) or isinstance(value, bool) or not 0 <= value < 1:
        raise InvalidModel(f"{key} must be a number from 0 to below 1, got {value!r}")
    return float(value)


def activation(params: Mapping[str, Any], key: str, default: str) -> str:
    """An activation by its name in Keras.

    Raises:
        InvalidModel: Keras has none of that name.
    """
    import keras

    value = params.get(key, default)
    functions = set(dir(keras.activations)) - {"deserialize", "get", "serialize"}
    names = sorted(name for name in functions if not name.startswith("_"))
    if value not in names:
        raise InvalidModel(f"{key} must be an activation of Keras, got {value!r}; {nearest(value, names)}")
    return str(value)


def head(info: "DatasetInfo") -> "keras.layers.Layer":
    """The last layer: one probability a class (softmax), or the numbers to predict (linear)."""
    import keras

    # Softmax in float32 keeps its sum at 1 under mixed precision too.
    kind = "softmax" if info.task == "classification" else "linear"
    return keras.layers.Dense(info.outputs, activation=kind, dtype="float32", name="output")
