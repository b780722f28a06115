"""An engine that trains one trial after the other in this process: for debugging, and for small machines."""

import queue
import threading
from collections.abc import Sequence
from pathlib import Path

from hpo.config.declared import Declared
from hpo.engines import Engine
from hpo.engines.channel import QueueLine
from hpo.errors import HpoError
from hpo.system.tensorflow_import import without_import_messages
from hpo.training.messages import Event, Job, StopReason

# Seconds that a dropped trial may take to end, before the next one begins beside it.
_PATIENCE = 5.0


class SerialEngine(Engine):
    """Trains in a thread, one job at a time, so that a debugger sees the user's code and the coordinator's.

    A thread cannot be ended from outside: `kill` drops the trial, which ends at its next batch.
    """

    workers = 1
    trains_together = True

    def __init__(self, threads_per_worker: int, log: Path) -> None:
        """`log` stays empty: trials print to this process's own output."""
        self._threads = threads_per_worker
        self._events: queue.SimpleQueue[tuple[QueueLine, Event]] = queue.SimpleQueue()
        self._line: QueueLine | None = None
        self._trial: int | None = None
        self._thread: threading.Thread | None = None

    def submit(self, job: Job) -> None:
        """Starts a job."""
        with without_import_messages():
            from hpo.training.process import limit_threads
            from hpo.training.trial import train

        if self._thread is not None:
            # A trial that hangs in the user's code is left alone: it ends at its next batch, if there is one.
            self._thread.join(timeout=_PATIENCE)
        limit_threads(self._threads)
        line = QueueLine(lambda event: self._events.put((line, event)))
        self._line, self._trial = line, job.trial
        self._thread = threading.Thread(target=train, args=(job, line), name=f"trial-{job.trial}", daemon=True)
        self._thread.start()

    def events(self, timeout: float) -> Sequence[Event]:
        """The events since the last call."""
        found: list[Event] = []
        try:
            line, event = self._events.get(timeout=timeout)
            while True:
                if line is self._line:
                    found.append(event)
                line, event = self._events.get_nowait()
        except queue.Empty:
            return found

    def proceed(self, trial: int) -> None:
        """Lets the trial continue."""
        if self._line is not None and trial == self._trial:
            self._line.proceed()

    def stop(self, trial: int, reason: StopReason) -> None:
        """Asks the trial to stop at its best weights."""
        if self._line is not None and trial == self._trial:
            self._line.stop(reason)

    def pause(self, trial: int) -> None:
        """Asks the trial to leave a checkpoint."""
        if self._line is not None and trial == self._trial:
            self._line.pause()

    def kill(self, trial: int) -> None:
        """Drops the trial."""
        if trial == self._trial:
            self._drop()

    def discover(self, model: str, data: str, import_paths: Sequence[str]) -> Declared:
        """The parameters that a KerasTuner model declares."""
        with without_import_messages():
            from hpo.training.process import discover, limit_threads

        limit_threads(self._threads)
        try:
            return discover(model, data, import_paths)
        except SystemExit as error:
            raise HpoError(f"{model}: while the model was explored, it left with exit({error.code!r})") from error

    def examine(self, jobs: Sequence[Job], limit: float | None) -> None:
        """Builds and compiles the models of jobs; nothing in this process can be ended after `limit` seconds."""
        with without_import_messages():
            from hpo.training.process import examine_prepared, limit_threads

        limit_threads(self._threads)
        examine_prepared(jobs)

    def close(self) -> None:
        """Drops the running trial."""
        self._drop()
        if self._thread is not None:
            self._thread.join(timeout=1.0)

    def _drop(self) -> None:
        if self._line is not None:
            self._line.stop("interrupt")
            self._line = None
