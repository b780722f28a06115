"""A gradient step without what Keras does around it, for the usual classifier: softmax, cross-entropy, accuracy, Adam.

The same formulas as the model's own `train_step`. What that reads and writes in variables, for each metric and for each
weight, goes from step to step as numbers: the sums of loss and accuracy, and the number of the step.
"""

from collections.abc import Sequence
from typing import Any

import keras
import tensorflow as tf

from hpo.training.keras_compat import LeanAdam, lean_adam
from hpo.training.tensors import NOTHING, Tensors

_LAYERS = {"Dense", "_Rounded", "Dropout", "VariableDropout", "Flatten", "Activation", "LeakyReLU", "ReLU", "ELU"}

Sums = Sequence[tf.Tensor]
"""The number of steps so far; the sum of the losses, the samples, and those in the right class, of this epoch."""


class LeanStep:
    """Steps of a compiled model; see `lean_step_of`."""

    def __init__(self, model: keras.Model, adam: LeanAdam) -> None:
        self._model = model
        self._adam = adam
        (total, count), (right, seen) = (metric.variables for metric in _metrics(model))
        self._sums = [one.value for one in (model.optimizer.iterations, total, count, right)]
        self._seen = seen.value

    def begin(self) -> list[tf.Tensor]:
        """The sums so far."""
        return [one.read_value() for one in self._sums]

    def step(self, batch: tuple[tf.Tensor, tf.Tensor], sums: Sums) -> list[tf.Tensor]:
        """Takes a step on a batch: scaled samples, class numbers of shape (n,); returns the sums with it."""
        (x, y), (steps, total, count, right) = batch, sums
        classes = tf.cast(y, tf.int64)
        variables = self._model.trainable_variables
        with tf.GradientTape() as tape:
            logits = _logits(self._model(x, training=True))
            losses = tf.nn.sparse_softmax_cross_entropy_with_logits(classes, logits)
            samples = tf.cast(tf.shape(losses)[0], tf.float32)
            loss = tf.reduce_sum(losses) / samples
        gradients = tape.gradient(loss, [variable.value for variable in variables])
        self._adam(gradients, variables, steps + 1)
        hits = tf.cast(tf.equal(tf.argmax(logits, -1), classes), tf.float32)
        return [steps + 1, total + loss * samples, count + samples, right + tf.reduce_sum(hits)]

    def end(self, sums: Sums) -> None:
        """Writes the sums where Keras has them."""
        for variable, value in zip((*self._sums, self._seen), (*sums, sums[2]), strict=True):
            variable.assign(value)


def lean_step_of(model: keras.Model, training: Tensors) -> LeanStep | None:
    """The lean steps of a model that has run; None if it is not made of exactly those parts that they compute."""
    adam = lean_adam(model.optimizer)
    if adam is None or not _are_classes(training) or not _is_usual(model):
        return None
    return LeanStep(model, adam)


def _are_classes(part: Tensors) -> bool:
    """Whether a part has class numbers, of one head, and no weights."""
    y = part.y
    single = isinstance(y, tf.Tensor | tf.Variable) and part.weights is NOTHING
    return bool(single and y.shape.rank == 1 and y.dtype.is_integer)


def _is_usual(model: keras.Model) -> bool:
    loss = model.loss if isinstance(model.loss, str) else None
    if type(model) is not keras.Sequential or loss != "sparse_categorical_crossentropy" or len(_metrics(model)) != 2:
        return False
    head = model.layers[-1]
    softmax = type(head) is keras.layers.Dense and head.activation is keras.activations.softmax
    if (model.get_compile_config() or {}).get("loss_weights") is not None:
        return False
    # Keras's optimizer applies the constraints of weights; penalties are part of the loss.
    bound = any(layer.activity_regularizer is not None for layer in model.layers) or any(
        variable.regularizer is not None or variable.constraint is not None for variable in model.trainable_variables
    )
    kinds = {type(layer).__name__ for layer in model.layers}
    known = kinds <= _LAYERS
    return softmax and known and not bound and len(model.output_shape) == 2


def _metrics(model: keras.Model) -> list[Any]:
    """The metrics of a model with loss and accuracy alone; otherwise none."""
    metrics = [one for metric in model.metrics for one in getattr(metric, "metrics", [metric])]
    kinds = [type(metric) for metric in metrics]
    return metrics if kinds == [keras.metrics.Mean, keras.metrics.SparseCategoricalAccuracy] else []


def _logits(outputs: tf.Tensor) -> tf.Tensor:
    """What the softmax of a model's head was computed of; Keras's own loss looks there, too."""
    operation = outputs.op
    if operation.type != "Softmax":
        raise TypeError(f"the model puts out the result of {operation.type}, no softmax")
    return operation.inputs[0]
