"""The one loop: ask, hand out, listen, decide, record, log. Only it writes the stores of Optuna and MLflow."""

import math
import time
from collections.abc import Callable, Sequence
from dataclasses import replace

from hpo.config.experiment import Objective
from hpo.config.score import Score
from hpo.engines import Engine
from hpo.errors import StudyFailed, UserError
from hpo.loop.best_ended import BestEnded
from hpo.loop.budget import Budget, Ending
from hpo.loop.interrupted import interrupted, written_at_last
from hpo.loop.observer import Observer
from hpo.loop.paused_trials import PausedTrials
from hpo.loop.record import Record
from hpo.loop.running_trial import RunningTrial
from hpo.loop.running_trials import RunningTrials, together
from hpo.loop.same_failures import SameFailures
from hpo.loop.time_to_end import LAST_GRACE, TimeToEnd
from hpo.storage.writer import NotNow
from hpo.study.failure import Failure
from hpo.study.record import TrialRecord, best_trial, failed
from hpo.system.signals import Received, deferred
from hpo.training.clean_events import cleaned
from hpo.training.messages import EpochDone, Event, Failed, Finished, Job, Lost, Paused, Started, StopReason

# How often the loop looks at the clock and at Ctrl-C while no trial sends an event, in seconds.
_TICK = 0.2


class Coordinator:
    """Trains the trials of a record on an engine, until the budget is spent.

    `make_job` turns a trial's record and the best score so far into a job.
    """

    def __init__(
        self,
        study: Record,
        engine: Engine,
        objective: Objective,
        budget: Budget,
        make_job: Callable[[TrialRecord, Score | None], Job],
        observers: tuple[Observer, ...],
        beside: Callable[[TrialRecord], Sequence[TrialRecord]] = lambda record: (),
    ) -> None:
        """`beside`: begins the trials that a worker is given together with a trial."""
        self._beside = beside
        self._study = study
        self._engine = engine
        self._objective = objective
        self._budget = budget
        self._make_job = make_job
        self._observers = observers
        self._running = RunningTrials()
        self._paused = PausedTrials()
        self._times = TimeToEnd(time.monotonic())
        self._best = BestEnded(study, objective)
        self._failures = SameFailures(best_trial(study.trials(), objective) is not None)
        self._signals = Received()
        self._told_to_end = math.inf
        self._ending: Ending = "done"

    def run(self) -> Ending:
        """Runs the study; returns why it ended.

        Raises:
            StudyFailed: too many configurations in a row failed with the same error.
            Interrupted: Ctrl-C or another signal; the next run goes on with running trials. A second one kills them.
            StoreAway: the store has been away for too long; what was written before is kept.
            StudyBusy: another process has taken the study meanwhile.
        """
        with deferred() as self._signals:
            for record in [one for one in self._study.trials() if one.state == "running"]:
                self._take_over(record)
            while True:
                put_off = not self._hand_out()
                if not self._running and not put_off and not self._end_paused():
                    break
                for event in self._engine.events(self._patience()):
                    self._handle(cleaned(event))
                for note in self._engine.notes():
                    for observer in self._observers:
                        observer.engine_noted(note)
                self._check_clock()
                self._study.store.check()
            if self._signals:
                # Workers need not wait until the store and the tracker have written everything.
                self._engine.close()
            written = written_at_last(self._study.store, self._signals)
        if self._signals:
            raise interrupted(self._study, self._objective, self._signals.numbers[0], written)
        if self._failures.complaint:
            raise StudyFailed(self._failures.complaint)
        return "exhausted" if self._ending == "done" and self._study.exhausted else self._ending

    def _hand_out(self) -> bool:
        """Hands out trials to free workers; returns False to be asked again: the store, or each worker, is away."""
        while self._running.has_place(self._engine, self._reached) and not self._is_ending():
            try:
                record = self._study.ask(self._budget.trials)
            except NotNow:
                return False
            if record is None:
                return True
            if record.state == "failed":
                self._ended(record)
                continue
            if record.paused and record.number not in self._paused:
                # It had ended only since an earlier run did.
                self._best.goes_on(record)
                self._take_over(record, goes_on=True)
            if record.number in self._paused:
                self._go_on(record)
                continue
            begun = [made for one in (record, *self._beside(record)) if (made := self._begun(one)) is not None]
            if begun:
                records, jobs = zip(*begun, strict=True)
                self._running.begin(records, jobs, self._objective, time.monotonic())
                self._engine.submit(together(jobs))
        return self._engine.workers > 0 or self._is_ending()

    def _begun(self, record: TrialRecord) -> tuple[TrialRecord, Job] | None:
        """A trial and its job; None for one of the combinations of values that are impossible."""
        try:
            job = self._make_job(record, self._best.score)
        except UserError as error:
            self._ended(self._study.end(failed(record, Failure("invalid", str(error)))))
            return None
        return self._study.resolve(record, job.resolved), job

    def _take_over(self, record: TrialRecord, goes_on: bool = False) -> None:
        """Takes over a trial that an earlier run paused."""
        job, now = self._make_job(record, self._best.score), time.monotonic()
        self._paused.take_over(RunningTrial.of(record, self._objective, now, job), self._study, now, goes_on)

    def _go_on(self, record: TrialRecord) -> None:
        """Hands a paused trial out again."""
        running, job = self._paused.take(record, time.monotonic())
        job = replace(job, save_if_better_than=self._best.score if job.save_to else None)
        self._running[record.number] = running
        self._engine.submit(job)

    def _end_paused(self) -> bool:
        """Ends the trials that are still paused when the study ends; returns whether one of them is tested first.

        The best trial of the study is tested and saved; of the others the curves are kept. The next run can go on with
        all of them. After a signal or a failure of the study they stay as they are.
        """
        if self._signals or self._failures.complaint:
            return False
        best = self._paused.best()
        if best is not None and best.score is not None and best.score.better_than(self._best.score):
            self._go_on(replace(best.record, why="to be tested"))
            self._stop(best.record.number, "target" if self._ending == "target" else "paused")
            return True
        for running in self._paused.dissolve():
            self._ended(self._study.end(running.result(PausedTrials.end_of(running))))
        return False

    def _is_ending(self) -> bool:
        if self._ending == "done" and self._left <= 0:
            self._ending = "timeout"
        if self._budget.target is not None and any(map(self._reached, (self._best.score, self._paused.best_score))):
            self._ending = "target"
        return self._ending != "done" or bool(self._signals) or self._failures.complaint is not None

    def _reached(self, score: Score | None) -> bool:
        return score is not None and score.reaches(self._budget.target)

    def _patience(self) -> float:
        left = self._left
        return min(_TICK, left) if left > 0 else _TICK

    @property
    def _left(self) -> float:
        return self._times.left(time.monotonic(), self._budget.deadline, self._paused, self._best.score)

    def _check_clock(self) -> None:
        """Stops trials that take too long, and all trials when the study ends."""
        now, limit = time.monotonic(), self._budget.trial_timeout
        reason = self._reason_to_stop()
        self._told_to_end = min(self._told_to_end, now if self._signals else math.inf)
        for number, running in list(self._running.items()):
            if len(self._signals) > 1:
                self._kill(Finished(number, "interrupt", None))
            elif running.stopping is not None or (running.pausing and self._signals):
                grace = self._times.grace(running)
                if now - running.asked_to_stop > grace or now - self._told_to_end > LAST_GRACE:
                    self._kill(running.cut_short(grace))
            elif reason is not None and not running.pausing:
                self._stop(number, reason)
            elif limit is not None and (late := running.late(now, limit)) is not None:
                self._kill(late)
            elif (silent := running.silence.due_seconds(now)) is not None:
                for observer in self._observers:
                    observer.trial_silent(running.record, silent, limit)

    def _reason_to_stop(self) -> StopReason | None:
        if not self._is_ending():
            return None
        if self._signals or self._failures.complaint:
            return "interrupt"
        return "target" if self._ending == "target" else "deadline"

    def _kill(self, event: Finished | Failed) -> None:
        """Ends a trial by force, and records its end."""
        self._engine.kill(event.trial)
        self._end(event)

    def _stop(self, number: int, reason: StopReason) -> None:
        running = self._running[number]
        running.stop(reason, time.monotonic())
        self._engine.stop(number, reason)

    def _handle(self, event: Event) -> None:
        running = self._running.get(event.trial)
        if running is None:
            return
        self._running.heard(running, time.monotonic())
        if isinstance(event, Started):
            self._started(running, event)
        elif isinstance(event, Paused):
            del self._running[event.trial]
            self._pause(running, event)
        elif isinstance(event, EpochDone):
            self._epoch(running, event)
        elif isinstance(event, Finished | Failed | Lost):
            if isinstance(event, Finished) and event.declared is not None:
                self._study.declare(event.declared)
            self._end(event)

    def _pause(self, running: RunningTrial, event: Paused) -> None:
        self._paused.add(running, event.checkpoint, time.monotonic())
        self._failures.succeed()
        self._study.pause(paused := running.so_far())
        for observer in self._observers:
            observer.trial_paused(paused, event.note)

    def _started(self, running: RunningTrial, event: Started) -> None:
        if event.declared is not None:
            self._study.declare(event.declared)
        self._times.built(running, time.monotonic())
        self._running.started(running)
        running.trains_through = event.trains_through is not None
        if running.curves and event.epochs_done == 0:
            # Its checkpoint could not be used. What was only to be tested keeps its epochs.
            if running.stopping is not None:
                self._kill(replace(PausedTrials.end_of(running), ended_by=running.stopping))
                return
            running.start_over()
            self._study.start_over(event.trial)
        running.record = replace(running.record, model_parameters=event.model_parameters, note=event.note)
        if event.resolved is not None:
            running.record = self._study.resolve(running.record, event.resolved)
        for observer in self._observers:
            observer.trial_started(running.record)
        for one, reached in running.catch_up(event.epochs_done):
            if reached is not None:
                self._study.report(event.trial, reached, False)
            for observer in self._observers:
                observer.epoch_done(running.record, one)

    def _epoch(self, running: RunningTrial, event: EpochDone) -> None:
        number = event.trial
        if infinite := [name for name, value in event.metrics.items() if not math.isfinite(value)]:
            self._kill(Failed(number, "nonfinite", f"{', '.join(infinite)} not finite in epoch {event.epoch}"))
            return
        reported = running.take_epoch(event)
        verdict = self._study.report(number, reported, not running.trains_through) if reported else "proceed"
        if not event.last and running.stopping is None:
            if verdict == "stop":
                self._stop(number, "pruner")
            elif verdict == "pause":
                running.pause()
                self._engine.pause(number)
            else:
                self._engine.proceed(number)
        for observer in self._observers:
            observer.epoch_done(running.record, event)

    def _end(self, event: Finished | Failed | Lost) -> None:
        running = self._running.pop(event.trial)
        if (paused := running.paused_by(event)) is not None:
            self._pause(running, paused)
            return
        running.left(now := time.monotonic())
        self._times.ended(running, now)
        self._ended(self._study.end(running.result(event)))

    def _ended(self, record: TrialRecord) -> None:
        if record.failure is None:
            self._failures.succeed()
        elif not self._study.will_run_again(record):
            self._failures.fail(record.failure)
        self._best.see(record)
        for observer in self._observers:
            observer.trial_ended(record, self._best.trial)
