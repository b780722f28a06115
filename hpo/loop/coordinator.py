"""The one loop: ask, hand out, listen, decide, tell, log. It alone writes Optuna's and MLflow's stores."""

import math
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any, Literal, Protocol

from hpo.config.experiment import Objective
from hpo.engines import Engine
from hpo.errors import Interrupted, StudyFailed, UserError
from hpo.loop.models_folder import drop_model
from hpo.loop.record import Record
from hpo.loop.silent_trials import Silence
from hpo.storage.writer import NotNow
from hpo.study.record import FOLD, Score, State, TrialRecord, ranked, score_of
from hpo.system.signals import Received, deferred
from hpo.training.messages import EndReason, EpochDone, Event, Failed, Finished, Job, Lost, Started, StopReason, cleaned

# How long a trial that was asked to stop may take to test itself, before its worker is ended.
_GRACE = 20.0
# How long the store is waited for after Ctrl-C.
_PARTING = 5.0
# The same where the run was told to end.
_LAST_GRACE = 2.0
# How often the loop looks at the clock and at Ctrl-C while no trial has anything to say.
_TICK = 0.2
# This many configurations in a row that fail for good with the same error end a study.
_SAME_FAILURES = 3
# Of configurations that make no model there may be many in a row, and each costs milliseconds.
_SAME_INVALID = 30
# Failures that say something of the configuration rather than of the code or the machine. They end a study only
# before anything has succeeded: a wide range of learning rates makes three divergences in a row no surprise.
_OF_CONFIGURATION = ("nonfinite", "invalid", "timeout")

Ending = Literal["done", "timeout", "target", "exhausted"]


class Observer(Protocol):
    """Whoever is told what happens: the tracker, the progress display."""

    def trial_started(self, record: TrialRecord) -> None:
        """A trial's model is built; its training begins."""

    def epoch_done(self, record: TrialRecord, epoch: int, metrics: Mapping[str, float]) -> None:
        """A trial finished an epoch."""

    def trial_ended(self, record: TrialRecord, best: TrialRecord | None) -> None:
        """A trial ended; `best` is the best of the study so far."""

    def trial_silent(self, record: TrialRecord, seconds: float, limit: float | None) -> None:
        """Nothing was heard of a trial for long; `limit` is when it would be ended, trial_timeout."""


@dataclass(frozen=True)
class Budget:
    """When a run of a study ends; None: no such limit."""

    trials: int | None
    """Configurations to begin."""
    deadline: float | None
    """By `time.monotonic`, seconds."""
    target: float | None
    """The objective's value."""
    trial_timeout: float | None
    """Seconds for one trial."""


@dataclass
class _Running:
    """A trial under way."""

    record: TrialRecord
    began: float
    save_to: str | None
    silence: Silence
    curves: dict[str, list[float]] = field(default_factory=dict)
    folds_ended: int = 0
    """Of k-fold cross-validation, how many folds the pruner was told of."""
    at_end: bool = False
    """Whether it trains no further; its test remains."""
    ended_by: EndReason | None = None
    """Why it does not, where it came to its own end: no stop that arrives later changes that."""
    stopping: StopReason | None = None
    asked_to_stop: float = 0.0


class Coordinator:
    """Trains what a record asks for, on an engine, until the budget is spent.

    `make_job` turns a trial's record and the best value so far into a job; `declare` is called with what a
    KerasTuner model declared beyond what was known.
    """

    def __init__(
        self,
        study: Record,
        engine: Engine,
        objective: Objective,
        budget: Budget,
        make_job: Callable[[TrialRecord, float | None], Job],
        declare: Callable[[Mapping[str, Any]], None],
        observers: tuple[Observer, ...],
    ) -> None:
        self._study = study
        self._engine = engine
        self._objective = objective
        self._budget = budget
        self._make_job = make_job
        self._declare = declare
        self._observers = observers
        self._running: dict[int, _Running] = {}
        ended = study.trials()
        self._best = next(iter(ranked(ended, objective)), None)
        self._same: list[str] = []
        self._hopeless: str | None = None
        self._succeeded = self._best is not None
        self._signals = Received()
        self._told_to_end = math.inf
        self._ending: Ending = "done"

    def run(self) -> Ending:
        """Runs the study; returns why it ended.

        Raises:
            StudyFailed: too many configurations in a row failed with the same error.
            Interrupted: by Ctrl-C or another signal to end, once: trials are stopped and given back; twice: at once.
            StoreAway: the store has been away for too long; what it had been told is kept.
            StudyBusy: another process has taken the study meanwhile.
        """
        with deferred() as self._signals:
            while True:
                put_off = not self._hand_out()
                if not self._running and not put_off:
                    break
                for event in self._engine.events(self._patience()):
                    self._handle(cleaned(event))
                self._check_clock()
                self._study.store.check()
            if self._signals:
                # Workers need not wait for the store and the tracker, which may have much to be told.
                self._engine.close()
            told = self._all_told()
        if self._signals:
            but = "" if told else ", but for those that the store did not take"
            rest = f"finished trials are kept{but}, the same command continues"
            raise Interrupted(f"interrupted; {rest}", self._signals.numbers[0])
        if self._hopeless:
            raise StudyFailed(f"{len(self._same)} configurations in a row failed with the same error: {self._hopeless}")
        return "exhausted" if self._ending == "done" and self._study.exhausted else self._ending

    def _all_told(self) -> bool:
        """Waits until the store has all that ended; after Ctrl-C not for long, and after another not at all."""
        began = time.monotonic()
        while not self._study.store.drain(_TICK):
            if len(self._signals) > 1 or (self._signals and time.monotonic() - began > _PARTING):
                return False
        return True

    def _hand_out(self) -> bool:
        """Hands out what there is place for; returns whether it could: not while the store is away."""
        while self._has_place() and not self._is_ending():
            try:
                record = self._study.ask(self._budget.trials)
            except NotNow:
                return False
            if record is None:
                return True
            if record.state == "failed":
                self._ended(record)
                continue
            try:
                job = self._make_job(record, self._best.value if self._best else None)
            except UserError as error:
                # Some combinations of values are impossible; the others go on.
                invalid: dict[str, Any] = {"state": "failed", "failure": "invalid", "error": str(error)}
                self._ended(self._study.end(replace(record, **invalid)))
                continue
            record = self._study.resolve(record, job.resolved)
            now = time.monotonic()
            self._running[record.number] = _Running(record, now, job.save_to, Silence(now))
            self._engine.submit(job)
        return True

    def _has_place(self) -> bool:
        """Whether a worker is free, or will be once its trial is tested: no worker waits for the database."""
        if not self._engine.takes_next:
            return len(self._running) < self._engine.workers
        at_end = [running for running in self._running.values() if running.at_end]
        if any(self._reached(score_of(running.curves, self._objective).value) for running in at_end):
            return False
        return len(self._running) - len(at_end) < self._engine.workers

    def _is_ending(self) -> bool:
        if self._budget.deadline is not None and time.monotonic() >= self._budget.deadline:
            self._ending = "timeout" if self._ending == "done" else self._ending
        if self._best is not None and self._reached(self._best.value):
            self._ending = "target"
        return self._ending != "done" or bool(self._signals) or self._hopeless is not None

    def _reached(self, value: float | None) -> bool:
        target, sign = self._budget.target, self._objective.sign
        return target is not None and value is not None and sign * (value - target) >= 0

    def _patience(self) -> float:
        left = (self._budget.deadline or math.inf) - time.monotonic()
        return min(_TICK, left) if left > 0 else _TICK

    def _check_clock(self) -> None:
        """Stops what runs over its time, and what the end of the study leaves no reason to run."""
        now, limit = time.monotonic(), self._budget.trial_timeout
        reason = self._reason_to_stop()
        if self._signals:
            self._told_to_end = min(self._told_to_end, now)
        for number, running in list(self._running.items()):
            if len(self._signals) > 1:
                self._kill(Finished(number, "interrupt", None))
            elif running.stopping is not None:
                if now - running.asked_to_stop > _GRACE or now - self._told_to_end > _LAST_GRACE:
                    self._kill(self._cut_short(running))
            elif reason is not None:
                self._stop(number, reason)
            elif limit is not None and now - running.began > limit:
                self._kill(Failed(number, "timeout", f"longer than trial_timeout, {limit:g} s"))
            elif (silent := running.silence.to_be_told(now)) is not None:
                for observer in self._observers:
                    observer.trial_silent(running.record, silent, limit)

    def _reason_to_stop(self) -> StopReason | None:
        if not self._is_ending():
            return None
        if self._signals or self._hopeless:
            return "interrupt"
        return "target" if self._ending == "target" else "deadline"

    def _kill(self, event: Finished | Failed) -> None:
        """Ends a trial that its engine does not end."""
        self._engine.kill(event.trial)
        self._end(event)

    def _cut_short(self, running: _Running) -> Finished:
        """The end of a trial whose worker is ended before it was tested and its model saved."""
        best_epoch = score_of(running.curves, self._objective).best_epoch
        # On Ctrl-C it is given back, to be tested when the study goes on.
        own = None if running.stopping == "interrupt" else running.ended_by
        ended = Finished(running.record.number, own or running.stopping or "interrupt", best_epoch)
        if best_epoch is None:
            return ended
        why = f"its worker did not finish within {_GRACE:g} s, and was stopped"
        return replace(ended, test_note=f"not tested: {why}", model_note=f"not saved: {why}")

    def _stop(self, number: int, reason: StopReason) -> None:
        running = self._running[number]
        running.stopping, running.asked_to_stop, running.at_end = reason, time.monotonic(), True
        self._engine.stop(number, reason)

    def _handle(self, event: Event) -> None:
        running = self._running.get(event.trial)
        if running is None:
            return
        running.silence.hear(time.monotonic())
        if isinstance(event, Started):
            if event.declared is not None:
                self._declare(event.declared)
            running.record = replace(running.record, model_parameters=event.model_parameters, note=event.note)
            for observer in self._observers:
                observer.trial_started(running.record)
        elif isinstance(event, EpochDone):
            self._epoch(running, event)
        else:
            if isinstance(event, Finished) and event.declared is not None:
                self._declare(event.declared)
            self._end(event)

    def _epoch(self, running: _Running, event: EpochDone) -> None:
        number = event.trial
        if infinite := [name for name, value in event.metrics.items() if not math.isfinite(value)]:
            self._kill(Failed(number, "nonfinite", f"{', '.join(infinite)} not finite in epoch {event.epoch}"))
            return
        for name, value in event.metrics.items():
            running.curves.setdefault(name, []).append(value)
        prune = self._report(running, event)
        if event.last:
            # Also where a stop is on its way, which then comes too late.
            running.at_end, running.ended_by = True, event.ended_by
        elif running.stopping is None:
            if prune:
                self._stop(number, "pruner")
            else:
                self._engine.proceed(number)
        for observer in self._observers:
            observer.epoch_done(running.record, event.epoch, event.metrics)

    def _report(self, running: _Running, event: EpochDone) -> bool:
        """Tells the pruner the objective after an epoch, or after a fold its mean so far; returns what it would do."""
        if FOLD not in event.metrics:
            return self._study.report(event.trial, event.epoch, event.metrics[self._objective.metric])
        if not event.fold_ended:
            return False
        running.folds_ended = int(event.metrics[FOLD])
        mean = score_of(running.curves, self._objective).value
        return mean is not None and self._study.report(event.trial, running.folds_ended, mean)

    def _end(self, event: Finished | Failed | Lost) -> None:
        running = self._running.pop(event.trial)
        record = self._study.end(self._result(running, event))
        if record.model_file is None and running.save_to is not None:
            # A worker that died or was ended may have left a file, or part of one, that it said nothing of.
            drop_model(Path(running.save_to))
        self._ended(record)

    def _ended(self, record: TrialRecord) -> None:
        if record.state == "failed":
            self._count_failure(record)
        else:
            self._same.clear()
            self._succeeded = True
        self._keep_best(record)
        for observer in self._observers:
            observer.trial_ended(record, self._best)

    def _result(self, running: _Running, event: Finished | Failed | Lost) -> TrialRecord:
        score = score_of(running.curves, self._objective)
        record = replace(running.record, curves=running.curves, best_epoch=score.best_epoch)
        if not isinstance(event, Finished):
            error = f"{event.message}\n\n{event.traceback}" if isinstance(event, Failed) else event.message
            return replace(record, state="failed", failure=event.reason, error=error.strip())
        if event.ended_by == "interrupt":
            return replace(record, state="failed", failure="interrupted", error="given back: the run was stopped")
        state: State = "complete" if event.ended_by in ("epochs", "early_stopping") else "pruned"
        if event.best_epoch is None or (state == "pruned" and score.fold_best_epochs):
            if state == "complete":
                return replace(record, state="failed", failure="error", error="the training ended without an epoch")
            # What remains is of the folds that the pruner was told of.
            score = Score(fold_best_epochs=score.fold_best_epochs[: running.folds_ended])
        test = {name: value for name, value in event.test.items() if math.isfinite(value)}
        return replace(
            record, state=state, ended_by=event.ended_by, test=test, model_file=event.model_file,
            test_note=event.test_note, model_note=event.model_note, **vars(score),
        )  # fmt: skip

    def _count_failure(self, record: TrialRecord) -> None:
        if self._study.will_run_again(record):
            return
        if record.failure in _OF_CONFIGURATION and self._succeeded:
            self._same.clear()
            return
        first_line = (record.error or "").splitlines()[0] if record.error else ""
        error = record.failure or "error"
        if record.failure in ("error", "invalid"):
            error = f"{error}: {first_line}"
        if self._same and self._same[-1] != error:
            self._same.clear()
        self._same.append(error)
        if len(self._same) >= (_SAME_INVALID if record.failure == "invalid" else _SAME_FAILURES):
            self._hopeless = error

    def _keep_best(self, record: TrialRecord) -> None:
        """Keeps the file of the best model alone."""
        if record.state == "failed" or record.value is None:
            return
        beaten = record
        if self._objective.better(record.value, self._best.value if self._best else None):
            beaten, self._best = self._best or record, record
        if beaten.model_file is not None and beaten is not self._best:
            drop_model(Path(beaten.model_file))
