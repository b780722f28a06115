"""The tracker: a thread that tells MLflow what happens, so that training never waits for it."""

import queue
import threading
import time
from collections import deque
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, final

from hpo.errors import HpoError
from hpo.record import FOLD, TrialRecord
from hpo.tracking.address import cannot_open, reason_of, set_environment
from hpo.tracking.study_info import Ending, StudyInfo
from hpo.urls import masked

if TYPE_CHECKING:
    from hpo.tracking.store import Store

FLUSH_SECONDS = 1.0
"""The longest time that an epoch waits to be logged; one request for all epochs of a trial in it."""

RETRY_SECONDS = 10.0
"""How long a store that failed is left alone."""

_Task = Callable[["Store"], None]


@dataclass(frozen=True)
class _Epoch:
    trial: int
    epoch: int
    step: int
    """The epoch within its fold, where there are folds."""
    metrics: Mapping[str, float]
    timestamp: int
    """Milliseconds since 1970."""


@dataclass(frozen=True)
class _Must:
    """A task that is done again until it succeeds."""

    task: _Task


@final
class Tracker:
    """Logs one study. All methods return at once, except `ready` and `close`; call them from one thread."""

    def __init__(
        self, uri: str, artifacts: Path | None, study: StudyInfo, resume: bool, warn: Callable[[str], None]
    ) -> None:
        self._uri = uri
        self._artifacts = artifacts
        self._study = study
        self._resume = resume
        self._warn = warn
        self._warned = False
        self._queue: queue.SimpleQueue[_Task | _Must | _Epoch | None] = queue.SimpleQueue()
        self._epochs: dict[int, list[_Epoch]] = {}
        # Of each trial the fold under way, and the epochs before it.
        self._folds: dict[int, tuple[float, int]] = {}
        self._owed: deque[_Task] = deque()
        self._retry_at = 0.0
        self._opened = threading.Event()
        self._failure: Exception | None = None
        self._run_id = ""
        self._thread = threading.Thread(target=self._work, name="hpo-tracker", daemon=True)
        self._thread.start()

    @classmethod
    def open(
        cls,
        uri: str,
        artifacts: Path | None,
        study: StudyInfo,
        *,
        resume: bool = False,
        warn: Callable[[str], None],
    ) -> "Tracker":
        """Begins to open a store, which takes some seconds where a database is to be created; see `ready`.

        Args:
            uri: MLflow tracking URI: a server's or a database's.
            artifacts: Folder of a new experiment's artifacts; None leaves it to the store, as a server must be.
            study: What is logged with the study.
            resume: Whether the study was run before: its run is found again, and trials are added to it.
            warn: Called once, from the tracker's thread, when the store fails while trials are running.
        """
        set_environment()
        server = uri.startswith(("http:", "https:"))
        return cls(uri, None if server else artifacts, study, resume, warn)

    def ready(self) -> str:
        """Waits until the store is open; returns the id of the study's MLflow run.

        Raises:
            UserError: the store cannot be reached, or refuses.
        """
        self._opened.wait()
        if self._failure is None:
            return self._run_id
        if isinstance(self._failure, HpoError):
            raise self._failure
        raise cannot_open(self._uri, self._failure) from None

    def start_trial(self, record: TrialRecord) -> None:
        """A trial was handed out."""
        self._queue.put(lambda store: store.start(record))

    def epoch(self, trial: int, epoch: int, metrics: Mapping[str, float]) -> None:
        """An epoch of a trial was done; the first epoch is 1."""
        step = epoch
        if FOLD in metrics:
            if self._folds.get(trial, (0.0, 0))[0] != metrics[FOLD]:
                self._folds[trial] = metrics[FOLD], epoch - 1
            step = epoch - self._folds[trial][1]
        self._queue.put(_Epoch(trial, epoch, step, dict(metrics), int(time.time() * 1000)))

    def end_trial(self, record: TrialRecord) -> None:
        """A trial ended: complete, pruned or failed."""

        def end(store: "Store") -> None:
            self._flush(store, record.number)
            store.end(record)

        self._queue.put(_Must(end))

    def sync(self, records: Sequence[TrialRecord]) -> None:
        """Mends the runs of ended trials that are missing or unfinished; a second time changes nothing."""
        known = tuple(records)

        def sync(store: "Store") -> None:
            store.sync(known)

        self._queue.put(_Must(sync))

    def finish(self, ending: Ending) -> None:
        """The study ended."""
        self._queue.put(_Must(lambda store: store.finish(ending)))

    def close(self, timeout: float = 120.0) -> bool:
        """Waits until everything is told, at most `timeout` seconds; returns whether it was.

        What was not is told by `sync` when the study is resumed.
        """
        self._queue.put(None)
        self._thread.join(timeout)
        return not (self._thread.is_alive() or self._owed or self._failure)

    def _work(self) -> None:
        try:
            from hpo.tracking.store import Store

            store = Store(self._uri, self._artifacts, self._study, self._resume)
            self._run_id = store.run_id
        except Exception as error:  # whatever it is, `ready` raises it in the coordinator
            self._failure = error
            return
        finally:
            self._opened.set()
        self._serve(store)
        self._try(store, self._flush_all)
        self._drain(store)

    def _serve(self, store: "Store") -> None:
        flush_at = time.monotonic() + FLUSH_SECONDS
        while True:
            try:
                message = self._queue.get(timeout=max(0.0, flush_at - time.monotonic()))
            except queue.Empty:
                message = self._flush_all
                flush_at = time.monotonic() + FLUSH_SECONDS
            if message is None:
                return
            if isinstance(message, _Epoch):
                self._epochs.setdefault(message.trial, []).append(message)
            elif isinstance(message, _Must):
                self._owed.append(message.task)
            else:
                self._try(store, message)
            self._settle(store)
            if time.monotonic() >= flush_at:
                self._try(store, self._flush_all)
                flush_at = time.monotonic() + FLUSH_SECONDS

    def _settle(self, store: "Store") -> None:
        while self._owed and time.monotonic() >= self._retry_at:
            self._try(store, self._owed.popleft(), must=True)

    def _drain(self, store: "Store") -> None:
        """A last try of what is owed; given up where nothing of it succeeds."""
        failures = 0
        for _ in range(len(self._owed)):
            failures = 0 if self._try(store, self._owed.popleft(), must=True) else failures + 1
            if failures == 3:
                return

    def _try(self, store: "Store", task: _Task, must: bool = False) -> bool:
        if not must and time.monotonic() < self._retry_at:
            return False
        try:
            task(store)
        except Exception as error:  # tracking must never end training, whatever fails in it
            # At the back: a task that the store refuses must not hold up those that it would take.
            self._owed.extend([task] if must else [])
            self._retry_at = time.monotonic() + RETRY_SECONDS
            if not self._warned:
                self._warned = True
                reason = reason_of(self._uri, error)
                self._warn(
                    f"the MLflow store {masked(self._uri)} failed: {reason}\nTraining goes on; what is missing is "
                    "logged once the store is back, or when the study is resumed."
                )
            return False
        return True

    def _flush_all(self, store: "Store") -> None:
        for trial in tuple(self._epochs):
            self._flush(store, trial)

    def _flush(self, store: "Store", trial: int) -> None:
        from hpo.tracking.entities import points

        # Taken out first: epochs that the store did not take are told from the record when the trial ends.
        epochs = self._epochs.pop(trial, [])
        if epochs:
            told = [point for e in epochs for point in points(e.metrics, e.timestamp, e.step)]
            store.log_epochs(trial, told, epochs[-1].epoch)
