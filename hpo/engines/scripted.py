"""An engine that replays scripts instead of training: for tests of the code that uses an engine."""

import os
import time
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from hpo.config.declared import NOTHING_DECLARED, Declared
from hpo.engines import Engine
from hpo.system.private_files import private_file, private_folder
from hpo.training import checkpoint_file
from hpo.training.messages import (
    NO_CHECKPOINTS,
    EndReason,
    EpochDone,
    Event,
    Failed,
    Finished,
    FoldEpoch,
    Job,
    Lost,
    Order,
    Paused,
    Started,
    StopReason,
)


@dataclass(frozen=True)
class InFold:
    """An epoch of k-fold cross-validation."""

    value: float
    """The objective after it."""
    fold: int
    ended: bool = False
    """Whether it is the fold's last."""


@dataclass(frozen=True)
class StoppedEarly:
    """The last epoch of a trial that early stopping ends; the steps after it belong to the trial's test."""

    value: float
    """The objective after it."""


Step = float | InFold | StoppedEarly | Started | Finished | Failed | Lost | None
"""One step of a script: the objective after an epoch, or another event, such as the trial's end. None: the trial hangs,
and does not react to `stop` either."""

Script = Callable[[Job], Iterable[Step]]
"""The steps of a job. A script that ends has trained all its epochs; an endless one is trained until stopped."""


@dataclass
class _Trial:
    job: Job
    steps: Iterator[Step]
    curve: list[float] = field(default_factory=list)
    curves: dict[str, list[float]] = field(default_factory=dict)
    folds: Counter[int] = field(default_factory=Counter)
    """Fold -> its epochs so far."""
    started: bool = False
    waiting: bool = False
    hanging: bool = False
    at_end: bool = False
    stop: Order | None = None
    own_end: EndReason | None = None


class ScriptedEngine(Engine):
    """Runs up to `workers` scripts at a time, one step of each in turn, in this thread, so that runs are repeatable.

    An example: `ScriptedEngine(lambda job: [0.5, 0.1 * job.params["depth"]])`. The loss on the test part is the
    best objective. If a job has `save_to`, its model is saved as an empty file.
    """

    def __init__(self, script: Script, workers: int = 1, takes_next: bool = False) -> None:
        self.workers = workers
        self.takes_next = takes_next
        self.jobs: list[Job] = []
        """All jobs, in the order in which they came."""
        self._script = script
        self._trials: dict[int, _Trial] = {}

    def submit(self, job: Job) -> None:
        """Starts a script."""
        if sum(not trial.at_end for trial in self._trials.values()) >= self.workers:
            raise ValueError(f"at most {self.workers} jobs at a time, got one more")
        self.jobs.append(job)
        self._trials[job.trial] = _Trial(job, iter(self._script(job)))

    def events(self, timeout: float) -> Sequence[Event]:
        """The next event of each trial that neither waits nor hangs."""
        ready = [trial for trial in self._trials.values() if not (trial.waiting or trial.hanging)]
        found = [event for trial in ready if (event := self._next(trial)) is not None]
        if not found:
            time.sleep(timeout)
        return found

    def proceed(self, trial: int) -> None:
        """Lets a trial continue."""
        self._trials[trial].waiting = False

    def stop(self, trial: int, reason: StopReason) -> None:
        """Ends a trial with its next event, unless it hangs."""
        self._trials[trial].stop = reason
        self._trials[trial].waiting = False
        self._trials[trial].at_end = self.takes_next

    def pause(self, trial: int) -> None:
        """Ends a trial with its next event; a job with the checkpoint goes on after the epochs that it had."""
        if self._trials[trial].job.checkpoints is None:
            self.proceed(trial)
        else:
            self._trials[trial].stop = "pause"
            self._trials[trial].waiting = False
            self._trials[trial].at_end = self.takes_next

    def kill(self, trial: int) -> None:
        """Drops a trial."""
        self._trials.pop(trial, None)

    def discover(self, model: str, data: str, import_paths: Sequence[str]) -> Declared:
        """Finds nothing: scripts declare no parameters."""
        return NOTHING_DECLARED

    def examine(self, jobs: Sequence[Job], limit: float | None) -> None:
        """Finds nothing: scripts have no models."""

    def close(self) -> None:
        """Drops all trials."""
        self._trials.clear()

    def _start(self, trial: _Trial) -> Started:
        job, trial.started = trial.job, True
        done = job.resume.epochs if job.resume else 0
        while len(trial.curve) < done:
            self._take(trial, next(trial.steps))
        through = NO_CHECKPOINTS if job.checkpoints is None else None
        return Started(job.trial, os.getpid(), model_parameters=1, epochs_done=done, trains_through=through)

    def _next(self, trial: _Trial) -> Event | None:
        number = trial.job.trial
        if not trial.started:
            return self._start(trial)
        if trial.stop is not None and trial.own_end is None:
            return self._pause(trial) if trial.stop == "pause" else self._finish(trial, trial.stop)
        try:
            step = next(trial.steps)
        except StopIteration:
            return self._finish(trial, trial.own_end or "epochs")
        if isinstance(step, Started | Finished | Failed | Lost):
            if not isinstance(step, Started):
                self.kill(number)
            return step
        trial.hanging = step is None
        if step is None:
            return None
        trial.waiting = True
        return self._take(trial, step)

    def _take(self, trial: _Trial, step: Step) -> EpochDone | None:
        if step is None or isinstance(step, Started | Finished | Failed | Lost):
            return None
        value = step.value if isinstance(step, InFold | StoppedEarly) else step
        trial.curve.append(value)
        metrics = {trial.job.objective.metric: value, "learning_rate": 0.001, "seconds": 0.01}
        for name, one in metrics.items():
            trial.curves.setdefault(name, []).append(one)
        last = isinstance(step, StoppedEarly)
        if last:
            trial.own_end, trial.waiting, trial.at_end = "early_stopping", False, self.takes_next
        fold = None
        if isinstance(step, InFold):
            trial.folds[step.fold] += 1
            fold = FoldEpoch(step.fold, trial.folds[step.fold], step.ended)
        return EpochDone(trial.job.trial, len(trial.curve), metrics, last, trial.own_end, fold=fold)

    def _pause(self, trial: _Trial) -> Paused:
        job, epochs = trial.job, len(trial.curve)
        self.kill(job.trial)
        assert job.checkpoints is not None
        lengths = [trial.folds[fold] for fold in sorted(trial.folds)]
        state = {"curves": trial.curves, "fold_lengths": lengths, "keepers": [{"ended": bool(lengths)}]}
        return Paused(
            job.trial, epochs, checkpoint_file.write(Path(job.checkpoints.folder), job.trial, epochs, state, {})
        )

    def _finish(self, trial: _Trial, ended_by: EndReason) -> Finished:
        job = trial.job
        self.kill(job.trial)
        if not trial.curve:
            return Finished(job.trial, ended_by, None)
        best = job.objective.score_of({job.objective.metric: trial.curve})
        assert best is not None
        model_file = None
        if job.save_to is not None and best.better_than(job.save_if_better_than):
            model_file = job.save_to
            private_folder(Path(model_file).parent)
            private_file(Path(model_file))
        return Finished(job.trial, ended_by, best.epoch, {"loss": best.value}, model_file)
