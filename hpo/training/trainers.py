"""The two ways to train a model: inside the graph where that is possible, else by its own or Keras's `fit`."""

import math
from collections.abc import Iterator
from contextlib import contextmanager
from functools import partial
from typing import Any, Protocol

import keras
import numpy as np
import tensorflow as tf

from hpo.data.dataset import Dataset, PartName
from hpo.models import Built
from hpo.training.callbacks import own_callbacks, sees_batches
from hpo.training.compiling import labels_for
from hpo.training.graph import EVALUATION_BATCH, GraphLoop, why_not
from hpo.training.messages import EndReason, Job
from hpo.training.template import Templates
from hpo.training.watch import Stopped, Watch
from hpo.training.weights import sample_weights, weights_by_class

_TEMPLATES = Templates()


class Trainer(Protocol):
    """Trains and tests one compiled model."""

    def fit(self, watch: Watch) -> EndReason:
        """Trains until the last epoch, or until the watch stops it."""

    def test(self, weights: list[Any]) -> dict[str, float]:
        """Loss and metrics on the test part at these weights, in the order of the model's own.

        A figure that is not finite is left out, and does not fail the trial: the test part never chooses.
        """


@contextmanager
def trainer_for(job: Job, built: Built, dataset: Dataset) -> Iterator[tuple[Trainer, str | None]]:
    """The faster trainer that serves a model, and why it is not the graph's, if so."""
    callbacks = own_callbacks(job.training.callbacks or (), job.import_paths)
    if built.fit is not None:
        reason: str | None = "the HyperModel has a fit of its own"
    elif dataset.stream is not None:
        reason = "the data are a tf.data pipeline"
    elif any(map(sees_batches, callbacks)):
        reason = "a callback wants to see each batch"
    else:
        reason = why_not(built.model)
    if reason is not None:
        yield _FitTrainer(job, built, dataset, callbacks), reason
        return
    weights = sample_weights(job.training.class_weight, dataset.training.y, dataset.info)

    def make_loop(model: keras.Model) -> GraphLoop:
        return GraphLoop(model, dataset, weights)

    # The user's callbacks may change the model that they see, which would not be the trial's own.
    key = None if callbacks else f"{job.data} {job.training.class_weight}"
    with _TEMPLATES.lent(built.model, key, make_loop) as template:
        model, loop = (template.model, template.loop) if template else (built.model, make_loop(built.model))
        yield _GraphTrainer(job, model, loop, len(dataset.training), callbacks), None


class _GraphTrainer:
    def __init__(self, job: Job, model: keras.Model, loop: GraphLoop, samples: int, callbacks: list[Any]) -> None:
        self._job = job
        self._model = model
        self._loop = loop
        self._samples = samples
        self._callbacks = callbacks

    def fit(self, watch: Watch) -> EndReason:
        callbacks = keras.callbacks.CallbackList([*self._callbacks, watch], model=self._model)
        self._model.stop_training = False
        callbacks.on_train_begin()
        try:
            for epoch in range(self._job.training.epochs):
                callbacks.on_epoch_begin(epoch)
                order = np.random.default_rng([self._job.seed, epoch]).permutation(self._samples)
                logs = self._loop.train(order, self._job.training.batch_size, watch.check)
                validation = self._loop.evaluate("validation", watch.check)
                callbacks.on_epoch_end(epoch, logs | {f"val_{name}": value for name, value in validation.items()})
                if self._model.stop_training:
                    break
        except Stopped as stopped:
            return stopped.reason
        callbacks.on_train_end()
        return watch.ended or "epochs"

    def test(self, weights: list[Any]) -> dict[str, float]:
        for variable, value in zip(self._model.weights, weights, strict=True):
            # The variable's own `assign` would insist on the shape that a template was made with.
            variable.value.assign(value)
        return _finite(self._loop.evaluate("test", lambda _: None))


class _FitTrainer:
    def __init__(self, job: Job, built: Built, dataset: Dataset, callbacks: list[Any]) -> None:
        self._job = job
        self._built = built
        self._dataset = dataset
        self._callbacks = callbacks

    def fit(self, watch: Watch) -> EndReason:
        model, training = self._built.model, self._job.training
        # Keras's own loop has TensorFlow shuffle the samples.
        tf.random.set_seed(self._job.seed)
        x, y = self._part("training")
        validation = self._part("validation")
        if self._dataset.stream is None:
            options: dict[str, Any] = {"batch_size": training.batch_size, "validation_batch_size": EVALUATION_BATCH}
            options["sample_weight"] = sample_weights(
                training.class_weight, self._dataset.training.y, self._dataset.info
            )
        else:
            validation = validation[0]
            options = {"shuffle": False}  # the pipeline's own concern
            options["class_weight"] = weights_by_class(training.class_weight)
        # Defaults rather than arguments, since a HyperModel's own fit may pass options of its own.
        model.fit = partial(model.fit, **options)
        fit = model.fit if self._built.fit is None else partial(self._built.fit, model)
        try:
            fit(
                x, y, epochs=training.epochs, verbose=0, callbacks=[*self._callbacks, watch], validation_data=validation
            )
        except Stopped as stopped:
            return stopped.reason
        return watch.ended or "epochs"

    def test(self, weights: list[Any]) -> dict[str, float]:
        self._built.model.set_weights(weights)
        x, y = self._part("test")
        size = EVALUATION_BATCH if self._dataset.stream is None else None
        return _finite(self._built.model.evaluate(x, y, batch_size=size, verbose=0, return_dict=True))

    def _part(self, name: PartName) -> tuple[Any, Any]:
        """Features, scaled, and labels; or the user's own pipeline of both, and None."""
        info = self._dataset.info
        if self._dataset.stream is None:
            part = self._dataset.part(name)
            return info.scaling.apply(part.x), labels_for(self._built.model, part.y, info)
        pipeline, scaling = self._dataset.stream(name, self._job.training.batch_size), info.scaling
        if scaling.method == "none":
            return pipeline, None

        def scale(x: Any, y: Any) -> tuple[Any, Any]:
            return (tf.cast(x, tf.float32) - scaling.offset) * scaling.factor, y

        return pipeline.map(scale, num_parallel_calls=1), None


def _finite(scores: dict[str, Any]) -> dict[str, float]:
    return {name: float(score) for name, score in scores.items() if math.isfinite(float(score))}
