"""The two ways to train a model: inside the graph where that is possible, else by its own or Keras's `fit`."""

from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from typing import Any, Protocol

import keras
import tensorflow as tf

from hpo.config.training_rules import has_schedule
from hpo.data.dataset import Array, Dataset
from hpo.data.generated import batches_of_epoch
from hpo.models import Built
from hpo.training.augmentation import augment_for
from hpo.training.class_weights import weights_by_class, weights_of
from hpo.training.epoch_callback import Leaving, Stopped, Watch
from hpo.training.fit_trainer import FitTrainer
from hpo.training.from_disk import in_whole_batches, is_on_disk, order_by_blocks
from hpo.training.global_settings import traced
from hpo.training.graph import GraphLoop, Weighted
from hpo.training.kept_weights import finalize
from hpo.training.learning_rate import Plateau, rates_of, reductions, schedules
from hpo.training.messages import Job
from hpo.training.model_shapes import build_chain
from hpo.training.needs_fit import needs_fit
from hpo.training.state import Hidden, TrainingState
from hpo.training.template import Templates
from hpo.training.tensors import order_of
from hpo.training.testing import Scored, evaluated
from hpo.training.user_callbacks import own_callbacks, sees_batches
from hpo.training.whole_part import Figures, figures_of

_TEMPLATES = Templates()
# With smaller batches it takes as long to round the weights of a layer as it saves. Measured with 32 to 512 samples.
_LARGE_BATCH = 128


class Trainer(Protocol):
    """Trains and tests one compiled model."""

    @property
    def plateaus(self) -> Sequence[Plateau]:
        """What reduces its learning rate, if anything does."""

    @property
    def model_note(self) -> str | None:
        """What its model, once saved, lacks of what it was trained with; None where it lacks nothing."""

    def state(self) -> TrainingState:
        """All that a step of its training depends on.

        Raises:
            Hidden: that is not known.
        """

    def fit(self, watch: Watch) -> Leaving:
        """Trains until the last epoch, or until the watch stops it; goes on after the epochs that the watch has."""

    def test(self, weights: list[Any]) -> Scored:
        """Loss and metrics on the test part at these weights, in the order of the model's own.

        Raises nothing: the test part never chooses, not even by failing.
        """


@contextmanager
def trainer_for(job: Job, built: Built, dataset: Dataset) -> Iterator[tuple[Trainer, str | None]]:
    """The faster trainer that serves a model, and why it is not the graph's, if so."""
    callbacks = own_callbacks(job)
    augment = augment_for(job.augmentation, dataset, job.seed)
    plateaus = reductions(job.training, job.objective, built.model)
    weights = None
    reason = _why_fit(built, dataset, callbacks)
    if reason is None:
        weights = weights_of(job.training.class_weight, dataset.training, dataset.info)
        if dataset.batches is not None:
            weights_by_class(job.training.class_weight, dataset.info)
        build_chain(built.model, dataset.info)

    figures = figures_of(job.training, built.model, dataset.info)

    def make_loop(model: keras.Model) -> GraphLoop:
        return GraphLoop(model, dataset, weights, augment, keeps_outputs=figures is not None)

    with _way(job, built.model, reason, bool(callbacks), make_loop) as way:
        if way.loop is None:
            moving = [*schedules(job.training, built.model, job.begins), *plateaus]
            yield FitTrainer(job, built, dataset, [*moving, *callbacks], augment, figures), way.note
            return
        if way.loop.augment is not None:
            way.loop.augment.begin(job.seed)
        yield _GraphTrainer(job, way, dataset, plateaus, callbacks, figures), way.note


def _why_fit(built: Built, dataset: Dataset, callbacks: Sequence[Any]) -> str | None:
    """Why a model trains by a `fit`, its own or Keras's; None where it may train inside the graph."""
    if built.fit is not None:
        return "the HyperModel has a fit of its own"
    if dataset.stream is not None:
        return "the data are a tf.data pipeline"
    if any(map(sees_batches, callbacks)):
        return "a callback needs each batch"
    return needs_fit(built.model)


@dataclass(frozen=True)
class _Way:
    """How a model trains."""

    model: keras.Model
    """What trains: the model itself, or a copy."""
    loop: GraphLoop | None = None
    """None: by a `fit`."""
    note: str | None = None
    settings: Sequence[tf.Variable] = ()
    """The variables that its graph reads and no step changes."""


@contextmanager
def _way(
    job: Job,
    model: keras.Model,
    why_fit: str | None,
    observed: bool,
    make_loop: Callable[[keras.Model], GraphLoop],
) -> Iterator[_Way]:
    """A template's loop, or else the model's own, or else none: whatever goes wrong here, the model has not trained."""
    moving = has_schedule(job.training)
    # The user's callbacks may change the model that they see, which would not be the trial's own.
    reason: str | None = "callbacks may change the model"
    with ExitStack() as stack:
        if why_fit is None and not observed:
            kept = bool(job.training.whole_metrics)
            data = f"{job.data} {job.training.class_weight} {job.augmentation} {traced()} {kept}"
            rounds = job.training.products == "bfloat16" and job.training.batch_size >= _LARGE_BATCH
            lent = stack.enter_context(_TEMPLATES.lent(model, data, make_loop, moving, rounds))
            if lent.template is not None:
                yield _Way(lent.template.model, lent.template.loop, settings=lent.template.settings)
                return
            reason = lent.reason
        loop = None
        if why_fit is None:
            try:
                loop = make_loop(model)
                loop.trace(moving)
            except Exception as error:
                # Where the model itself is at fault, its fit fails the trial with a traceback of the user's code.
                loop, why_fit = None, f"it cannot be traced in a loop ({type(error).__name__})"
        if loop is None:
            yield _Way(model, None, f"training goes through Keras's fit, the slower way: {why_fit}")
        else:
            yield _Way(model, loop, f"a graph is traced for each trial: {reason}")


class _GraphTrainer:
    model_note: str | None = None

    def __init__(
        self,
        job: Job,
        way: _Way,
        dataset: Dataset,
        plateaus: Sequence[Plateau],
        callbacks: Sequence[Any],
        figures: Figures | None,
    ) -> None:
        assert way.loop is not None
        self.plateaus = plateaus
        self._figures = figures
        self._job = job
        self._way = way
        self._model = way.model
        self._loop = way.loop
        self._dataset = dataset
        steps = dataset.info.steps(job.training.batch_size)
        self._rates = rates_of(job.training, way.model, steps, job.begins)
        self._own = callbacks
        self._callbacks = [*plateaus, *callbacks]

    def state(self) -> TrainingState:
        if self._own:
            raise Hidden("it has callbacks of your own")
        loop, augment = self._loop, self._loop.augment
        traced = loop.traced(moving=has_schedule(self._job.training))
        settings = [*self._way.settings, *loop.samples]
        return TrainingState(self._model, traced, augment.variables if augment else (), settings)

    def fit(self, watch: Watch) -> Leaving:
        epochs, steps = self._job.training.epochs, self._dataset.info.steps(self._job.training.batch_size)
        callbacks = keras.callbacks.CallbackList(
            [*self._callbacks, watch], model=self._model, epochs=epochs, steps=steps, verbose=0
        )
        self._model.stop_training = False
        watch.beside = self._callbacks
        # Callbacks of the user's may have ended the phase before too soon.
        begins = min(self._job.begins, watch.epochs)
        callbacks.on_train_begin()
        try:
            for epoch in range(watch.epochs, 0 if watch.ended else epochs):
                callbacks.on_epoch_begin(epoch)
                rates = None if self._rates is None else self._rates.of_epoch(epoch - begins)
                logs = self._train(epoch, watch.check, rates)
                callbacks.on_test_begin()
                validation = self._evaluate("validation", watch.check)
                callbacks.on_test_end(validation)
                callbacks.on_epoch_end(epoch, logs | {f"val_{name}": value for name, value in validation.items()})
                if self._model.stop_training:
                    break
        except Stopped as stopped:
            return stopped.reason
        finalize(self._model)
        callbacks.on_train_end()
        return watch.ended or "epochs"

    def _train(self, epoch: int, between: Callable[[float], None], rates: Array | None) -> dict[str, float]:
        seed, batch_size = self._job.seed, self._job.training.batch_size
        if self._dataset.batches is not None:
            return self._loop.train_fresh(self._fresh(epoch), batch_size, between, rates)
        training, window = self._dataset.training, self._dataset.info.window
        if is_on_disk(self._dataset) and window is not None:
            order = order_by_blocks(seed, epoch, training.x, in_whole_batches(window, batch_size))
        else:
            order = order_of(seed, epoch, len(training))
        return self._loop.train(order, batch_size, between, rates)

    def _fresh(self, epoch: int) -> Iterator[Weighted]:
        training, info = self._job.training, self._dataset.info
        for fresh in batches_of_epoch(self._dataset, training.batch_size, self._job.seed, epoch):
            yield fresh.x, fresh.y, weights_of(training.class_weight, fresh, info)

    def test(self, weights: list[Any]) -> Scored:
        for variable, value in zip(self._model.weights, weights, strict=True):
            # The variable's own `assign` would insist on the shape that a template was made with.
            variable.value.assign(value)
        return evaluated(self._dataset.info.extra_tests, lambda name: self._evaluate(name, lambda _: None))

    def _evaluate(self, name: str, between: Callable[[float], None]) -> dict[str, float]:
        found = self._loop.evaluate(name, between)
        if self._figures is not None and self._loop.outputs is not None:
            found |= self._figures(self._dataset.part(name).y, self._loop.outputs)
        return found
