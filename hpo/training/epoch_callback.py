"""The Keras callback that reports each epoch, keeps the best weights, and stops where it should."""

import math
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from types import MappingProxyType
from typing import Any, Literal

import keras
import numpy as np

from hpo.config.experiment import EarlyStopping
from hpo.config.score import Score
from hpo.errors import ModelError
from hpo.training import gpu_memory
from hpo.training.kept_weights import kept_weights
from hpo.training.messages import EndReason, EpochDone, Job, Line, Order

Leaving = EndReason | Order
"""Why training ends: the trial's end, or a pause."""


class Stopped(Exception):
    """The trial was asked to stop or to pause, or has come to its end."""

    def __init__(self, reason: Leaving) -> None:
        super().__init__(reason)
        self.reason: Leaving = reason


class Nonfinite(Exception):
    """A loss or metric became NaN or infinite."""


# Keras has no types.
class Watch(keras.callbacks.Callback):  # type: ignore[misc]
    """Reports epochs over a trial's line; early stopping, with the weights of the best objective kept.

    An epoch that is interrupted by a stop is dropped: neither reported nor a candidate for the best.
    """

    def __init__(self, job: Job, line: Line, kept: Callable[[], None] = lambda: None) -> None:
        """`kept` is called when an epoch has been reported: the state then is that of its end."""
        super().__init__()
        self._job = job
        self._line = line
        self._kept = kept
        self.best: Score | None = None
        """The objective at the best epoch."""
        self.best_weights: list[Any] = []
        """Those that `model.fit` would have left, had it ended with the best epoch: see `kept`."""
        self.beside: Sequence[keras.callbacks.Callback] = ()
        """The other callbacks of the training."""
        self.ended: EndReason | None = None
        """Why the last epoch was the last."""
        self.holds_back: Literal["each", "last"] | None = None
        """Which epochs are not sent before it is known what follows them: a fit of its own returns more about the last
        one, and a configuration that trains several times is scored at its end."""
        self._held: EpochDone | None = None
        self._unscored: Mapping[str, float] | None = None
        self._epoch = 0
        self._reported = False
        self._reference: Score | None = None
        self._waited = 0
        self._began = time.perf_counter()

    @property
    def trial(self) -> int:
        """The number of the trial."""
        return self._job.trial

    @property
    def epochs(self) -> int:
        """The epochs so far, those before a pause included."""
        return self._epoch

    def state(self) -> dict[str, Any]:
        """What it has counted and seen so far; the best weights are the caller's to keep."""
        best = None if self.best is None else [self.best.value, self.best.epoch]
        reference = None if self._reference is None else self._reference.value
        return {
            "epoch": self._epoch, "best": best, "reference": reference, "waited": self._waited, "ended": self.ended,
        }  # fmt: skip

    def resume(self, state: Mapping[str, Any]) -> None:
        """Goes on from a state."""
        objective, stopping = self._job.objective, self._job.training.early_stopping
        self._epoch, self._waited, self.ended = state["epoch"], state["waited"], state["ended"]
        self.best = None if state["best"] is None else objective.score(*state["best"])
        if stopping is not None and state["reference"] is not None:
            self._reference = (stopping.monitor or objective).score(state["reference"])
        if self.ended == "epochs" and self._epoch < self._job.training.epochs:
            self.ended = None

    def on_epoch_begin(self, epoch: int, logs: Any = None) -> None:
        """Starts the clock of the epoch."""
        self._refuse_to_go_on()
        self.check(0.0)
        self._send_held()
        self._began = time.perf_counter()

    def on_train_batch_end(self, batch: int, logs: Any = None) -> None:
        """Looks up after each batch of Keras's own loop."""
        self.check((logs or {}).get("loss", 0.0))

    def on_test_batch_end(self, batch: int, logs: Any = None) -> None:
        """Looks up within the validation."""
        self.check(0.0)

    def check(self, loss: float) -> None:
        """Stops within the epoch, when asked or when the loss so far is lost."""
        if reason := self._line.stop_reason():
            raise Stopped(reason)
        if not math.isfinite(float(loss)):
            raise Nonfinite(f"loss is {float(loss)} in epoch {self._epoch + 1}")

    def on_epoch_end(self, epoch: int, logs: Any = None) -> None:
        """Reports the epoch, once the verdict on the one before is known: training did not wait for it."""
        self.end_epoch(epoch, logs, None)

    def end_epoch(self, epoch: int, logs: Any, seconds: float | None) -> None:
        """The same; `seconds`: how long it took, if that is not the time since it began."""
        self._refuse_to_go_on()
        self.check(0.0)
        self._send_held()
        if self._reported and (reason := self._line.verdict()):
            raise Stopped(reason)
        metrics = _numbers(logs or {})
        if self.holds_back == "each" and self._job.objective.metric not in metrics:
            # What the fit returns has it.
            self._unscored = metrics
            return
        # Keras counts from zero, and a user's own fit may call model.fit several times.
        self._epoch += 1
        if (rate := _rate_of(self.model.optimizer)) is not None:
            metrics.setdefault("learning_rate", rate)
        metrics["seconds"] = time.perf_counter() - self._began if seconds is None else seconds
        bad = [f"{name} is {value}" for name, value in metrics.items() if not math.isfinite(value)]
        if bad:
            raise Nonfinite(f"{', '.join(bad)} after epoch {self._epoch}")
        self._judge(metrics)
        if self.ended is None and self._epoch >= self._job.training.epochs:
            self.ended = "epochs"
        last = self.ended is not None
        done = EpochDone(self._job.trial, self._epoch, metrics, last, self.ended, gpu_memory=gpu_memory.peak())
        if self.holds_back == "each" or (self.holds_back == "last" and last):
            self._held = done
        else:
            self._send(done)
            self._kept()
        if self.ended:
            self.model.stop_training = True

    def returned(
        self, value: float | None, model: keras.Model, metrics: Mapping[str, float] = MappingProxyType({})
    ) -> None:
        """What a fit of its own, which has ended, came to as the objective; None: what its epochs say.

        `metrics`: all that it returned, of which the last epoch takes those that it did not log.

        Raises:
            Nonfinite: it is not finite.
            ModelError: there is no score at all.
        """
        objective, score = self._job.objective, None
        if value is not None and not math.isfinite(value):
            raise Nonfinite(f"{objective.metric} is {value}, as its fit returns it")
        if self.best is None:
            # One step: all that was trained leads to this score.
            logs = dict(self._unscored or {})
            value = logged(logs, objective.metric, "objective") if value is None else value
            self._epoch, self.best = 1, objective.score(value, 1)
            self.best_weights = kept_weights(model, self.beside)
            logs |= {objective.metric: value, "seconds": time.perf_counter() - self._began}
            self._held = EpochDone(self._job.trial, 1, logs, gpu_memory=gpu_memory.peak())
        elif value is not None and not math.isclose(value, self.best.value, rel_tol=1e-6, abs_tol=1e-12):
            self.best, score = replace(self.best, value=value), value
        self.ended = self.ended or "epochs"
        assert self._held is not None
        all_metrics = {**metrics, **self._held.metrics}
        self._held = replace(self._held, metrics=all_metrics, last=True, ended_by=self.ended, score=score)

    def send_last(self, score: float | None = None) -> None:
        """Sends the epoch that was held back; `score`: that of the trial, if it is another than the watch's best."""
        if self._held is not None and score is not None:
            self._held = replace(self._held, score=score)
        self._send_held()

    def _send_held(self) -> None:
        held, self._held = self._held, None
        if held is not None:
            self._send(held)

    def _send(self, done: EpochDone) -> None:
        self._line.emit(done)
        self._reported = True

    def _refuse_to_go_on(self) -> None:
        """Ends a user's own fit that trains on after its last epoch: a loop of its own, or a second model.fit."""
        if self.ended:
            raise Stopped(self.ended)

    def _judge(self, metrics: Mapping[str, float]) -> None:
        objective, stopping = self._job.objective, self._job.training.early_stopping
        validated = {name: value for name, value in metrics.items() if name.startswith("val_")}
        value = logged(validated, objective.metric, "objective")
        score = objective.score(value, self._epoch)
        if score.better_than(self.best):
            self.best = score
            self.best_weights = kept_weights(self.model, self.beside)
        if stopping is not None and self._stalls(stopping, metrics):
            self.ended = "early_stopping"

    def _stalls(self, stopping: EarlyStopping, metrics: Mapping[str, float]) -> bool:
        """Whether the metric has not improved for too long, by the rules of keras.callbacks.EarlyStopping."""
        watched = stopping.monitor or self._job.objective
        score = watched.score(logged(metrics, watched.metric, "early_stopping.monitor"))
        self._waited += 1
        if not score.better_than(self._reference, by=stopping.min_delta):
            return self._waited >= stopping.patience
        self._reference = score
        baseline = None if stopping.baseline is None else watched.score(stopping.baseline)
        if score.better_than(baseline, by=stopping.min_delta):
            self._waited = 0
        return False


def logged(metrics: Mapping[str, float], name: str, key: str) -> float:
    """The value of a metric that a key of the experiment names.

    Raises:
        ModelError: there is no such metric.
    """
    if name not in metrics:
        valid = ", ".join(sorted({*metrics} - {"seconds"}))
        raise ModelError(f"{key}: the model has no metric {name}; valid: {valid or 'none, it does not validate'}")
    return metrics[name]


def _rate_of(optimizer: Any) -> float | None:
    """The learning rate; None for an optimizer that has none of its own, such as one around several others."""
    try:
        return float(optimizer.learning_rate)
    except (AttributeError, TypeError, ValueError):
        return None


def _numbers(logs: Mapping[str, Any]) -> dict[str, float]:
    for name, value in logs.items():
        if np.size(value) != 1:
            raise ModelError(f"metric {name} must be one number, got {np.size(value)}; give it an average")
    return {name: float(value) for name, value in logs.items()}
