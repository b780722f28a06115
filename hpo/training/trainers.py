"""The two ways to train a model: inside the graph where that is possible, else by its own or Keras's `fit`."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import partial
from typing import Any, Protocol

import keras
import numpy as np
import tensorflow as tf

from hpo.data.dataset import Array, Dataset
from hpo.data.generated import epoch_of
from hpo.models import Built
from hpo.training.augmentation import Augment, augment_for, augment_steps
from hpo.training.callbacks import own_callbacks, sees_batches
from hpo.training.compiling import labels_for
from hpo.training.graph import EVALUATION_BATCH, GraphLoop, Weighted, why_not
from hpo.training.learning_rate import rates_of, reductions, schedules
from hpo.training.messages import EndReason, Job
from hpo.training.template import Templates
from hpo.training.testing import Scored, evaluated
from hpo.training.watch import Stopped, Watch
from hpo.training.weights import sample_weights, weights_by_class

_TEMPLATES = Templates()


class Trainer(Protocol):
    """Trains and tests one compiled model."""

    def fit(self, watch: Watch) -> EndReason:
        """Trains until the last epoch, or until the watch stops it."""

    def test(self, weights: list[Any]) -> Scored:
        """Loss and metrics on the test part at these weights, in the order of the model's own.

        Raises nothing: the test part never chooses, not even by failing.
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
    augment = augment_for(job.augmentation, dataset, job.seed)
    plateaus = reductions(job.training, job.objective, built.model)
    if reason is not None:
        moving = [*schedules(job.training, built.model), *plateaus]
        yield _FitTrainer(job, built, dataset, [*moving, *callbacks], augment), reason
        return
    weights = sample_weights(job.training.class_weight, dataset.training.y, dataset.info)
    if dataset.batches is not None:
        weights_by_class(job.training.class_weight)

    def make_loop(model: keras.Model) -> GraphLoop:
        return GraphLoop(model, dataset, weights, augment)

    # The user's callbacks may change the model that they see, which would not be the trial's own.
    key = None if callbacks else f"{job.data} {job.training.class_weight} {job.augmentation}"
    with _TEMPLATES.lent(built.model, key, make_loop) as template:
        model, loop = (template.model, template.loop) if template else (built.model, make_loop(built.model))
        if loop.augment is not None:
            loop.augment.begin(job.seed)
        yield _GraphTrainer(job, model, loop, dataset, [*plateaus, *callbacks]), None


class _GraphTrainer:
    def __init__(self, job: Job, model: keras.Model, loop: GraphLoop, dataset: Dataset, callbacks: list[Any]) -> None:
        self._job = job
        self._model = model
        self._loop = loop
        self._dataset = dataset
        self._rates = rates_of(job.training, model, dataset.info.steps(job.training.batch_size))
        self._callbacks = callbacks

    def fit(self, watch: Watch) -> EndReason:
        callbacks = keras.callbacks.CallbackList([*self._callbacks, watch], model=self._model)
        self._model.stop_training = False
        callbacks.on_train_begin()
        try:
            for epoch in range(self._job.training.epochs):
                callbacks.on_epoch_begin(epoch)
                rates = None if self._rates is None else self._rates.of_epoch(epoch)
                logs = self._train(epoch, watch.check, rates)
                validation = self._loop.evaluate("validation", watch.check)
                callbacks.on_epoch_end(epoch, logs | {f"val_{name}": value for name, value in validation.items()})
                if self._model.stop_training:
                    break
        except Stopped as stopped:
            return stopped.reason
        callbacks.on_train_end()
        return watch.ended or "epochs"

    def _train(self, epoch: int, between: Callable[[float], None], rates: Array | None) -> dict[str, float]:
        seed, batch_size = self._job.seed, self._job.training.batch_size
        if self._dataset.batches is not None:
            return self._loop.train_fresh(self._fresh(epoch), batch_size, between, rates)
        order = np.random.default_rng([seed, epoch]).permutation(len(self._dataset.training))
        return self._loop.train(order, batch_size, between, rates)

    def _fresh(self, epoch: int) -> Iterator[Weighted]:
        training, info = self._job.training, self._dataset.info
        for x, y in epoch_of(self._dataset, training.batch_size, self._job.seed, epoch):
            yield x, y, sample_weights(training.class_weight, y, info)

    def test(self, weights: list[Any]) -> Scored:
        for variable, value in zip(self._model.weights, weights, strict=True):
            # The variable's own `assign` would insist on the shape that a template was made with.
            variable.value.assign(value)
        return evaluated(self._dataset.info.extra_tests, lambda name: self._loop.evaluate(name, lambda _: None))


class _FitTrainer:
    def __init__(self, job: Job, built: Built, dataset: Dataset, callbacks: list[Any], augment: Augment | None) -> None:
        self._job = job
        self._built = built
        self._dataset = dataset
        self._callbacks = callbacks
        self._augment = augment
        self._epoch = 0

    def fit(self, watch: Watch) -> EndReason:
        model, training = self._built.model, self._job.training
        # Keras's own loop has TensorFlow shuffle the samples.
        tf.random.set_seed(self._job.seed)
        if self._augment is not None:
            augment_steps(model, self._augment)
        x, y = self._part("training") if self._dataset.batches is None else (self._fresh(), None)
        validation: Any = self._part("validation")
        options: dict[str, Any]
        if y is not None:
            options = {"batch_size": training.batch_size, "validation_batch_size": EVALUATION_BATCH}
            options["sample_weight"] = sample_weights(
                training.class_weight, self._dataset.training.y, self._dataset.info
            )
        else:
            if self._dataset.stream is not None:
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

    def test(self, weights: list[Any]) -> Scored:
        self._built.model.set_weights(weights)
        size = EVALUATION_BATCH if self._dataset.stream is None else None

        def evaluate(name: str) -> dict[str, Any]:
            x, y = self._part(name)
            return dict(self._built.model.evaluate(x, y, batch_size=size, verbose=0, return_dict=True))

        return evaluated(self._dataset.info.extra_tests, evaluate, own_fit=self._built.fit is not None)

    def _fresh(self) -> tf.data.Dataset:
        """The generated batches of the epoch that is under way, whenever it is run through."""
        model, info = self._built.model, self._dataset.info
        self._callbacks = [keras.callbacks.LambdaCallback(on_epoch_begin=self._count), *self._callbacks]

        def batches() -> Iterator[tuple[Any, Any]]:
            for x, y in epoch_of(self._dataset, self._job.training.batch_size, self._job.seed, self._epoch):
                yield info.scaling.apply(x), labels_for(model, y, info)

        kinds = tuple(tf.TensorSpec([None, *array.shape[1:]], array.dtype) for array in self._part("training"))
        fresh = tf.data.Dataset.from_generator(batches, output_signature=kinds)
        return fresh.apply(tf.data.experimental.assert_cardinality(info.steps(self._job.training.batch_size)))

    def _count(self, epoch: int, logs: Any = None) -> None:
        self._epoch = epoch

    def _part(self, name: str) -> tuple[Any, Any]:
        """Features, scaled, and labels; or the user's own pipeline of both, and None."""
        info = self._dataset.info
        if self._dataset.stream is None:
            part = self._dataset.part(name)
            return info.scaling.apply(part.x), labels_for(self._built.model, part.y, info)
        pipeline: Any = self._dataset.stream(name, self._job.training.batch_size)  # type: ignore[arg-type]
        scaling = info.scaling
        if scaling.method == "none":
            return pipeline, None

        def scale(x: Any, y: Any) -> tuple[Any, Any]:
            return (tf.cast(x, tf.float32) - scaling.offset) * scaling.factor, y

        return pipeline.map(scale, num_parallel_calls=1), None
