"""The tracker: a thread that logs to MLflow, so that training never waits for it."""

import math
import queue
import threading
import time
from collections.abc import Callable, Sequence
from contextlib import suppress
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, final

from hpo.errors import HpoError
from hpo.study.record import TrialRecord
from hpo.text.urls import masked
from hpo.tracking.address import cannot_open, quiet, reason_of, refuses, set_environment
from hpo.tracking.study_info import Ending, StudyInfo

if TYPE_CHECKING:
    from mlflow.entities import Metric

    from hpo.tracking.study_runs import Store
    from hpo.tracking.unlogged import Unlogged
    from hpo.training.messages import EpochDone

FLUSH_SECONDS = 1.0
"""The longest time that an epoch waits to be logged; all that happens in it is written together."""

RETRY_SECONDS = 10.0
"""How long to wait after a failure of the store, while the study runs."""

LAST_SECONDS = 1.0
"""How long to wait after a failure of the store, once the study has ended."""

LAST_TRIES = 3
"""After this number of failures in a row, once the study has ended, the rest is left to the next command."""

AWAY_TIMEOUT = 15.0
"""A store that has failed just before the study ended is waited for no longer than this, in seconds."""

_GLANCE = 0.2
"""How often `close` looks how much is left, in seconds."""

_MOMENT = 1.0
"""A shorter wait is not reported, in seconds."""


@final
class Tracker:
    """Logs one study. All methods return at once, except `ready` and `close`; call them from one thread."""

    def __init__(
        self, uri: str, store: "Callable[[], Store]", study: StudyInfo, patient: bool, warn: Callable[[str], None]
    ) -> None:
        self._uri = uri
        self._make_store = store
        self._study = study
        self._patient = patient
        self._warn = warn
        self._warned = False
        # What happened; the thread adds it to `Unlogged`.
        self._events: queue.SimpleQueue[Callable[[Unlogged], None]] = queue.SimpleQueue()
        self._sync: tuple[Sequence[TrialRecord], Sequence[Metric]] | None = None
        self._ending: Ending | None = None
        self._closing = threading.Event()
        self._left = 0
        self._size = 1
        self._failures = 0
        # Set once the store is open, or the first attempt to open it has failed.
        self._tried = threading.Event()
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
        patient: bool = False,
        warn: Callable[[str], None],
    ) -> "Tracker":
        """Begins to open a store, which takes some seconds if a database must be created; see `ready`.

        Args:
            uri: MLflow tracking URI: a server's or a database's.
            artifacts: Folder of a new experiment's artifacts; None, and always with a server: the store chooses it.
            study: What is logged with the study.
            resume: Whether the study was run before. Its run is looked up, and trials are added to it.
            patient: Whether to try a store that cannot be opened again and again, unless it refuses the user.
            warn: Called once, from the tracker's thread, when the store fails while trials are running.
        """
        set_environment()
        server = uri.startswith(("http:", "https:"))

        def store() -> "Store":
            from hpo.tracking.study_runs import Store

            return Store(uri, None if server else artifacts, study, resume)

        return cls(uri, store, study, patient, warn)

    @property
    def left(self) -> int:
        """How many runs have something that is not logged yet."""
        return self._left

    def ready(self, seconds: float | None = None) -> str:
        """Waits until the store is open; returns the id of the study's MLflow run.

        With `patient` the id is empty if the first attempt to open the store failed, or takes longer than `seconds`.

        Raises:
            UserError: the store cannot be reached, or refuses.
        """
        self._tried.wait(seconds)
        if self._failure is None:
            return self._run_id
        if isinstance(self._failure, HpoError):
            raise self._failure
        raise cannot_open(self._uri, self._failure) from None

    def start_trial(self, record: TrialRecord) -> None:
        """A trial was handed out."""
        self._events.put(lambda unlogged: unlogged.started(record))

    def epoch(self, event: "EpochDone") -> None:
        """A trial finished an epoch."""
        timestamp = int(time.time() * 1000)
        self._events.put(lambda unlogged: unlogged.epoch(event, timestamp))

    def pause_trial(self, record: TrialRecord) -> None:
        """A trial paused; `start_trial` follows once more if it goes on."""
        self._events.put(lambda unlogged: unlogged.paused(record))

    def end_trial(self, record: TrialRecord) -> None:
        """A trial ended: complete, pruned or failed."""
        self._events.put(lambda unlogged: unlogged.ended(record))

    def sync(self, records: Sequence[TrialRecord]) -> None:
        """Repairs the runs of ended trials that are missing or unfinished; a second call changes nothing."""
        known = tuple(records)

        def sync(unlogged: "Unlogged") -> None:
            self._sync = known, unlogged.resume(known)

        self._events.put(sync)

    def finish(self, ending: Ending) -> None:
        """The study ended; trials that were started and have not ended are marked as paused, or else as lost."""

        def finish(unlogged: "Unlogged") -> None:
            unlogged.give_up(f"the study's run ended before it: {ending.status}")
            self._ending = ending

        self._events.put(finish)

    def close(self, waiting: Callable[[int], None] = lambda left: None, timeout: float = 60.0) -> bool:
        """Waits until everything is logged; returns whether it was.

        The rest is logged by `sync` when the study is resumed, or by `hpo log`.

        Args:
            waiting: called with the number of runs that are left, while it takes longer than a second.
            timeout: gives up when nothing could be logged for this number of seconds; AWAY_TIMEOUT at most if the
                store is away.
        """
        self._closing.set()
        if self._failures:
            timeout = min(timeout, AWAY_TIMEOUT)
        least, began = math.inf, time.monotonic()
        since = began
        while self._thread.is_alive() and time.monotonic() - since < timeout:
            self._thread.join(_GLANCE)
            if self._left < least:
                least, since = self._left, time.monotonic()
            if self._thread.is_alive() and self._left and time.monotonic() - began > _MOMENT:
                waiting(self._left)
        if self._failure is not None and self._patient:
            self._complain(self._failure)
        return not (self._thread.is_alive() or self._left or self._failure)

    def _work(self) -> None:
        try:
            with quiet():
                from hpo.tracking.unlogged import Unlogged

                unlogged = Unlogged(self._study.objective)
                store = self._open(unlogged)
                self._serve(store, unlogged)
                store.close()
        except Exception as error:  # `ready` raises it in the coordinator
            self._failure = error
        finally:
            self._tried.set()

    def _open(self, unlogged: "Unlogged") -> "Store":
        while True:
            last = self._closing.is_set()
            try:
                store = self._make_store()
            except Exception as error:
                wrong = isinstance(error, HpoError) or (refuses(error) and not self._tried.is_set())
                if not self._patient or wrong:
                    raise
                self._failures += 1
                self._complain(error)
                self._tried.set()
                # Whatever happened was queued before `close` was called.
                self._take_events(unlogged)
                if last and self._failures >= LAST_TRIES:
                    raise
                time.sleep(LAST_SECONDS) if last else self._closing.wait(RETRY_SECONDS)
            else:
                self._failures = 0
                self._run_id = store.run_id
                self._tried.set()
                return store

    def _take_events(self, unlogged: "Unlogged") -> None:
        while not self._events.empty():
            self._try(partial(self._events.get(), unlogged), counts=False)
        if self._failures:
            unlogged.shed()
        self._count(unlogged)

    def _serve(self, store: "Store", unlogged: "Unlogged") -> None:
        self._size = store.batch_size
        while True:
            # Whatever happened was queued before `close` was called.
            closing = self._closing.wait(RETRY_SECONDS if self._failures else FLUSH_SECONDS)
            self._take_events(unlogged)
            self._write(store, unlogged)
            if closing and (not self._left or self._failures >= LAST_TRIES):
                return
            if closing:
                time.sleep(LAST_SECONDS)

    def _write(self, store: "Store", unlogged: "Unlogged") -> None:
        """Logs all there is, until the store fails.

        Earlier runs come first: what is compared with them later would end the runs that this process has begun.
        """
        self._count(unlogged)
        compared = self._sync is None or self._try(partial(self._compare, store, unlogged, *self._sync))
        if compared:
            self._sync = None
        elif not (self._closing.is_set() and self._failures >= LAST_TRIES):
            return
        while compared and unlogged:
            self._count(unlogged)
            news, points = unlogged.take(self._size)
            if not self._try(partial(store.write, news, points)):
                unlogged.give_back(news, points)
                alone, self._size = self._size == 1, 1
                self._count(unlogged)
                if not alone:
                    return
                break
            self._size = min(2 * self._size, store.batch_size)
        # Even if the store refuses a trial, or cannot compare, the study's run gets its end.
        if self._ending is not None and self._try(partial(store.finish, self._ending)):
            self._ending = None
        self._count(unlogged)

    @staticmethod
    def _compare(
        store: "Store", unlogged: "Unlogged", records: "Sequence[TrialRecord]", points: "Sequence[Metric]"
    ) -> None:
        unlogged.add_missing(*store.missing(records, points))

    def _count(self, unlogged: "Unlogged") -> None:
        self._left = len(unlogged) + (self._sync is not None) + (self._ending is not None)

    def _try(self, task: Callable[[], None], counts: bool = True) -> bool:
        """Runs a task; returns whether it succeeded. `counts`: whether it shows if the store works."""
        try:
            task()
        except Exception as error:  # tracking must never end training, whatever fails in it
            self._failures += counts
            self._complain(error)
            return False
        self._failures = 0 if counts else self._failures
        return True

    def _complain(self, error: Exception) -> None:
        if self._warned:
            return
        self._warned = True
        reason = reason_of(self._uri, error)
        with suppress(Exception):  # a terminal that is gone must not end the logging
            self._warn(
                f"the MLflow store {masked(self._uri)} failed: {reason}\nTraining goes on; what is missing is "
                "logged once the store is back, or by the next command."
            )
