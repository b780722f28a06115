"""A running trial: its epochs so far, when it last sent an event, and its record when it ends."""

import math
from collections.abc import Sequence
from dataclasses import dataclass, field, replace

from hpo.config.experiment import Objective
from hpo.config.score import Score
from hpo.loop.earlier_epochs import earlier_epochs
from hpo.loop.silent_trials import Silence
from hpo.study.failure import Failure
from hpo.study.record import Reached, State, TrialRecord, failed
from hpo.training.messages import EndReason, EpochDone, Failed, Finished, Job, Lost, StopReason


@dataclass
class RunningTrial:
    """A running trial. Times are by `time.monotonic`."""

    record: TrialRecord
    objective: Objective
    began: float
    silence: Silence
    curves: dict[str, list[float]] = field(default_factory=dict)
    fold_lengths: list[int] = field(default_factory=list)
    """With k-fold cross-validation: the number of epochs of each fold that was begun."""
    folds_ended: int = 0
    """With k-fold cross-validation: the number of folds that were finished."""
    at_end: bool = False
    """Whether its training has ended; its test remains."""
    ended_by: EndReason | None = None
    """Why its training ended, if by itself: a stop that arrives later does not change that."""
    stopping: StopReason | None = None
    """Why it was asked to stop."""
    asked_to_stop: float = math.inf
    job: Job | None = None
    """What its worker was given."""
    trains_through: bool = False
    """Whether it cannot pause."""
    pausing: bool = False
    """Whether it was asked to pause."""
    seconds: float = 0.0
    """The time of its epochs so far."""
    with_workers: float | None = None
    """Seconds for which workers had it until its last pause; None if it never paused."""
    earlier: Sequence[EpochDone] = ()
    """Its epochs in an earlier attempt, if it goes on from there."""

    @classmethod
    def of(cls, record: TrialRecord, objective: Objective, now: float, job: Job) -> "RunningTrial":
        """A trial that is handed out; if an earlier run paused it, with the epochs that it had then."""
        running = cls(record, objective, now, Silence(now), job=job)
        running.with_workers = record.trained_seconds
        running.earlier = earlier_epochs(job.resume, record.number)
        if record.curves and job.resume is not None and not running.earlier:
            running.curves = {name: list(curve) for name, curve in record.curves.items()}
            running.fold_lengths = list(record.fold_lengths)
            # A trial pauses at the end of a fold.
            running.folds_ended = len(running.fold_lengths)
            running.seconds = sum(running.curves.get("seconds", ()))
        return running

    @property
    def epochs(self) -> int:
        """The epochs that it has finished."""
        return max(map(len, self.curves.values()), default=0)

    @property
    def score(self) -> Score | None:
        """Its score so far; None before its first epoch."""
        return self.objective.score_of(self.curves, self.fold_lengths)

    def take_epoch(self, event: EpochDone) -> Reached | None:
        """Adds an epoch; returns what to report to the study, or None.

        The value is the objective after the epoch. With folds it is the mean over the folds so far after each fold, and
        there is none within a fold.
        """
        for name, value in event.metrics.items():
            self.curves.setdefault(name, []).append(value)
        self.seconds += event.metrics.get("seconds", 0.0)
        if event.last:
            # This holds even if a stop is on its way, which then comes too late.
            self.at_end, self.ended_by = True, event.ended_by
        if event.fold is None:
            return Reached(event.epoch, event.metrics[self.objective.metric], self.seconds)
        self.fold_lengths[event.fold.fold - 1 :] = [event.fold.epoch]
        if not event.fold.last or (score := self.score) is None:
            return None
        self.folds_ended = event.fold.fold
        return Reached(self.folds_ended, score.value, self.seconds)

    def pause(self) -> None:
        """Remembers that the trial was asked to pause: its worker takes another one."""
        self.pausing = self.at_end = True

    def paused(self, now: float) -> None:
        """The trial has paused."""
        self.with_workers, self.pausing = self.age(now), False

    def go_on(self, now: float) -> None:
        """The trial goes on, on any worker."""
        self.at_end, self.ended_by, self.stopping = False, None, None
        self.began, self.silence = now, Silence(now)

    def left(self, now: float) -> None:
        """The trial has ended while a worker had it."""
        if self.with_workers is not None:
            self.with_workers = self.age(now)

    def age(self, now: float) -> float:
        """The seconds for which workers have had it, without its pauses."""
        return (self.with_workers or 0.0) + now - self.began

    def start_over(self) -> None:
        """The trial begins with its first epoch again."""
        self.curves.clear()
        self.fold_lengths.clear()
        self.folds_ended, self.seconds = 0, 0.0

    def stop(self, reason: StopReason, now: float) -> None:
        """Remembers that the trial was asked to stop."""
        self.stopping, self.asked_to_stop, self.at_end = reason, now, True

    def cut_short(self, seconds: float) -> Finished:
        """The end of a trial whose worker is ended before the test and the saving; `seconds`: how long it was given."""
        score = self.score
        # After Ctrl-C it counts as interrupted: the next run trains and tests it.
        own = None if self.stopping == "interrupt" else self.ended_by
        ended = Finished(self.record.number, own or self.stopping or "interrupt", score.epoch if score else None)
        if score is None:
            return ended
        why = f"its worker did not finish within {seconds:g} s, and was stopped"
        return replace(ended, test_note=f"not tested: {why}", model_note=f"not saved: {why}")

    def so_far(self) -> TrialRecord:
        """Its record while it is paused."""
        # Copies: what is written later, and by another thread, is not to grow.
        curves, lengths = {name: list(curve) for name, curve in self.curves.items()}, tuple(self.fold_lengths)
        return replace(self.record, curves=curves, fold_lengths=lengths, trained_seconds=self.with_workers)

    def result(self, event: Finished | Failed | Lost) -> TrialRecord:
        """The record of the trial that ended with this event."""
        score, lengths = self.score, tuple(self.fold_lengths)
        record = replace(self.so_far(), best_epoch=score.epoch if score else None)
        if isinstance(event, Failed):
            return failed(record, Failure(event.reason, event.message, event.traceback))
        if isinstance(event, Lost):
            return failed(record, Failure(event.reason, event.message, event.printed))
        if event.ended_by == "interrupt":
            return failed(record, Failure("interrupted", "given back: the run was stopped"))
        state: State = "complete" if event.ended_by in ("epochs", "early_stopping") else "pruned"
        if state == "complete" and (event.best_epoch is None or score is None):
            return failed(record, Failure("error", "the training ended without an epoch"))
        if event.best_epoch is None or score is None or (state == "pruned" and lengths):
            # A mean over fewer than all folds is no score. The folds whose means were reported to the pruner are kept.
            ends = score.fold_epochs[: self.folds_ended] if score else ()
            record = replace(record, value=None, best_epoch=None, fold_best_epochs=ends)
        else:
            record = record.scored(score)
        test = {name: value for name, value in event.test.items() if math.isfinite(value)}
        return replace(
            record, state=state, ended_by=event.ended_by, test=test, model_file=event.model_file,
            test_note=event.test_note, model_note=event.model_note,
        )  # fmt: skip
