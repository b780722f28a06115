"""The one loop: ask, hand out, listen, decide, record, log. Only it writes the stores of Optuna and MLflow."""

import math
import time
from collections.abc import Callable
from dataclasses import replace

from hpo.config.experiment import Objective
from hpo.config.score import Score
from hpo.engines import Engine
from hpo.errors import Interrupted, StudyFailed, UserError
from hpo.loop.budget import Budget, Ending
from hpo.loop.observer import Observer
from hpo.loop.paused_trials import PausedTrials
from hpo.loop.record import Record
from hpo.loop.running_trial import RunningTrial
from hpo.loop.same_failures import SameFailures
from hpo.storage.writer import NotNow
from hpo.study.failure import Failure
from hpo.study.record import TrialRecord, best_trial, failed
from hpo.system.signals import Received, deferred
from hpo.training.messages import EpochDone, Event, Failed, Finished, Job, Lost, Paused, Started, StopReason, cleaned

# Seconds that a trial that was asked to stop may take to test its model, before its worker is ended.
_GRACE = 20.0
# Seconds to wait for the store after Ctrl-C.
_PARTING = 5.0
# Like _GRACE, after a signal that ends the run.
_LAST_GRACE = 2.0
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
    ) -> None:
        self._study = study
        self._engine = engine
        self._objective = objective
        self._budget = budget
        self._make_job = make_job
        self._observers = observers
        self._running: dict[int, RunningTrial] = {}
        self._paused = PausedTrials()
        self._best = best_trial(study.trials(), objective)
        self._failures = SameFailures(self._best is not None or any(one.paused for one in study.trials()))
        self._signals = Received()
        self._told_to_end = math.inf
        self._ending: Ending = "done"

    def run(self) -> Ending:
        """Runs the study; returns why it ended.

        Raises:
            StudyFailed: too many configurations in a row failed with the same error.
            Interrupted: Ctrl-C or another signal that ends the run. After the first one running trials are stopped,
                and the next run trains them again; after the second they are killed.
            StoreAway: the store has been away for too long; what was written before is kept.
            StudyBusy: another process has taken the study meanwhile.
        """
        with deferred() as self._signals:
            self._take_over_paused()
            while True:
                put_off = not self._hand_out()
                if not self._running and not put_off and not self._end_paused():
                    break
                for event in self._engine.events(self._patience()):
                    self._handle(cleaned(event))
                self._check_clock()
                self._study.store.check()
            if self._signals:
                # Workers need not wait until the store and the tracker have written everything.
                self._engine.close()
            written = self._wait_until_written()
        if self._signals:
            but = "" if written else ", except those that could not be written to the store"
            rest = f"finished trials are kept{but}, the same command continues"
            raise Interrupted(f"interrupted; {rest}", self._signals.numbers[0])
        if self._failures.complaint:
            raise StudyFailed(self._failures.complaint)
        return "exhausted" if self._ending == "done" and self._study.exhausted else self._ending

    def _wait_until_written(self) -> bool:
        """Waits until all ended trials are written; after Ctrl-C not for long, and after a second one not at all."""
        began = time.monotonic()
        while not self._study.store.drain(_TICK):
            if len(self._signals) > 1 or (self._signals and time.monotonic() - began > _PARTING):
                return False
        return True

    def _hand_out(self) -> bool:
        """Hands out trials to free workers; returns False if the store is away, so that it must be asked again."""
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
            if record.number in self._paused:
                self._go_on(record)
                continue
            try:
                job = self._make_job(record, self._best_score)
            except UserError as error:
                # Some combinations of values are impossible; the others are trained.
                self._ended(self._study.end(failed(record, Failure("invalid", str(error)))))
                continue
            record = self._study.resolve(record, job.resolved)
            now = time.monotonic()
            self._running[record.number] = RunningTrial.of(record, self._objective, now, job)
            self._engine.submit(job)
        return True

    def _take_over_paused(self) -> None:
        """Takes over the trials that an earlier run paused."""
        for record in [one for one in self._study.trials() if one.state == "running"]:
            job, now = self._make_job(record, self._best_score), time.monotonic()
            self._paused.take_over(RunningTrial.of(record, self._objective, now, job), self._study, now)

    def _go_on(self, record: TrialRecord) -> None:
        """Hands a paused trial out again."""
        running, job = self._paused.take(record, time.monotonic())
        job = replace(job, save_if_better_than=self._best_score if job.save_to else None)
        self._running[record.number] = running
        self._engine.submit(job)

    def _end_paused(self) -> bool:
        """Ends the trials that are still paused when the study ends; returns whether one of them is tested first.

        The best trial of the study is tested and saved; of the others the curves are kept. After a signal or a failure
        of the study they stay as they are, so that the next run can go on with them.
        """
        if self._signals or self._failures.complaint:
            return False
        best = self._paused.best()
        if best is not None and best.score is not None and best.score.better_than(self._best_score):
            self._go_on(replace(best.record, why="to be tested"))
            self._stop(best.record.number, "pruner" if self._ending == "done" else self._reason_to_stop() or "pruner")
            return True
        for running in self._paused.dissolve():
            self._ended(self._study.end(running.result(PausedTrials.end_of(running))))
        return False

    def _has_place(self) -> bool:
        """Whether a worker is free, or only has to test its trial: so no worker waits for the database."""
        if not self._engine.takes_next:
            return len(self._running) < self._engine.workers
        at_end = [running for running in self._running.values() if running.at_end]
        if any(self._reached(running.score) for running in at_end):
            return False
        return len(self._running) - len(at_end) < self._engine.workers

    def _is_ending(self) -> bool:
        if self._budget.deadline is not None and time.monotonic() >= self._budget.deadline:
            self._ending = "timeout" if self._ending == "done" else self._ending
        if self._budget.target is not None and any(map(self._reached, (self._best_score, self._paused.best_score))):
            self._ending = "target"
        return self._ending != "done" or bool(self._signals) or self._failures.complaint is not None

    def _reached(self, score: Score | None) -> bool:
        return score is not None and score.reaches(self._budget.target)

    @property
    def _best_score(self) -> Score | None:
        return None if self._best is None else self._best.score(self._objective)

    def _patience(self) -> float:
        left = (self._budget.deadline or math.inf) - time.monotonic()
        return min(_TICK, left) if left > 0 else _TICK

    def _check_clock(self) -> None:
        """Stops trials that take too long, and all trials when the study ends."""
        now, limit = time.monotonic(), self._budget.trial_timeout
        reason = self._reason_to_stop()
        if self._signals:
            self._told_to_end = min(self._told_to_end, now)
        for number, running in list(self._running.items()):
            if len(self._signals) > 1:
                self._kill(Finished(number, "interrupt", None))
            elif running.stopping is not None or (running.pausing and self._signals):
                if now - running.asked_to_stop > _GRACE or now - self._told_to_end > _LAST_GRACE:
                    self._kill(running.cut_short(_GRACE))
            elif reason is not None and not running.pausing:
                self._stop(number, reason)
            elif limit is not None and running.age(now) > limit:
                self._kill(Failed(number, "timeout", f"longer than trial_timeout, {limit:g} s"))
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
        running.silence.hear(time.monotonic())
        if isinstance(event, Started):
            self._started(running, event)
        elif isinstance(event, Paused):
            del self._running[event.trial]
            self._paused.add(running, event.checkpoint, time.monotonic())
            self._failures.succeed()
            self._study.pause(paused := running.so_far())
            for observer in self._observers:
                observer.trial_paused(paused, event.note)
        elif isinstance(event, EpochDone):
            self._epoch(running, event)
        elif isinstance(event, Finished | Failed | Lost):
            if isinstance(event, Finished) and event.declared is not None:
                self._study.declare(event.declared)
            self._end(event)

    def _started(self, running: RunningTrial, event: Started) -> None:
        if event.declared is not None:
            self._study.declare(event.declared)
        running.trains_through = event.trains_through is not None
        if running.curves and event.epochs_done == 0:
            # Its checkpoint could not be used.
            running.start_over()
            self._study.start_over(event.trial)
        running.record = replace(running.record, model_parameters=event.model_parameters, note=event.note)
        if event.resolved is not None:
            running.record = self._study.resolve(running.record, event.resolved)
        for observer in self._observers:
            observer.trial_started(running.record)
        # The epochs that it had trained in an earlier attempt or run; of a paused trial the study knows them.
        earlier, running.earlier = running.earlier[: event.epochs_done], ()
        for one in earlier:
            if one.epoch > running.epochs and (reached := running.take_epoch(one)) is not None:
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
        running.left(time.monotonic())
        self._ended(self._study.end(running.result(event)))

    def _ended(self, record: TrialRecord) -> None:
        if record.failure is None:
            self._failures.succeed()
        elif not self._study.will_run_again(record):
            self._failures.fail(record.failure)
        self._keep_best(record)
        for observer in self._observers:
            observer.trial_ended(record, self._best)

    def _keep_best(self, record: TrialRecord) -> None:
        # Of equal trials the one with the lowest number is the best, as `best_trial` has it whenever a study is read.
        self._best = best_trial([record] if self._best is None else [self._best, record], self._objective)
