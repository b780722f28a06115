"""The slower way to train a model: by Keras's `fit`, or by that of a HyperModel."""

from collections.abc import Iterator, Sequence
from dataclasses import replace
from functools import partial
from typing import Any

import keras
import tensorflow as tf

from hpo.data.dataset import Array, Dataset, Part
from hpo.data.generated import batches_of_epoch
from hpo.data.several import is_text
from hpo.models import Built
from hpo.training.augmentation import Augment, augment_steps
from hpo.training.class_weights import weighed, weights_by_class, weights_of
from hpo.training.compiling import labels_for
from hpo.training.epoch_callback import Leaving, Stopped, Watch
from hpo.training.from_disk import DiskStream, is_on_disk
from hpo.training.graph import EVALUATION_BATCH
from hpo.training.learning_rate import Plateau
from hpo.training.messages import Job
from hpo.training.own_fit import PREPARED, OwnFit
from hpo.training.returned import metrics_returned, score_returned
from hpo.training.state import Hidden, TrainingState
from hpo.training.tensors import prepared
from hpo.training.testing import Scored, evaluated
from hpo.training.weights import as_outputs, weights_for
from hpo.training.whole_part import Figures, WholeInFit, predicted


class FitTrainer:
    """See `trainers.Trainer`."""

    plateaus: Sequence[Plateau] = ()

    def __init__(
        self,
        job: Job,
        built: Built,
        dataset: Dataset,
        callbacks: list[Any],
        augment: Augment | None,
        figures: Figures | None,
    ) -> None:
        self._weighs = is_on_disk(dataset)
        if self._weighs:
            weights = weights_of(job.training.class_weight, dataset.training, dataset.info)
            dataset = replace(dataset, stream=DiskStream(dataset, built.model, job.seed, weights))
        self._job = job
        self._built = built
        self._dataset = dataset
        self._callbacks = callbacks
        self._augment = augment
        self._figures = figures
        self._epoch = 0
        self._own = None if built.fit is None else OwnFit(built.fit, built.model)

    @property
    def model_note(self) -> str | None:
        """See `trainers.Trainer`."""
        if (why := self._built.apart()) is not None:
            return why
        return PREPARED if self._own is not None and self._own.prepares else None

    def state(self) -> TrainingState:
        """Raises Hidden: nobody knows what a `fit` keeps."""
        whose = "Keras's" if self._built.fit is None else "the HyperModel's own"
        raise Hidden(f"{whose} fit trains it")

    def fit(self, watch: Watch) -> Leaving:
        """See `trainers.Trainer`."""
        model, training = self._built.model, self._job.training
        # Keras's own loop has TensorFlow shuffle the samples.
        tf.random.set_seed(self._job.seed)
        if self._augment is not None:
            augment_steps(model, self._augment)
        watch.beside = self._callbacks
        of_batches = self._dataset.stream is not None or self._dataset.batches is not None
        x, y, *_ = self._part("training") if self._dataset.batches is None else (self._fresh(), None)
        validation: Any = self._part("validation")
        options: dict[str, Any]
        if not of_batches:
            options = {"batch_size": training.batch_size, "validation_batch_size": EVALUATION_BATCH}
            weights = weights_of(training.class_weight, self._dataset.training, self._dataset.info)
            if weights is not None:
                options["sample_weight"] = weights_for(model, weights, self._dataset.info)
        else:
            if self._dataset.stream is not None:
                validation = validation[0]
            options = {"shuffle": False}  # the pipeline's own concern
            # Samples on disk bring their weights, those of their classes too.
            by_class = None if self._weighs else weights_by_class(training.class_weight, self._dataset.info)
            if by_class and "training" in self._dataset.info.weighted:
                x, by_class = weighed(x, by_class, self._dataset.info), None
            options["class_weight"] = by_class
        # Defaults rather than arguments, since a HyperModel's own fit may pass options of its own.
        model.fit = partial(model.fit, **options)
        if self._figures is not None:
            whole = WholeInFit(self._figures, validation, EVALUATION_BATCH)
            self._callbacks = [whole, *self._callbacks]
            model.fit = whole.beside(model.fit)
        callbacks = [*self._callbacks, watch]
        try:
            if self._own is None:
                epochs = {"epochs": training.epochs, "initial_epoch": watch.epochs}
                model.fit(x, y, **epochs, verbose=0, callbacks=callbacks, validation_data=validation)
            else:
                watch.holds_back = "each"
                found = self._own.train(x, y, validation, epochs=training.epochs, verbose=0, callbacks=callbacks)
                score = score_returned(found, self._job.objective, self._built.by)
                watch.returned(score, model, metrics_returned(found, self._job.objective))
        except Stopped as stopped:
            if self._own is not None and watch.ended is not None:
                watch.returned(None, model)
            elif self._own is not None:
                watch.send_last()
            return stopped.reason
        return watch.ended or "epochs"

    def test(self, weights: list[Any]) -> Scored:
        """See `trainers.Trainer`."""
        if (why := self._built.apart()) is not None:
            return Scored(note=f"not tested: {why}")
        model, size = self._built.model, EVALUATION_BATCH if self._dataset.stream is None else None
        own = self._own

        def evaluate(name: str) -> dict[str, Any]:
            data = self._part(name)
            if self._dataset.stream is not None:
                data = data[0]
            if own is not None and own.prepares:
                data = own.prepared(data)
            model.set_weights(weights)
            arrays = data if isinstance(data, tuple | list) else (data,)
            # Features and labels, and weights of samples where the model's own fit makes such.
            named = dict(zip(("x", "y", "sample_weight"), arrays, strict=False))
            batch_size = size if self._dataset.stream is None and not isinstance(data, tf.data.Dataset) else None
            found = dict(model.evaluate(**named, batch_size=batch_size, verbose=0, return_dict=True))
            if self._figures is not None:
                found |= self._figures(*predicted(model, data, EVALUATION_BATCH))
            return found

        unseen = own is not None and own.prepares is None
        return evaluated(self._dataset.info.extra_tests, evaluate, own_fit=unseen)

    def _fresh(self) -> tf.data.Dataset:
        """The generated batches of the epoch that is under way, whenever it is run through."""
        info = self._dataset.info
        self._callbacks = [keras.callbacks.LambdaCallback(on_epoch_begin=self._count), *self._callbacks]

        def batches() -> Iterator[tuple[Any, ...]]:
            for part in batches_of_epoch(self._dataset, self._job.training.batch_size, self._job.seed, self._epoch):
                yield keras.tree.lists_to_tuples(self._arrays(part))

        kinds = tf.nest.map_structure(
            lambda array: tf.TensorSpec([None, *array.shape[1:]], array.dtype),
            keras.tree.lists_to_tuples(self._part("training")),
        )
        fresh = tf.data.Dataset.from_generator(batches, output_signature=kinds)
        return fresh.apply(tf.data.experimental.assert_cardinality(info.steps(self._job.training.batch_size)))

    def _count(self, epoch: int, logs: Any = None) -> None:
        self._epoch = epoch

    def _part(self, name: str) -> tuple[Any, ...]:
        """Features, scaled, labels or None, and weights if there are any; or the user's own pipeline, and None."""
        info = self._dataset.info
        if self._dataset.stream is None:
            return self._arrays(self._dataset.part(name))
        pipeline: Any = self._dataset.stream(name, self._job.training.batch_size)  # type: ignore[arg-type]
        scalings = [info.scaling, *(one.scaling for one in info.inputs.values())]
        is_target = info.task == "reconstruction"
        weighs = name in info.weighted and not self._weighs
        if all(scaling.method == "none" for scaling in scalings) and not is_target and not weighs:
            return pipeline, None

        def scale(x: Any, *rest: Any) -> Any:
            x = prepared(x, info)
            if is_target:
                return x, x
            if weighs:
                # TensorFlow would make one tensor of a list.
                rest = (rest[0], keras.tree.lists_to_tuples(weights_for(self._built.model, rest[1], info)))
            return keras.utils.pack_x_y_sample_weight(x, *rest)

        return pipeline.map(scale, num_parallel_calls=1), None

    def _arrays(self, part: Part) -> tuple[Any, ...]:
        """Features, scaled, labels or None, and weights if there are any."""
        model, info = self._built.model, self._dataset.info
        x = tf.nest.map_structure(_text_as_tensor, info.prepared(part.x))
        y = None if part.y is None else labels_for(model, part.y, info)
        y = x if info.task == "reconstruction" else y
        if part.weights is None:
            return x, y
        # Keras wants targets and weights in one structure.
        return x, as_outputs(model, y), weights_for(model, part.weights, info)


def _text_as_tensor(array: Array) -> Any:
    return tf.constant(array) if is_text(array) else array
