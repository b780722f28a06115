"""An engine that replays recorded curves on a simulated clock: hundreds of workers in one process.

What happens at a worker takes simulated time; what the coordinator does takes real time. While the coordinator would
only wait, the clock jumps to the next event. What the engine itself computes takes no time.
"""

import heapq
import itertools
import os
import time
from collections import deque
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np

from benchmarks.standard_curves import Standard
from hpo.config.declared import NOTHING_DECLARED, Declared
from hpo.engines import Engine
from hpo.system.private_files import private_file, private_folder
from hpo.training import checkpoint_file
from hpo.training.messages import EndReason, EpochDone, Event, Finished, Job, Paused, Started, StopReason

# Seconds that a worker takes to test its trial, and to leave a checkpoint.
_TEST, _PAUSE = 1.0, 0.2


class Clock:
    """Seconds since it was made.

    With `real` nothing is skipped or left out. With `cpu` the seconds are those of CPU of all threads of the process:
    as on a machine that does nothing else, and whose disks take no time.
    """

    def __init__(self, real: bool, cpu: bool = False) -> None:
        self.real = real
        self.skipped = self.apart_seconds = 0.0
        self.timer = time.process_time if cpu else time.perf_counter
        self._began = self.timer()

    @property
    def worked(self) -> float:
        """The seconds that were neither skipped nor left out: those of the coordinator."""
        return self.timer() - self._began - self.apart_seconds

    @property
    def now(self) -> float:
        """The time."""
        return self.worked + self.skipped

    def wait(self, seconds: float, most: float) -> None:
        """Waits at most `most` real seconds, or jumps."""
        if self.real:
            time.sleep(max(0.0, min(seconds, most)))
        else:
            self.skipped += max(0.0, seconds)

    @contextmanager
    def apart(self) -> Iterator[None]:
        """A block that takes no time."""
        began = self.timer()
        try:
            yield
        finally:
            if not self.real:
                self.apart_seconds += self.timer() - began


@dataclass
class Seen:
    """What the engine saw of the coordinator."""

    latencies: list[float] = field(default_factory=list)
    """Seconds from the end of an epoch to its decision."""
    busy: list[tuple[float, float]] = field(default_factory=list)
    """When a worker did something that counted: from, until."""
    begins: list[float] = field(default_factory=list)
    """When each job was handed out that begins a trial."""

    def share_busy(self, workers: int) -> float:
        """The share of the workers' time that counted, until the last trial began."""
        end = self.begins[-1]
        spent = sum(max(0.0, min(until, end) - begin) for begin, until in self.busy)
        return spent / (workers * end) if end else 1.0


@dataclass
class _Trial:
    job: Job
    worker: int
    scores: np.ndarray
    seconds: float
    """Of an epoch."""
    last: int
    """Its last epoch, if nothing stops it."""
    ended_by: EndReason
    done: int = 0
    ended_at: float = 0.0
    """When its latest epoch ended."""
    at_end: bool = False
    turn: int = 0
    """The turn of its next event; events of earlier turns were called off."""


class ReplayEngine(Engine):
    """Trains the recorded configurations that are nearest to the jobs', all of which take as long an epoch on average.

    A worker goes on with the next epoch while it waits for a decision, as real ones do. It begins the job that waits
    for it once the coordinator has heard of the end of the one before.
    """

    takes_next = True

    def __init__(self, workers: int, epoch_seconds: float, epochs: int, clock: Clock) -> None:
        self.workers, self.clock, self.seen = workers, clock, Seen()
        self._task = Standard(epochs)
        curves = self._task.sample()
        self._scores = np.array([curve.scores for curve in curves])
        costs = np.array([curve.costs[1] - curve.costs[0] for curve in curves])
        self._scale = epoch_seconds / float(costs.mean())
        self._seconds = costs * self._scale
        self._begin = np.array([curve.costs[0] for curve in curves]) * self._scale - self._seconds
        self._free = deque(range(workers))
        self._waiting: dict[int, Job] = {}
        self._at_end: dict[int, None] = {}
        self._trials: dict[int, _Trial] = {}
        self._due: list[tuple[float, int, int, int, Event | None]] = []
        self._order = itertools.count()

    def submit(self, job: Job) -> None:
        """Starts a job, or keeps it for a worker whose trial is at its end."""
        with self.clock.apart():
            if job.resume is None:
                self.seen.begins.append(self.clock.now)
            if self._free:
                self._start(job, self._free.popleft())
            else:
                worker = next(iter(self._at_end))
                del self._at_end[worker]
                self._waiting[worker] = job

    def events(self, timeout: float) -> Sequence[Event]:
        """The events that are due; if there are none, the clock goes on to the next."""
        found: list[Event] = []
        with self.clock.apart():
            if not self._due:
                time.sleep(timeout)
            elif self._due[0][0] > self.clock.now:
                self.clock.wait(self._due[0][0] - self.clock.now, timeout)
            while self._due and self._due[0][0] <= self.clock.now:
                due, _, number, turn, event = heapq.heappop(self._due)
                trial = self._trials.get(number)
                if trial is not None and trial.turn == turn:
                    found.append(self._ended(trial, event, due) if event is not None else self._epoch(trial, due))
        return found

    def proceed(self, trial: int) -> None:
        """Lets a trial continue: its next epoch began when the one before ended."""
        with self.clock.apart():
            one, now = self._decided(trial)
            end = one.ended_at + one.seconds
            self.seen.busy.append((one.ended_at, end))
            self._push(one, max(end, now), None)

    def stop(self, trial: int, reason: StopReason) -> None:
        """Ends a trial with a test; what it has trained since its latest epoch does not count."""
        with self.clock.apart():
            one, now = self._decided(trial)
            self._finish(one, reason, now)

    def pause(self, trial: int) -> None:
        """Has a trial leave a checkpoint."""
        with self.clock.apart():
            one, now = self._decided(trial)
            assert one.job.checkpoints is not None
            folder = Path(one.job.checkpoints.folder)
            state = {"curves": {one.job.objective.metric: one.scores[: one.done].tolist()}, "fold_lengths": []}
            checkpoint = checkpoint_file.write(folder, trial, one.done, state, {})
            self._end(one, Paused(trial, one.done, checkpoint), now, _PAUSE)

    def kill(self, trial: int) -> None:
        """Drops a trial."""
        with self.clock.apart():
            if (one := self._trials.pop(trial, None)) is not None:
                self._release(one.worker)

    def discover(self, model: str, data: str, import_paths: Sequence[str]) -> Declared:
        """Finds nothing."""
        return NOTHING_DECLARED

    def examine(self, jobs: Sequence[Job], limit: float | None) -> None:
        """Finds nothing."""

    def close(self) -> None:
        """Drops all trials."""
        self._trials.clear()

    def _start(self, job: Job, worker: int) -> None:
        squares = np.square(self._task.table - self._task.place(job.params)).sum(axis=1)
        row, now = int(np.argmin(squares)), self.clock.now
        scores, stopping = self._scores[row], job.training.early_stopping
        last = len(scores)
        if stopping is not None and np.isfinite(scores).all():
            best = np.maximum.accumulate(scores)
            since = np.arange(len(scores)) - np.array([int(np.argmax(scores[: end + 1])) for end in range(len(scores))])
            last = int(np.argmax(since >= stopping.patience)) + 1 if (since >= stopping.patience).any() else len(best)
        seconds = float(self._seconds[row])
        ended_by: EndReason = "early_stopping" if last < len(scores) else "epochs"
        trial = self._trials[job.trial] = _Trial(job, worker, scores, seconds, last, ended_by)
        trial.done = job.resume.epochs if job.resume else 0
        built = now + float(self._begin[row])
        self.seen.busy.append((now, built))
        parameters = int(np.square(job.params["width"]) * job.params["depth"])
        self._push(trial, built, Started(job.trial, os.getpid(), parameters, epochs_done=trial.done))

    def _push(self, trial: _Trial, due: float, event: Event | None) -> None:
        """`event`: None for the end of an epoch."""
        heapq.heappush(self._due, (due, next(self._order), trial.job.trial, trial.turn, event))

    def _decided(self, number: int) -> tuple[_Trial, float]:
        trial, now = self._trials[number], self.clock.now
        self.seen.latencies.append(now - trial.ended_at)
        trial.turn += 1
        return trial, now

    def _epoch(self, trial: _Trial, due: float) -> EpochDone:
        score = float(trial.scores[trial.done])
        trial.done, trial.ended_at = trial.done + 1, due
        last = trial.done == trial.last
        if last:
            self._finish(trial, trial.ended_by, due)
        metrics = {
            "loss": 1.1 - score, "accuracy": score, "val_loss": 1.0 - score, "val_accuracy": score,
            "learning_rate": float(trial.job.params["learning_rate"]), "seconds": trial.seconds,
        }  # fmt: skip
        return EpochDone(trial.job.trial, trial.done, metrics, last, trial.ended_by if last else None)

    def _finish(self, trial: _Trial, ended_by: EndReason, now: float) -> None:
        job, best = (
            trial.job,
            trial.job.objective.score_of({trial.job.objective.metric: trial.scores[: trial.done].tolist()}),
        )
        model_file = None
        if best is not None and job.save_to is not None and best.better_than(job.save_if_better_than):
            model_file = job.save_to
            private_folder(Path(model_file).parent)
            private_file(Path(model_file))
        test = {"loss": 1.0 - best.value, "accuracy": best.value} if best else {}
        finished = Finished(job.trial, ended_by, best.epoch if best else None, test, model_file)
        self._end(trial, finished, now, _TEST)

    def _end(self, trial: _Trial, event: Event, now: float, seconds: float) -> None:
        trial.at_end = True
        trial.turn += 1
        self._at_end[trial.worker] = None
        self.seen.busy.append((now, now + seconds))
        self._push(trial, now + seconds, event)

    def _ended(self, trial: _Trial, event: Event, due: float) -> Event:
        if isinstance(event, Started):
            self.seen.busy.append((due, due + trial.seconds))
            self._push(trial, due + trial.seconds, None)
        else:
            del self._trials[trial.job.trial]
            self._release(trial.worker)
        return event

    def _release(self, worker: int) -> None:
        self._at_end.pop(worker, None)
        job = self._waiting.pop(worker, None)
        if job is None:
            self._free.append(worker)
        else:
            self._start(job, worker)
