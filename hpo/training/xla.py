"""Whether a model was compiled with XLA because its user asked for it, or because Keras chose so on a GPU.

`compile(jit_compile="auto")` keeps what came of it and not that it was left to Keras; so its calls are watched.
"""

import weakref

import keras

from hpo.training.keras_compat import watch_compile

_LEFT_TO_KERAS: "weakref.WeakKeyDictionary[keras.Model, bool]" = weakref.WeakKeyDictionary()
"""Models that were last compiled with `auto`, and what came of it."""


def asked_for_xla(model: keras.Model) -> bool:
    """Whether a compiled model is to go through XLA, and not by Keras's own choice."""
    return bool(model.jit_compile) and not _LEFT_TO_KERAS.get(model, False)


def _heard(model: keras.Model, left_to_keras: bool) -> None:
    _LEFT_TO_KERAS.pop(model, None)
    if left_to_keras:
        _LEFT_TO_KERAS[model] = bool(model.jit_compile)


watch_compile(_heard)
