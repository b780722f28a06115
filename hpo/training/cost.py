"""What a model would cost, found without training it: its size, its memory, the time of an epoch."""

import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import keras
import numpy as np
import tensorflow as tf

from hpo.data.dataset import Dataset
from hpo.training.building import uncompiled
from hpo.training.compiling import compile_model, labels_for
from hpo.training.messages import Job
from hpo.training.tensors import prepared, tensors_of

_BYTES = 4
_TIMED_STEPS = 5


@dataclass(frozen=True)
class Cost:
    """What one model would cost."""

    parameters: int
    """Numbers in the model."""
    memory: int
    """Bytes: weights, gradients, the optimizer's two moments, and the activations of one batch."""
    start_seconds: float
    """Seconds until its first step: the building of the model and the tracing of its graph."""
    epoch_seconds: float
    """Seconds for the gradients of one epoch on this machine; None of them applied."""


def measure(job: Job, dataset: Dataset) -> Cost:
    """Builds the model of a job and times its gradients on a few batches; its weights stay as they are.

    Raises:
        ModelError: the model cannot be built.
    """
    began = time.perf_counter()
    keras.utils.set_random_seed(job.seed)
    model = uncompiled(job, dataset).model
    if not model.compiled:
        model = compile_model(model, job.training, dataset.info, job.plain_loss, job.import_paths)
    batch = min(job.training.batch_size, dataset.info.sizes["training"])
    gradients = _traced_gradients(model, *_batch(model, dataset, batch))
    start_seconds = time.perf_counter() - began
    seconds = _step_seconds(gradients)
    steps = dataset.info.steps(batch)
    parameters = model.count_params()
    memory = _BYTES * (4 * parameters + batch * _activations(model))
    return Cost(parameters, memory, start_seconds, seconds * steps)


def _batch(model: keras.Model, dataset: Dataset, size: int) -> tuple[Any, Any]:
    if dataset.stream is not None:
        x, y, _ = keras.utils.unpack_x_y_sample_weight(next(iter(dataset.stream("training", size))))
        if dataset.info.task == "reconstruction":
            y = x = prepared(x, dataset.info)
        return x, y
    few = dataset.training.take(slice(0, size))
    x = tensors_of(dataset.info, few.x)
    if few.y is None:
        return x, x if dataset.info.task == "reconstruction" else None
    return x, tf.nest.map_structure(tf.constant, labels_for(model, few.y, dataset.info))


def _traced_gradients(model: keras.Model, x: Any, y: Any) -> Callable[[], Any]:
    def step() -> Any:
        with tf.GradientTape() as tape:
            loss = model.compute_loss(x=x, y=y, y_pred=model(x, training=True))
        return tape.gradient(loss, model.trainable_variables)

    gradients: Callable[[], Any] = tf.function(step)
    gradients()
    return gradients


def _step_seconds(gradients: Callable[[], Any]) -> float:
    began = time.perf_counter()
    for _ in range(_TIMED_STEPS):
        gradients()
    return (time.perf_counter() - began) / _TIMED_STEPS


def _activations(model: keras.Model) -> int:
    """Numbers that the layers put out for one sample."""
    total = 0
    for layer in model.layers:
        try:
            shape = layer.output.shape
        except (AttributeError, ValueError):
            continue
        total += int(np.prod([size or 1 for size in shape[1:]]))
    return total
