"""Classes and functions of a notebook or script that are registered with Keras: a saved model names them."""

import sys
from collections.abc import Iterable, Mapping
from typing import Any


def registered(objects: Iterable[Any]) -> dict[str, Any]:
    """Those of the objects that are registered: `package>name` -> class or function."""
    if "keras" not in sys.modules:
        return {}
    import keras

    wanted = {id(one) for one in objects}
    return {name: one for name, one in keras.saving.get_custom_objects().items() if id(one) in wanted}


def register(objects: Mapping[str, Any]) -> None:
    """Registers them in this process, a worker that knows them as pickles only."""
    import keras

    for label, one in objects.items():
        package, _, name = label.rpartition(">")
        if keras.saving.get_registered_object(label) is not one:
            keras.saving.register_keras_serializable(package or "Custom", name)(one)
