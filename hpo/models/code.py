"""A model as the Keras code that builds it: for people to read, and to go on with."""

import inspect
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    import keras

# What a layer is called, and what every layer has, says nothing of what it does.
_OF_ALL_LAYERS = ("name", "trainable", "dtype")


def layers_as_code(model: "keras.Sequential") -> list[str]:
    """The layers of a Sequential model, an expression each, with what differs from Keras's defaults.

    Raises:
        ValueError: a layer has an argument that is no plain value.
    """
    return [f"keras.Input({tuple(model.input_shape[1:])})", *(_as_code(layer) for layer in model.layers)]


def _as_code(layer: "keras.layers.Layer") -> str:
    kind, config = type(layer), layer.get_config()
    needed = [
        name
        for name, parameter in inspect.signature(kind).parameters.items()
        if parameter.default is parameter.empty and parameter.kind is parameter.POSITIONAL_OR_KEYWORD
    ]
    default = kind(**{name: config[name] for name in needed}).get_config()
    changed = {
        name: value
        for name, value in config.items()
        if name not in (*needed, *_OF_ALL_LAYERS) and value != default[name]
    }
    arguments = [_plain(layer, name, config[name]) for name in needed]
    arguments += [f"{name}={_plain(layer, name, value)}" for name, value in changed.items()]
    return f"layers.{kind.__name__}({', '.join(arguments)})"


def _plain(layer: "keras.layers.Layer", name: str, value: Any) -> str:
    if not isinstance(value, int | float | str | tuple | list | None):
        raise ValueError(f"layer {layer.name}: {name} cannot be written as a plain value, got {value!r}")
    return f'"{value}"' if isinstance(value, str) else repr(value)
