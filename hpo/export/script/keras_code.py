"""Writes a model as the Keras code that builds it, for people to read and edit."""

import inspect
import itertools
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    import keras

# Arguments of every layer, which do not affect what it does. Layers without a seed draw one.
_OF_ALL_LAYERS = ("name", "trainable", "dtype", "seed")
# A list of more numbers than this is written by runs of equal numbers: [0] * 10 + [1].
_LONG = 8


def layers_as_code(model: "keras.Sequential") -> list[str]:
    """The layers of a Sequential model, an expression for each, with arguments that differ from Keras's defaults.

    Raises:
        ValueError: a layer has an argument that cannot be written down.
    """
    return [f"keras.Input({tuple(model.input_shape[1:])})", *map(layer_as_code, model.layers)]


def layer_as_code(layer: "keras.layers.Layer") -> str:
    """The call that creates a layer, with arguments that differ from Keras's defaults.

    Raises:
        ValueError: it has an argument that cannot be written down.
    """
    config = layer.get_config()
    return f"layers.{_call(type(layer), {name: config[name] for name in config if name not in _OF_ALL_LAYERS})}"


def _call(kind: type, config: Mapping[str, Any]) -> str:
    """The call that creates a Keras object from its configuration."""
    needed = [
        name
        for name, parameter in inspect.signature(kind).parameters.items()
        if parameter.default is parameter.empty and parameter.kind is parameter.POSITIONAL_OR_KEYWORD
    ]
    default = kind(**{name: config[name] for name in needed}).get_config()
    # A built LayerNormalization has its axis in a list.
    changed = {
        name: value
        for name, value in config.items()
        if name not in needed and value not in (default[name], [default[name]])
    }
    arguments = [_written(config[name]) for name in needed]
    arguments += [f"{name}={_written(value)}" for name, value in changed.items()]
    return f"{kind.__name__}({', '.join(arguments)})"


def _written(value: Any) -> str:
    if isinstance(value, Mapping) and str(value.get("module")).startswith("keras."):
        import keras

        # An initializer or a regularizer.
        made = keras.saving.deserialize_keras_object(dict(value))
        return f"{value['module']}.{_call(type(made), made.get_config())}"
    if isinstance(value, list) and len(value) > _LONG:
        runs = [(repr(one), len(list(same))) for one, same in itertools.groupby(value)]
        return " + ".join(f"[{one}] * {count}" if count > 1 else f"[{one}]" for one, count in runs)
    if not isinstance(value, int | float | str | tuple | list | None):
        raise ValueError(f"a layer's argument cannot be written as a plain value, got {value!r}")
    return f'"{value}"' if isinstance(value, str) else repr(value)
