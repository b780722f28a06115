"""The Keras callback that reports each epoch, keeps the best weights, and stops where it should."""

import math
import time
from typing import Any

import keras

from hpo.training.messages import EpochDone, Job, Line, StopReason


class Stopped(Exception):
    """The trial was asked to stop."""

    def __init__(self, reason: StopReason) -> None:
        super().__init__(reason)
        self.reason: StopReason = reason


class Nonfinite(Exception):
    """A loss or metric became NaN or infinite."""


# Keras has no types.
class Watch(keras.callbacks.Callback):  # type: ignore[misc]
    """Reports epochs over a trial's line; early stopping on the objective, with the best weights kept.

    An epoch that is interrupted by a stop is dropped: neither reported nor a candidate for the best.
    """

    def __init__(self, job: Job, line: Line) -> None:
        super().__init__()
        self._job = job
        self._line = line
        self.best: float | None = None
        self.best_epoch: int | None = None
        self.best_weights: list[Any] = []
        self.ended_early = False
        self._epoch = 0
        self._reference: float | None = None
        self._waited = 0
        self._began = time.perf_counter()

    def on_epoch_begin(self, epoch: int, logs: Any = None) -> None:
        """Starts the clock of the epoch."""
        self._began = time.perf_counter()

    def on_train_batch_end(self, batch: int, logs: Any = None) -> None:
        """Stops within the epoch, when asked or when the loss is lost."""
        if reason := self._line.stop_reason():
            raise Stopped(reason)
        loss = (logs or {}).get("loss")
        if loss is not None and not math.isfinite(float(loss)):
            raise Nonfinite(f"loss is {float(loss)} in epoch {self._epoch + 1}, batch {batch + 1}")

    def on_test_batch_end(self, batch: int, logs: Any = None) -> None:
        """Stops within the validation."""
        if reason := self._line.stop_reason():
            raise Stopped(reason)

    def on_epoch_end(self, epoch: int, logs: Any = None) -> None:
        """Reports the epoch, then waits for the verdict."""
        # Keras counts from zero, and a user's own fit may call model.fit several times.
        self._epoch += 1
        metrics = {name: float(value) for name, value in (logs or {}).items()}
        metrics.setdefault("learning_rate", float(self.model.optimizer.learning_rate))
        metrics["seconds"] = time.perf_counter() - self._began
        bad = [f"{name} is {value}" for name, value in metrics.items() if not math.isfinite(value)]
        if bad:
            raise Nonfinite(f"{', '.join(bad)} after epoch {self._epoch}")
        if self._job.objective.metric not in metrics:
            raise KeyError(
                f"objective {self._job.objective.metric} is not among the metrics: {', '.join(sorted(metrics))}"
            )
        self._judge(metrics[self._job.objective.metric])
        self._line.emit(EpochDone(self._job.trial, self._epoch, metrics))
        if self.ended_early:
            self.model.stop_training = True
        elif self._epoch < self._job.training.epochs and (reason := self._line.verdict()):
            raise Stopped(reason)

    def _judge(self, value: float) -> None:
        objective, stopping = self._job.objective, self._job.training.early_stopping
        if objective.better(value, self.best):
            self.best, self.best_epoch = value, self._epoch
            self.best_weights = self.model.get_weights()
        if stopping is None:
            return
        if objective.better(value, self._reference, by=stopping.min_delta):
            self._reference, self._waited = value, 0
        else:
            self._waited += 1
            self.ended_early = self._waited >= stopping.patience
