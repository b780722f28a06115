"""Which models train by a `fit` alone: what it does for them, the loop in the graph does not, or not provably."""

from typing import Any

import keras
import tensorflow as tf

from hpo.training.keras_compat import is_kerass_own, layers_within
from hpo.training.xla import asked_for_xla

# What `model.fit` calls beside what the graph does: of a model's own, it would not be heard.
_PARTS_OF_FIT = (
    "train_step", "test_step", "compute_metrics", "fit", "evaluate", "make_train_function", "make_test_function",
    "reset_metrics", "get_metrics_result",
)  # fmt: skip


def why_not(model: keras.Model) -> str | None:
    """Why a model cannot train inside the graph, or None where it can: for people to read."""
    # A method may have been replaced in the model alone, too.
    own = [name for name in _PARTS_OF_FIT if _function(model, name) is not getattr(keras.Model, name)]
    if own or type(model).metrics is not keras.Model.metrics:
        return f"the model has a {own[0]} of its own" if own else "the model has metrics of its own"
    if any(getattr(layer, "stateful", False) for layer in (model, *layers_within(model))):
        return "a layer is stateful"
    if keras.config.floatx() != "float32":
        return f"Keras computes in {keras.config.floatx()}"
    return _why_not_compiled(model)


def _why_not_compiled(model: keras.Model) -> str | None:
    strange = [kind for kind in map(type, _optimizers(model.optimizer)) if not _starts_the_same(kind)]
    if strange:
        return f"the optimizer is {strange[0].__name__}"
    if model.run_eagerly or tf.config.functions_run_eagerly():
        return "the model is compiled with run_eagerly"
    if asked_for_xla(model):
        return "the model is compiled with jit_compile"
    return None


def _optimizers(optimizer: Any) -> list[Any]:
    """An optimizer and those that it is around."""
    inner = [*getattr(optimizer, "optimizers", ())]
    if hasattr(optimizer, "inner_optimizer"):
        inner.append(optimizer.inner_optimizer)
    return [optimizer, *inner]


def _starts_the_same(kind: type) -> bool:
    """Whether an optimizer starts the same from wherever it is built.

    `model.fit` builds it while it traces. One that then gives its state values other than by initializers gives them
    to the graph, and has another start than one that was built before; of a user's own class nobody knows.
    """
    return is_kerass_own(kind) and kind is not keras.optimizers.ScheduleFreeAdamW


def _function(model: keras.Model, name: str) -> Any:
    return getattr(getattr(model, name), "__func__", None)
