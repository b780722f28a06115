"""Decides which models must be trained by `model.fit`, because the loop in the graph might train them differently."""

from typing import Any

import keras
import tensorflow as tf

from hpo.training.keras_compat import is_kerass_own, layers_within
from hpo.training.xla import asked_for_xla

# Methods that `model.fit` calls and the loop in the graph does not: a model's own versions would be ignored.
_PARTS_OF_FIT = (
    "train_step", "test_step", "compute_metrics", "fit", "evaluate", "make_train_function", "make_test_function",
    "reset_metrics", "get_metrics_result",
)  # fmt: skip


def needs_fit(model: keras.Model) -> str | None:
    """The reason, for people to read, why a model must be trained by `model.fit`; None if the graph will do."""
    # A method may also have been replaced in this one object.
    own = [name for name in _PARTS_OF_FIT if _function(model, name) is not getattr(keras.Model, name)]
    if own or type(model).metrics is not keras.Model.metrics:
        return f"the model has a {own[0]} of its own" if own else "the model has metrics of its own"
    if any(getattr(layer, "stateful", False) for layer in (model, *layers_within(model))):
        return "a layer is stateful"
    if keras.config.floatx() != "float32":
        return f"Keras computes in {keras.config.floatx()}"
    return _compiled_needs_fit(model)


def _compiled_needs_fit(model: keras.Model) -> str | None:
    others = [kind for kind in map(type, _optimizers(model.optimizer)) if not _starts_the_same(kind)]
    if others:
        return f"the optimizer is {others[0].__name__}"
    if model.run_eagerly or tf.config.functions_run_eagerly():
        return "the model is compiled with run_eagerly"
    if asked_for_xla(model):
        return "the model is compiled with jit_compile"
    return None


def _optimizers(optimizer: Any) -> list[Any]:
    """An optimizer and the ones that it wraps."""
    inner = [*getattr(optimizer, "optimizers", ())]
    if hasattr(optimizer, "inner_optimizer"):
        inner.append(optimizer.inner_optimizer)
    return [optimizer, *inner]


def _starts_the_same(kind: type) -> bool:
    """Whether an optimizer has the same initial state if it is built before tracing.

    `model.fit` builds it while it traces. If an optimizer then sets state without initializers, the values become part
    of the graph, and differ from those of an optimizer that was built before. For a user's own class this is unknown.
    """
    return is_kerass_own(kind) and kind is not keras.optimizers.ScheduleFreeAdamW


def _function(model: keras.Model, name: str) -> Any:
    return getattr(getattr(model, name), "__func__", None)
