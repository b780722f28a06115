"""A worker process: trains the jobs that arrive over its connection, one at a time."""

import faulthandler
import io
import os
import queue
import sys
import tempfile
import threading
import traceback
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from multiprocessing.connection import Connection
from pathlib import Path

from hpo.config.declared import NOTHING_DECLARED, Declared
from hpo.engines.channel import QueueLine
from hpo.engines.gpus import Share
from hpo.engines.process_exit import ignore_signals, leave_with_server
from hpo.errors import HpoError
from hpo.training.messages import Event, Job, StopReason


@dataclass(frozen=True)
class Proceed:
    """Answers the last EpochDone."""


@dataclass(frozen=True)
class Stop:
    """Asks the running trial to stop."""

    reason: StopReason


@dataclass(frozen=True)
class Pause:
    """Asks the running trial to leave a checkpoint."""


@dataclass(frozen=True)
class Discover:
    """Asks for the parameters that a KerasTuner model declares."""

    model: str
    data: str
    import_paths: Sequence[str]


@dataclass(frozen=True)
class Examine:
    """Asks whether the models of jobs can be built and compiled."""

    jobs: Sequence[Job]


@dataclass(frozen=True)
class Explored:
    """The answer to Discover and Examine: what the model declares, if asked, or the error that it raised."""

    declared: Declared
    error: Exception | None = None


@dataclass(frozen=True)
class Ready:
    """The worker has nothing to do; its resident memory in bytes."""

    memory: int


Order = Job | Discover | Examine | Proceed | Stop | Pause
Answer = Event | Explored | Ready


@dataclass(frozen=True)
class Place:
    """What a worker may use of its machine."""

    threads: int
    """How many threads TensorFlow computes with."""
    share: Share
    log: str
    """Path of the file that it prints to."""
    environment: Mapping[str, str]


def main(connection: Connection, place: Place) -> None:
    """Runs until the connection closes. Its output goes to a log file, not into the user's terminal."""
    # The forkserver's environment dates from the first engine of the process.
    os.environ.clear()
    os.environ.update({"TF_CPP_MIN_LOG_LEVEL": "2", **place.environment})
    if place.share.visible is not None:
        os.environ["CUDA_VISIBLE_DEVICES"] = place.share.visible
    # A worker has no window to draw in, and does not know the backend of a notebook.
    os.environ["MPLBACKEND"] = "agg"
    ignore_signals()
    leave_with_server()
    descriptor = os.open(place.log, os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o644)
    os.dup2(descriptor, 1)
    os.dup2(descriptor, 2)
    os.close(descriptor)
    temporary = Path(place.log).parent / "tmp"
    temporary.mkdir(exist_ok=True)
    os.environ["TMPDIR"] = tempfile.tempdir = str(temporary)
    # What the worker prints last says why it died: it must not be lost in a buffer.
    if isinstance(sys.stdout, io.TextIOWrapper):
        sys.stdout.reconfigure(line_buffering=True)
    # Print only the thread that crashed, which is the trial's.
    faulthandler.enable(all_threads=False)
    from hpo.training.process import limit_gpu_memory, limit_threads

    limit_threads(place.threads)
    limit_gpu_memory(place.share.limit)
    _Worker(connection).run()


class _Worker:
    def __init__(self, connection: Connection) -> None:
        self._connection = connection
        self._orders: queue.SimpleQueue[Job | Discover | Examine] = queue.SimpleQueue()
        self._line: QueueLine | None = None
        self._sending = threading.Lock()

    def run(self) -> None:
        threading.Thread(target=self._listen, name="listen", daemon=True).start()
        while True:
            self._send(Ready(_resident_bytes()))
            order = self._orders.get()
            if isinstance(order, Job):
                self._train(order)
            else:
                self._explore(order)

    def _listen(self) -> None:
        """Reads orders during the training; ends the process when the coordinator is gone, even while it trains."""
        while True:
            try:
                order: Order = self._connection.recv()
            except (EOFError, OSError):
                os._exit(0)
            if isinstance(order, Job):
                self._line = QueueLine(self._send)
                self._orders.put(order)
            elif isinstance(order, Discover | Examine):
                self._orders.put(order)
            elif self._line is not None:
                self._answer(self._line, order)

    def _answer(self, line: QueueLine, order: Proceed | Stop | Pause) -> None:
        if isinstance(order, Proceed):
            line.proceed()
        elif isinstance(order, Pause):
            line.pause()
        else:
            line.stop(order.reason)

    def _train(self, job: Job) -> None:
        from hpo.training.trial import train

        assert self._line is not None
        train(job, self._line, own_process=True)

    def _explore(self, order: Discover | Examine) -> None:
        from hpo.training.process import discover, examine_prepared

        found = NOTHING_DECLARED
        try:
            if isinstance(order, Discover):
                found = discover(order.model, order.data, order.import_paths, own_process=True)
            else:
                examine_prepared(order.jobs, own_process=True)
            self._send(Explored(found))
        except HpoError as error:
            plain = type(error)(str(error))
            vars(plain).update(vars(error))
            self._send(Explored(found, plain))
        except Exception:
            self._send(Explored(found, HpoError(traceback.format_exc())))

    def _send(self, answer: Answer) -> None:
        with self._sending:
            try:
                self._connection.send(answer)
            except (BrokenPipeError, ConnectionResetError):
                os._exit(0)


def _resident_bytes() -> int:
    import psutil

    return int(psutil.Process().memory_info().rss)
