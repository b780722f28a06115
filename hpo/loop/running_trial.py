"""A running trial: its epochs so far, when it last sent an event, and its record when it ends."""

import math
import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field, replace

from hpo.config.experiment import Objective
from hpo.config.score import Score
from hpo.loop.earlier_epochs import earlier_epochs
from hpo.loop.silent_trials import Silence
from hpo.study.failure import Failure
from hpo.study.record import Reached, State, TrialRecord, failed
from hpo.training.messages import EndReason, EpochDone, Failed, Finished, Job, Lost, Paused, StopReason


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
    trained: float | None = None
    """When its training ended."""
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
    first: int | None = None
    """Of trials that one worker was given together: the first of them."""
    together: int = 1
    """How many trials share the time of its worker."""
    started: bool = False
    """Whether its training has begun."""
    since: float | None = None
    """Since when a worker has it, in seconds since 1970; None while it is paused."""
    legs: list[tuple[float, float, int]] = field(default_factory=list)
    """Its time with workers until now; see `TrialRecord`."""
    earlier: Sequence[EpochDone] = ()
    """Its epochs in an earlier attempt, if it goes on from there."""
    own_score: float | None = None
    """Its score, where its worker said that this is not the objective's best value."""

    @classmethod
    def of(cls, record: TrialRecord, objective: Objective, now: float, job: Job) -> "RunningTrial":
        """A trial that is handed out; if an earlier run paused it, with the epochs that it had then."""
        running = cls(record, objective, now, Silence(now), job=job)
        running.with_workers, running.since, running.legs = record.trained_seconds, time.time(), list(record.legs)
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
    def longest_epoch(self) -> float:
        """The seconds of its longest epoch so far; 0 where they are not known."""
        return max(self.curves.get("seconds", ()), default=0.0)

    @property
    def score(self) -> Score | None:
        """Its score so far; None before its first epoch."""
        score = self.objective.score_of(self.curves, self.fold_lengths)
        return score if score is None or self.own_score is None else replace(score, value=self.own_score)

    def take_epoch(self, event: EpochDone) -> Reached | None:
        """Adds an epoch; returns what to report to the study, or None.

        The value is the objective after the epoch. With folds it is the mean over the folds so far after each fold, and
        there is none within a fold.
        """
        for name, value in event.metrics.items():
            self.curves.setdefault(name, []).append(value)
        self.seconds += event.metrics.get("seconds", 0.0)
        self.own_score = event.score
        if event.gpu_memory is not None:
            self.record = replace(self.record, gpu_memory=max(event.gpu_memory, self.record.gpu_memory or 0))
        if event.last:
            # This holds even if a stop is on its way, which then comes too late.
            self.ended_by = event.ended_by
            self.train_no_more(time.monotonic())
        if event.fold is None:
            return Reached(event.epoch, event.metrics[self.objective.metric], self.seconds)
        self.fold_lengths[event.fold.fold - 1 :] = [event.fold.epoch]
        if not event.fold.last or (score := self.score) is None:
            return None
        self.folds_ended = event.fold.fold
        return Reached(self.folds_ended, score.value, self.seconds)

    def catch_up(self, epochs: int) -> Iterator[tuple[EpochDone, Reached | None]]:
        """Its epochs in an earlier attempt or run, as far as it goes on after them; and what the study is to learn."""
        earlier, self.earlier = self.earlier[:epochs], ()
        for one in earlier:
            yield one, self.take_epoch(one) if one.epoch > self.epochs else None

    def pause(self) -> None:
        """Remembers that the trial was asked to pause: its worker takes another one."""
        self.pausing = self.at_end = True

    def train_no_more(self, now: float) -> None:
        """Its training has ended, or is about to; its test remains."""
        self.at_end, self.trained = True, now

    def paused(self, now: float) -> None:
        """The trial has paused."""
        self.with_workers, self.pausing = self.age(now), False
        self._end_leg()

    def go_on(self, now: float) -> None:
        """The trial goes on, on any worker."""
        self.at_end, self.trained, self.ended_by, self.stopping = False, None, None, None
        self.began, self.silence, self.since = now, Silence(now), time.time()

    def paused_by(self, event: Finished | Failed | Lost) -> Paused | None:
        """Whether its end counts as a pause: it can pause, has come to a score, and was interrupted by the user.

        The next run goes on from the checkpoint that its worker has left.
        """
        policy = self.job.checkpoints if self.job else None
        # Without pauses only a trial that goes on from an earlier run has a record to fall back on.
        may_pause = policy is not None and (policy.pauses or bool(self.record.curves))
        can_pause = may_pause and not self.trains_through
        if not can_pause or not isinstance(event, Finished) or event.ended_by != "interrupt":
            return None
        # What has trained to its own end, and was interrupted in its test, is to be tested.
        return Paused(event.trial, self.epochs, None) if self.epochs and self.ended_by is None else None

    def left(self, now: float) -> None:
        """The trial has ended while a worker had it."""
        if self.with_workers is not None:
            self.with_workers = self.age(now)
        elif self.first is not None:
            # The worker had others beside it, or before it.
            self.with_workers = self.seconds
        self._end_leg()

    def _end_leg(self) -> None:
        if self.since is not None:
            self.legs.append((round(self.since, 2), round(time.time(), 2), self.epochs))
        self.since = None

    def waits(self, now: float) -> None:
        """The worker, which was given several, sent an event of one of them."""
        self.silence.hear(now)
        if not self.started:
            self.began = now

    def age(self, now: float) -> float:
        """The seconds for which workers have had it, without its pauses."""
        return (self.with_workers or 0.0) + now - self.began

    def late(self, now: float, limit: float) -> Failed | None:
        """Its end, if it takes longer than `limit` seconds of a worker, which trials that train together share.

        One of several that has no epoch yet may only have waited for the others: it is lost, and trained again alone.
        """
        if self.age(now) <= limit * self.together:
            return None
        message = f"longer than trial_timeout, {limit:g} s"
        if self.first is not None and not self.epochs:
            return Failed(self.record.number, "lost", f"no epoch yet, beside other seeds that took {message}")
        return Failed(self.record.number, "timeout", message)

    def start_over(self) -> None:
        """The trial begins with its first epoch again."""
        self.curves.clear()
        self.fold_lengths.clear()
        self.folds_ended, self.seconds = 0, 0.0

    def stop(self, reason: StopReason, now: float) -> None:
        """Remembers that the trial was asked to stop."""
        self.stopping, self.asked_to_stop = reason, now
        self.train_no_more(now)

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
        record = replace(self.record, curves=curves, fold_lengths=lengths, trained_seconds=self.with_workers)
        record = replace(record, legs=tuple(self.legs))
        if (score := self.score) is None:
            return record
        # A mean over fewer than all folds is no score. The folds whose means were reported are kept.
        ends = score.fold_epochs[: self.folds_ended]
        return replace(record, fold_best_epochs=ends) if lengths else record.scored(score)

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
            ends = score.fold_epochs[: self.folds_ended] if score else ()
            record = replace(record, value=None, best_epoch=None, fold_best_epochs=ends)
        else:
            record = record.scored(score)
        test = {name: value for name, value in event.test.items() if math.isfinite(value)}
        several = self.job is not None and self.job.training.trainings > 1
        executions = (event.executions or 0) if several else None
        return replace(
            record, state=state, ended_by=event.ended_by, test=test, model_file=event.model_file,
            test_note=event.test_note, model_note=event.model_note, executions=executions,
        )  # fmt: skip
