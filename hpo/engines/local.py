"""Worker processes on this machine, forked from a server that has imported TensorFlow but never run it."""

import itertools
import multiprocessing
import os
import time
from collections.abc import Iterator, Sequence
from dataclasses import replace
from multiprocessing import forkserver
from multiprocessing.connection import Connection, wait
from pathlib import Path

from hpo.config.declared import Declared
from hpo.engines import Engine
from hpo.engines.death import cause, oom_kills
from hpo.engines.forkserver_start import starting
from hpo.engines.gpu_room import GpuRoom
from hpo.engines.gpus import Share, gpus_of_machine, shares
from hpo.engines.local_worker import LocalWorker
from hpo.engines.worker import Answer, Discover, Examine, Explored, Order, Pause, Place, Proceed, Ready, Stop, main
from hpo.errors import HpoError
from hpo.system.cores import usable_cores
from hpo.system.long_work import notes_while_waiting
from hpo.system.scratch import process_folder
from hpo.training.messages import (
    EpochDone,
    Event,
    Failed,
    FailureReason,
    Finished,
    Job,
    Lost,
    Paused,
    Started,
    StopReason,
)  # fmt: skip

# Keras never frees 3 to 6 MB of each trial. A worker that has grown by this many bytes is replaced between two trials.
_GROWTH = 512 * 2**20


class LocalEngine(Engine):
    """Up to `workers` trials at a time, each in a process of its own with `threads_per_worker` compute threads.

    Where the machine has GPUs, each worker gets its share of them; see `hpo.engines.gpus`.
    """

    takes_next = True
    trains_together = True

    def __init__(self, workers: int, threads_per_worker: int, log: Path, gpus_per_trial: float | None = None) -> None:
        """`log`: each worker prints to a file beside it, with its number in the name.

        Raises:
            UserError: there are too few GPUs.
        """
        self.workers = workers
        gpus = gpus_of_machine()
        self._shares = shares(gpus, workers, gpus_per_trial)
        if gpus:
            # Data are prepared in this process, whose TensorFlow would take nearly all memory of every card before the
            # workers start.
            os.environ.setdefault("TF_FORCE_GPU_ALLOW_GROWTH", "true")
        self._room = GpuRoom(len(gpus), usable_cores() // threads_per_worker)
        self._threads = threads_per_worker
        self._log = log
        self._context = multiprocessing.get_context("forkserver")
        self._context.set_forkserver_preload(["hpo.engines.preload"])
        self._workers: list[LocalWorker] = []
        self._dropped: list[Event] = []
        self._stillborn = 0
        self._alone = False
        self._numbers = itertools.count(1)
        # The server imports TensorFlow while the caller prepares other things. Workers are forked when they are first
        # needed, since a fork waits for the imports.
        settings: dict[str, object] = vars(multiprocessing.current_process())["_config"]
        settings.setdefault("tempdir", str(process_folder()))
        with starting():
            forkserver.ensure_running()

    def submit(self, job: Job) -> None:
        """Hands a job to a free worker, or keeps it for a worker whose trial is only being tested."""
        if job.alone != self._alone:
            # No trial is running. One that needs all memory is not to share it with workers that wait.
            self.close()
            self._alone = job.alone
        self._start_workers()
        for worker in self._workers:
            if worker.trial is None and worker.next is None:
                self._train(worker, job)
                return
        worker = next(worker for worker in self._workers if worker.at_end and worker.next is None)
        worker.next = job

    def events(self, timeout: float) -> Sequence[Event]:
        """The events since the last call, including the deaths of workers."""
        found, self._dropped = self._dropped, []
        deadline = time.monotonic() + timeout
        while not found:
            ready = wait(self.handles(), max(0.0, deadline - time.monotonic()))
            for worker in list(self._workers):
                # What a worker sent before it died still counts: its messages are read first.
                if worker.connection in ready or worker.process.sentinel in ready:
                    found += self._receive(worker)
                if worker.process.sentinel in ready:
                    found += self._bury(worker)
            if time.monotonic() >= deadline:
                break
        return found

    def notes(self) -> Sequence[str]:
        """What trials take of the GPUs, where another part of one would suit them."""
        return self._room.notes()

    def handles(self) -> list[Connection | int]:
        """What `multiprocessing.connection.wait` waits for, for whoever waits for other things, too."""
        return [handle for worker in self._workers for handle in (worker.connection, worker.process.sentinel)]

    def proceed(self, trial: int) -> None:
        """Lets a trial continue."""
        self._to(trial, Proceed())

    def stop(self, trial: int, reason: StopReason) -> None:
        """Asks a trial to stop at its best weights."""
        for worker in self._workers:
            if worker.trial == trial:
                worker.at_end = True
        if (job := self._taken_back(trial)) is not None:
            self._dropped.append(_left(job) if job.resume else Finished(trial, reason, None))
        self._to(trial, Stop(reason))

    def pause(self, trial: int) -> None:
        """Asks a trial to leave a checkpoint, and its worker."""
        for worker in self._workers:
            if worker.trial == trial:
                worker.at_end |= worker.may_pause
        if (job := self._taken_back(trial)) is not None:
            self._dropped.append(_left(job))
        self._to(trial, Pause())

    def _taken_back(self, trial: int) -> Job | None:
        """The job of a trial that no worker has begun, which now none will."""
        for worker in self._workers:
            if (job := worker.next) is not None and job.trial == trial:
                worker.next = None
                return job
        return None

    def kill(self, trial: int) -> None:
        """Ends the trial's process and starts a new one."""
        for worker in list(self._workers):
            if worker.next is not None and worker.next.trial == trial:
                worker.next = None
            if worker.trial == trial:
                self._replace(worker)

    def discover(self, model: str, data: str, import_paths: Sequence[str]) -> Declared:
        """The parameters that a KerasTuner model declares; a worker finds them, since it has imported TensorFlow."""
        return self._explored(model, Discover(model, data, import_paths), None)

    def examine(self, jobs: Sequence[Job], limit: float | None) -> None:
        """Has a worker build and compile the models of jobs; one that takes longer than `limit` seconds is replaced."""
        self._explored(jobs[0].model, Examine(jobs), limit)

    def _explored(self, model: str, order: Discover | Examine, limit: float | None) -> Declared:
        self._start_workers()
        worker = self._workers[0]
        self._begin(worker, order)
        deadline = None if limit is None else time.monotonic() + limit
        while True:
            try:
                with notes_while_waiting(lambda: f"still exploring the model {model}"):
                    if not worker.connection.poll(None if deadline is None else max(0.0, deadline - time.monotonic())):
                        self._replace(worker)
                        raise HpoError(f"{model}: was not built within {limit:g} s")
                    answer = worker.connection.recv()
            except (EOFError, OSError):
                _, *died_of = self._cause(worker)
                self._replace(worker)
                raise HpoError(f"{model}: while the model was explored, {_joined(*died_of)}") from None
            if isinstance(answer, Explored):
                if answer.error is not None:
                    raise answer.error
                return answer.declared

    def close(self) -> None:
        """Ends all workers."""
        workers, self._workers = self._workers, []
        for worker in workers:
            worker.process.kill()
        for worker in workers:
            worker.process.join()
            worker.connection.close()

    def pids(self) -> list[int]:
        """The process numbers of the workers."""
        self._start_workers()
        return [worker.process.pid for worker in self._workers if worker.process.pid is not None]

    def _start_workers(self) -> None:
        while len(self._workers) < (1 if self._alone else self.workers):
            share = self._shares[len(self._workers)]
            self._workers.append(self._start(replace(share, limit=None) if self._alone else share))

    def _start(self, share: Share) -> LocalWorker:
        mine, theirs = self._context.Pipe()
        log = self._log.with_name(f"{self._log.stem}-{next(self._numbers)}{self._log.suffix}")
        process = self._context.Process(
            target=main,
            args=(theirs, Place(self._threads, share, str(log), dict(os.environ))),
            name="hpo-worker",
            daemon=True,
        )
        with starting():
            process.start()
        theirs.close()
        return LocalWorker(process, mine, log, share)

    def _receive(self, worker: LocalWorker) -> Iterator[Event]:
        while worker.connection.poll():
            try:
                answer: Answer = worker.connection.recv()
            except (EOFError, OSError):
                return
            if isinstance(answer, Ready):
                worker.first_memory = worker.first_memory or answer.memory
                worker.worn = answer.memory - worker.first_memory > _GROWTH
                if worker.next is not None and worker.trial is None:
                    job, worker.next = worker.next, None
                    self._train(worker, job)
                    return
            elif not isinstance(answer, Explored):
                if isinstance(answer, EpochDone):
                    worker.at_end |= answer.last
                    if answer.gpu_memory is not None:
                        share = self._shares[0] if self._alone else worker.share
                        self._room.hear(answer.trial, answer.gpu_memory, share, self._alone)
                if isinstance(answer, Started):
                    worker.may_pause = answer.trains_through is None
                if isinstance(answer, Finished | Failed | Paused):
                    worker.trial, worker.at_end, worker.may_pause = None, False, False
                yield answer

    def _bury(self, worker: LocalWorker) -> Iterator[Event]:
        if worker not in self._workers:
            return
        trial, died_of = worker.trial, self._cause(worker)
        if worker.first_memory is None and trial is None:
            self._stillborn += 1
            if self._stillborn > 2:
                raise HpoError(f"workers die as they start: {_joined(*died_of[1:])}")
        self._replace(worker)
        if trial is not None:
            yield Lost(trial, *died_of)

    def _cause(self, worker: LocalWorker) -> tuple[FailureReason, str, str]:
        worker.process.join()
        return cause(worker.process.exitcode or 0, oom_kills() > worker.oom_kills, worker.log, worker.log_start)

    def _replace(self, worker: LocalWorker) -> LocalWorker:
        worker.process.kill()
        worker.process.join()
        worker.connection.close()
        fresh = self._start(worker.share)
        self._workers[self._workers.index(worker)] = fresh
        if worker.next is not None:
            self._train(fresh, worker.next)
        return fresh

    def _train(self, worker: LocalWorker, job: Job) -> None:
        if worker.worn or not worker.process.is_alive():
            worker = self._replace(worker)
        worker.trial = job.trial
        self._begin(worker, job)

    def _to(self, trial: int, order: Order) -> None:
        for worker in self._workers:
            if worker.trial == trial:
                self._send(worker, order)

    def _begin(self, worker: LocalWorker, order: Job | Discover | Examine) -> None:
        worker.oom_kills = oom_kills()
        worker.log_start = worker.log.stat().st_size if worker.log.exists() else 0
        self._send(worker, order)

    def _send(self, worker: LocalWorker, order: Order) -> None:
        try:
            worker.connection.send(order)
        except (BrokenPipeError, ConnectionResetError):
            # The worker is dead; `events` will find and report that.
            return


def _left(job: Job) -> Paused:
    """What is heard of a job that nobody began."""
    return Paused(job.trial, job.resume.epochs if job.resume else 0, job.resume)


def _joined(message: str, printed: str) -> str:
    return f"{message}\n{printed}".strip()
