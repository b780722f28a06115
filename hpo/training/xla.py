"""Whether a model was compiled with XLA because its user asked for it, or because Keras chose so on a GPU.

`compile(jit_compile="auto")` keeps what came of it and not that it was left to Keras; so its calls are watched.
"""

import functools
import inspect
import weakref
from typing import Any

import keras
from keras.src.trainers.trainer import Trainer

_LEFT_TO_KERAS: "weakref.WeakKeyDictionary[keras.Model, bool]" = weakref.WeakKeyDictionary()
"""Models that were last compiled with `auto`, and what came of it."""


def asked_for_xla(model: keras.Model) -> bool:
    """Whether a compiled model is to go through XLA, and not by Keras's own choice."""
    return bool(model.jit_compile) and not _LEFT_TO_KERAS.get(model, False)


def _watched(compile_model: Any) -> Any:
    signature = inspect.signature(compile_model)

    @functools.wraps(compile_model)
    def watched(self: keras.Model, *args: Any, **kwargs: Any) -> Any:
        result = compile_model(self, *args, **kwargs)
        given = signature.bind(self, *args, **kwargs).arguments.get("jit_compile", "auto")
        _LEFT_TO_KERAS.pop(self, None)
        if given == "auto":
            _LEFT_TO_KERAS[self] = bool(self.jit_compile)
        return result

    return watched


# Once, however often this module is loaded.
if not hasattr(Trainer.compile, "hpo_watched"):
    Trainer.compile = _watched(Trainer.compile)
    Trainer.compile.hpo_watched = True
