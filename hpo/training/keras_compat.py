"""All that hpo needs of Keras and TensorFlow beyond what they document; of `tf.data` see `hpo.data.tf_data_compat`.

`tests/training/test_keras_compat.py` tries each of it, and says where to look when an upgrade breaks it.
"""

import functools
import inspect
import re
from collections.abc import Callable, MutableMapping, Sequence
from typing import Any

import keras
import tensorflow as tf
from keras.src.backend import config
from keras.src.backend.common import global_state
from keras.src.losses.losses import LossFunctionWrapper
from keras.src.saving import object_registration
from keras.src.trainers.trainer import Trainer
from tensorflow.python.eager import context
from tensorflow.python.framework import config as tf_config
from tensorflow.python.framework import op_def_registry

SET_BY_USERS = (
    "dtype_policy", "traceback_filtering", "interactive_logging", "flash_attention", "nnx_enabled", "distribution",
)  # fmt: skip
"""What a user sets of `thread_state`; the rest are names and scopes."""

WRAPPERS = "tensorflow.python.trackable.data_structures"
"""The module of what TensorFlow puts the lists and dictionaries of optimizers and layers into.

Each has what it is around as `__wrapped__`, or is itself a list or dictionary.
"""

# Operations that read and write variables, and those around others, which are looked at themselves.
_OF_VARIABLES = re.compile(
    "Assert$|Assign.*VariableOp$|Case$|If$|.*PartitionedCall$|ReadVariableOp$|Resource(Sparse)?Apply|ResourceGather"
    "|ResourceScatter|VarIsInitializedOp$|VariableShape$|While$"
)

# Settings


def thread_state() -> MutableMapping[str, Any]:
    """Keras's global state of this thread, live: a trial has a thread of its own, and is to find it as a script would.

    `keras.utils.clear_session` begins another.
    """
    state: MutableMapping[str, Any] = vars(global_state.GLOBAL_STATE_TRACKER)
    return state


def process_state() -> list[MutableMapping[Any, Any]]:
    """What Keras keeps for the process, live: float type, epsilon, image format and such; the registered classes."""
    return [vars(config), object_registration.GLOBAL_CUSTOM_OBJECTS, object_registration.GLOBAL_CUSTOM_NAMES]


def is_deterministic() -> bool:
    """Whether TensorFlow's operations are deterministic, which only its own code can ask."""
    return bool(tf_config.is_op_determinism_enabled())


def set_deterministic(wanted: bool) -> None:
    """Makes TensorFlow's operations deterministic, or no longer, which has no public way."""
    tf_config.enable_op_determinism() if wanted else tf_config.disable_op_determinism()


def set_optimizer_options(wanted: dict[str, Any]) -> None:
    """Sets the options of TensorFlow's graph optimizer; publicly they are only added to those set before."""
    context.context()._optimizer_experimental_options.clear()
    tf.config.optimizer.set_experimental_options(wanted)


# Models


def is_kerass_own(kind: Any) -> bool:
    """Whether a class or function is Keras's own and not a user's: what it does has been compared with `model.fit`."""
    return str(getattr(kind, "__module__", "")).startswith("keras.src.")


def is_functional(model: keras.Model) -> bool:
    """Whether a model is of Keras's functional class itself, which has no public name."""
    return type(model).__name__ == "Functional" and is_kerass_own(type(model))


def forgets_options(model: keras.Model) -> bool:
    """Whether a loss or metric that a model was compiled with has an option that its configuration leaves out.

    `keras.losses.Huber(delta=2.0)` is one: what is made of its configuration has the default. The options that a loss
    of a function was given have no public name.
    """
    metrics = getattr(model._compile_metrics, "_user_metrics", None)
    return any(_forgets(part) for part in keras.tree.flatten([model.loss, metrics]))


def compiled_with(model: keras.Model) -> dict[str, Any]:
    """What a compiled model was compiled with, as `compile` takes it: metrics and weights of losses are not public."""
    metrics, loss = model._compile_metrics, model._compile_loss
    return {
        "optimizer": model.optimizer,
        "loss": model.loss,
        "loss_weights": getattr(loss, "_user_loss_weights", None),
        "metrics": getattr(metrics, "_user_metrics", None),
        "weighted_metrics": getattr(metrics, "_user_weighted_metrics", None),
        "run_eagerly": model.run_eagerly,
    }


def _forgets(part: Any) -> bool:
    options = getattr(part, "_fn_kwargs", {})
    if not options:
        return False
    takes, kept = inspect.signature(type(part)).parameters, part.get_config()
    return any(name not in kept and name in takes and value != takes[name].default for name, value in options.items())


def layers_within(model: keras.Model) -> list[Any]:
    """The layers of a model, and those within them; `model.layers` has the outer ones alone."""
    return list(model._flatten_layers(include_self=False))


def operation_of_output(tensor: Any, passes: Callable[[Any], bool]) -> Any:
    """The layer or operation that made an output of a functional model, before those that `passes` says pass.

    Where a tensor comes from stands nowhere in public.
    """
    while True:
        operation = tensor._keras_history.operation
        inputs = keras.tree.flatten(operation.input) if passes(operation) and len(operation._inbound_nodes) == 1 else []
        if len(inputs) != 1:
            return operation
        (tensor,) = inputs


def watch_compile(heard: Callable[[keras.Model, bool], None]) -> None:
    """Has each call of `compile` heard of: the model, and whether `jit_compile` was left to Keras.

    What came of `auto` is kept, and not that it was. Once in a process, however often this is called.
    """
    if hasattr(Trainer.compile, "hpo_watched"):
        return
    compile_model = Trainer.compile
    signature = inspect.signature(compile_model)

    @functools.wraps(compile_model)
    def watched(self: keras.Model, *args: Any, **kwargs: Any) -> Any:
        result = compile_model(self, *args, **kwargs)
        heard(self, signature.bind(self, *args, **kwargs).arguments.get("jit_compile", "auto") == "auto")
        return result

    Trainer.compile = watched
    Trainer.compile.hpo_watched = True


def shows_averages(callback: Any) -> bool:
    """Whether a callback has put the averages of the weights into the model, and these into the optimizer."""
    return isinstance(callback, keras.callbacks.SwapEMAWeights) and bool(callback._ema_weights_in_model)


# Graphs


def trace(function: Any) -> Any:
    """The graph of a `tf.function` with an input signature, traced if need be; the public way keeps it for ever."""
    return function._get_concrete_function_garbage_collected()


def keeps_state(traced: Any) -> list[str]:
    """The operations of a traced graph whose state is in no variable: TensorFlow's names, such as RandomUniform.

    TensorFlow says of each operation whether it has state; those that read and write variables have, too.
    """
    graph = traced.graph.as_graph_def()
    nodes = [*graph.node, *(node for function in graph.library.function for node in function.node_def)]
    kinds = ((name, op_def_registry.get(name)) for name in sorted({node.op for node in nodes}))
    return [name for name, kind in kinds if kind is not None and kind.is_stateful and not _OF_VARIABLES.match(name)]


def outputs_of_test_step(model: keras.Model, batch: Any) -> tf.Tensor:
    """Takes a `test_step`, and returns what the model put out in it; Keras hands that to `compute_metrics` alone.

    Of a model that puts out several tensors, the first.
    """
    seen: list[Any] = []

    def compute_metrics(x: Any, y: Any, y_pred: Any, sample_weight: Any = None) -> Any:
        seen.append(y_pred)
        return keras.Model.compute_metrics(model, x, y, y_pred, sample_weight)

    model.compute_metrics = compute_metrics
    try:
        model.test_step(batch)
    finally:
        del model.compute_metrics
    return tf.nest.flatten(seen)[0]


def loss_of_samples(model: keras.Model, *known: type) -> Callable[[Any, Any], tf.Tensor] | None:
    """The loss of each sample, shape (n, ...), of a compiled model that has run; None if it has not one usual loss.

    Keras itself hands out their mean alone. `known`: further classes of losses whose `call` returns such.
    """
    losses: list[Any] = model._compile_loss._flat_losses or []
    if len(losses) != 1 or losses[0].loss_weights is not None:
        return None
    loss = losses[0].loss
    usual = isinstance(loss, (LossFunctionWrapper, *known))
    return loss.call if usual and getattr(loss, "reduction", None) == "sum_over_batch_size" else None


def metric_of_samples(metric: Any) -> Callable[[Any, Any], tf.Tensor] | None:
    """The values of each sample, shape (n, ...), whose mean a metric is; None if it is another kind of metric."""
    if not isinstance(metric, keras.metrics.MeanMetricWrapper):
        return None
    return functools.partial(metric._fn, **metric._fn_kwargs)


def open_shape(variable: keras.Variable, shape: Sequence[int | None]) -> None:
    """Lets a variable take values of other shapes; what is traced from now on does not rely on the present one.

    A `keras.Variable` cannot be made over a `tf.Variable`, which alone has an open shape.
    """
    variable._value = tf.Variable(
        variable.value, shape=tf.TensorShape(shape), trainable=variable.trainable, name=variable.name
    )


def excludes_from_weight_decay(optimizer: keras.optimizers.Optimizer) -> bool:
    """Whether weights were excluded from weight decay, which no configuration says."""
    return hasattr(optimizer, "_exclude_from_weight_decay")


def fuse_adam(optimizer: keras.optimizers.Optimizer) -> None:
    """Has an Adam that is not built yet take each step as one operation of TensorFlow's; others stay as they are.

    Its class is changed, since a copy would have another name and other variables than what is saved and compared.
    """
    if type(optimizer) is keras.optimizers.Adam and not optimizer.amsgrad:
        optimizer.__class__ = _FusedAdam


class _FusedAdam(keras.optimizers.Adam):  # type: ignore[misc]
    """Adam whose step is one operation of TensorFlow's, where Keras's own goes through the weights a dozen times.

    The same formula (Kingma & Ba 2015, the form before section 2.1): epsilon beside the uncorrected deviation.
    """

    def update_step(self, gradient: tf.Tensor, variable: keras.Variable, learning_rate: tf.Tensor) -> None:
        """Applies one gradient to its variable."""
        if isinstance(gradient, tf.IndexedSlices):
            # Keras squares the rows of a sparse gradient one by one, those that are named twice too.
            super().update_step(gradient, variable, learning_rate)
            return
        self._apply(gradient, variable, learning_rate, self._powers(self.iterations + 1, variable.dtype))

    def lean(self, gradients: Sequence[tf.Tensor], variables: Sequence[keras.Variable], step: tf.Tensor) -> None:
        """Applies all gradients of a step, counted from 1, to their variables; those without a gradient stay."""
        powers, rate = self._powers(step, "float32"), self.learning_rate.value
        for gradient, variable in zip(gradients, variables, strict=True):
            if gradient is not None:
                self._apply(gradient, variable, rate, powers)

    def _powers(self, step: tf.Tensor, kind: str) -> list[tf.Tensor]:
        step = tf.cast(step, kind)
        return [tf.pow(tf.constant(beta, kind), step) for beta in (self.beta_1, self.beta_2)]

    def _apply(
        self, gradient: tf.Tensor, variable: keras.Variable, learning_rate: tf.Tensor, powers: Sequence[tf.Tensor]
    ) -> None:
        index = self._get_variable_index(variable)
        kind = variable.dtype
        tf.raw_ops.ResourceApplyAdam(
            var=variable.handle,
            m=self._momentums[index].handle,
            v=self._velocities[index].handle,
            beta1_power=powers[0],
            beta2_power=powers[1],
            lr=tf.cast(learning_rate, kind),
            beta1=tf.constant(self.beta_1, kind),
            beta2=tf.constant(self.beta_2, kind),
            epsilon=tf.constant(self.epsilon, kind),
            grad=tf.cast(gradient, kind),
        )


LeanAdam = Callable[[Sequence[tf.Tensor], Sequence[keras.Variable], tf.Tensor], None]
"""Takes the gradients and the variables of a step, and its number, counted from 1."""


def lean_adam(optimizer: keras.optimizers.Optimizer) -> LeanAdam | None:
    """The step of an Adam that `fuse_adam` has changed, without clipping and weight decay, which it leaves out."""
    beside = ("weight_decay", "clipnorm", "clipvalue", "global_clipnorm", "use_ema", "gradient_accumulation_steps")
    if type(optimizer) is not _FusedAdam or any(getattr(optimizer, name) for name in beside):
        return None
    moves = isinstance(optimizer._learning_rate, keras.optimizers.schedules.LearningRateSchedule)
    return None if moves or optimizer.loss_scale_factor is not None else optimizer.lean
