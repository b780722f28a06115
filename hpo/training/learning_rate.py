"""How the learning rate moves while a model trains: schedules after a linear warm-up, or smaller once it stalls."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import keras
import numpy as np

from hpo.config.experiment import Objective, Schedule, TrainingSpec
from hpo.config.training_rules import has_schedule
from hpo.data.dataset import Array
from hpo.errors import ModelError
from hpo.models import InvalidModel
from hpo.training.epoch_callback import logged


@dataclass(frozen=True)
class Rates:
    """The learning rate of each step.

    It rises linearly from 0 over the warm-up, as that of keras.optimizers.schedules.CosineDecay does (Goyal et al.
    2017, section 2.2), and then goes the way of one of Keras's schedules.
    """

    initial: float
    """Once warm."""
    warmup: int
    """Steps."""
    decay: keras.optimizers.schedules.LearningRateSchedule | None
    """From the end of the warm-up on; None: constant."""
    steps: int
    """Of an epoch."""

    def of_epoch(self, epoch: int) -> Array:
        """The rates of an epoch, counted from 0 where the schedule begins; shape (steps,), float32."""
        step = np.arange(epoch * self.steps, (epoch + 1) * self.steps)
        warm = np.maximum(step - self.warmup, 0)
        rate = self.initial if self.decay is None else np.asarray(self.decay(warm))
        return np.where(step < self.warmup, self.initial * step / max(self.warmup, 1), rate).astype(np.float32)


def rates_of(training: TrainingSpec, model: keras.Model, steps: int, begins: int = 0) -> Rates | None:
    """The rates of a compiled model, from the one that its optimizer has; None where the section has no schedule.

    `begins`: the epochs before the schedule begins, of those that the section has.

    Raises:
        InvalidModel: the model brings a schedule of its own.
    """
    schedule = training.schedule
    if schedule is None or not has_schedule(training):
        return None
    initial = _rate_of(model, "schedule")
    decay = decay_of(schedule, initial, training.epochs - begins, steps)
    return Rates(initial, round(schedule.warmup_epochs * steps), decay, steps)


def decay_epochs_of(schedule: Schedule, epochs: int) -> float:
    """The epochs of `Schedule.decay_epochs`, or what they are where not given."""
    if schedule.decay_epochs is not None:
        return schedule.decay_epochs
    return 1.0 if schedule.name == "exponential" else max(epochs - schedule.warmup_epochs, 0.0)


def decay_of(
    schedule: Schedule, initial: float, epochs: int, steps: int
) -> keras.optimizers.schedules.LearningRateSchedule | None:
    """Keras's schedule for what follows the warm-up; None where the rate stays."""
    count = max(1, round(decay_epochs_of(schedule, epochs) * steps))
    known = keras.optimizers.schedules
    if schedule.name in ("exponential", "step"):
        return known.ExponentialDecay(initial, count, schedule.decay_rate, staircase=schedule.name == "step")
    final = schedule.final or 0.0
    if schedule.name == "cosine":
        return known.CosineDecay(initial, count, alpha=final)
    if schedule.name == "polynomial":
        return known.PolynomialDecay(initial, count, end_learning_rate=initial * final, power=schedule.power or 1.0)
    return None


def _rate_of(model: keras.Model, key: str) -> float:
    # One around several others has no rate of its own.
    rate = getattr(model.optimizer, "learning_rate", None)
    if rate is None:
        raise InvalidModel(f"{key}: the model's own code gives it an optimizer without a learning rate")
    if not isinstance(rate, keras.Variable):
        raise InvalidModel(f"{key}: the model's own code gives its optimizer a learning-rate schedule already")
    return float(rate)


class Scheduled(keras.callbacks.Callback):  # type: ignore[misc]
    """Sets the learning rate before each step of Keras's own loop."""

    def __init__(self, training: TrainingSpec, begins: int) -> None:
        super().__init__()
        self._training = training
        self._begins = begins
        self._rates: Rates | None = None
        self._of_epoch: Array = np.zeros(0, np.float32)
        self._step = 0

    def on_train_begin(self, logs: Any = None) -> None:
        """Asks Keras how many steps there are to an epoch."""
        if self._rates is None and (steps := self.params.get("steps")):
            self._rates = rates_of(self._training, self.model, steps, self._begins)

    def on_train_batch_begin(self, batch: int, logs: Any = None) -> None:
        """Sets the rate of the step.

        Raises:
            ModelError: the steps of an epoch are not known.
        """
        if self._rates is None:
            raise ModelError(
                "schedule: the steps of an epoch are not known; a tf.data pipeline tells them after "
                ".apply(tf.data.experimental.assert_cardinality(n))"
            )
        epoch, index = divmod(self._step, self._rates.steps)
        if index == 0:
            self._of_epoch = self._rates.of_epoch(epoch)
        self.model.optimizer.learning_rate = self._of_epoch[index]
        self._step += 1

    def on_epoch_end(self, epoch: int, logs: Any = None) -> None:
        """Refuses a loop of the user's own that trained past it.

        Raises:
            ModelError: no step was told.
        """
        if self._step == 0:
            raise ModelError("schedule: the model's own fit must call on_train_batch_begin of its callbacks")


class Plateau(keras.callbacks.ReduceLROnPlateau):  # type: ignore[misc]
    """Keras's own, which fails where there is no such metric, and can go on from a state."""

    _resumed: Mapping[str, Any] | None = None

    def state(self) -> dict[str, Any]:
        """What it has counted and seen; the rate is a variable of the optimizer's."""
        best = None if self.best is None else float(self.best)
        return {"wait": self.wait, "cooldown_counter": self.cooldown_counter, "best": best}

    def resume(self, state: Mapping[str, Any]) -> None:
        """Goes on from a state, once training begins."""
        self._resumed = state

    def on_train_begin(self, logs: Any = None) -> None:
        """Begins to count."""
        super().on_train_begin(logs)
        for name, value in (self._resumed or {}).items():
            setattr(self, name, value)

    def on_epoch_end(self, epoch: int, logs: Any = None) -> None:
        """Reduces the learning rate, if it is time."""
        logged(logs or {}, self.monitor, "reduce_on_plateau.monitor")
        super().on_epoch_end(epoch, logs)


def schedules(training: TrainingSpec, model: keras.Model, begins: int) -> list[Scheduled]:
    """The callback that sets the learning rate in Keras's own loop, if it is to move from step to step.

    `begins`: the epochs before the schedule begins.

    Raises:
        InvalidModel: the model brings a schedule of its own.
    """
    if not has_schedule(training):
        return []
    _rate_of(model, "schedule")
    return [Scheduled(training, begins)]


def reductions(training: TrainingSpec, objective: Objective, model: keras.Model) -> list[Plateau]:
    """The callback that reduces the learning rate, if one is wanted.

    Raises:
        InvalidModel: the model brings a schedule of its own.
    """
    spec = training.reduce_on_plateau
    if spec is None:
        return []
    _rate_of(model, "reduce_on_plateau")
    watched = spec.monitor or objective
    return [
        Plateau(
            monitor=watched.metric,
            mode=watched.mode,
            factor=spec.factor,
            patience=spec.patience,
            min_delta=spec.min_delta,
            cooldown=spec.cooldown,
            min_lr=spec.min_learning_rate,
        )
    ]
