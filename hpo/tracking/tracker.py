"""The tracker: a thread that tells MLflow what happens, so that training never waits for it."""

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
from hpo.tracking.address import cannot_open, quiet, reason_of, set_environment
from hpo.tracking.study_info import Ending, StudyInfo

if TYPE_CHECKING:
    from mlflow.entities import Metric

    from hpo.tracking.study_runs import Store
    from hpo.tracking.unlogged import Unlogged
    from hpo.training.messages import EpochDone

FLUSH_SECONDS = 1.0
"""The longest time that an epoch waits to be logged; what comes in it is written together."""

RETRY_SECONDS = 10.0
"""How long a store that failed is left alone; at the end of the study, `LAST_SECONDS`."""

LAST_SECONDS = 1.0

LAST_TRIES = 3
"""So many failures in a row, once the study has ended, and the rest is left to the next command."""

_GLANCE = 0.2
"""How often whoever waits for the end looks how far it is."""

_MOMENT = 1.0
"""Waiting that is not worth a word."""


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
        # What happened, for the thread to add to what is untold.
        self._events: queue.SimpleQueue[Callable[[Unlogged], None]] = queue.SimpleQueue()
        self._sync: tuple[Sequence[TrialRecord], Sequence[Metric]] | None = None
        self._ending: Ending | None = None
        self._closing = threading.Event()
        self._left = 0
        self._size = 1
        self._failures = 0
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
        patient: bool = False,
        warn: Callable[[str], None],
    ) -> "Tracker":
        """Begins to open a store, which takes some seconds where a database is to be created; see `ready`.

        Args:
            uri: MLflow tracking URI: a server's or a database's.
            artifacts: Folder of a new experiment's artifacts; None leaves it to the store, as a server must be.
            study: What is logged with the study.
            resume: Whether the study was run before: its run is found again, and trials are added to it.
            patient: Whether a store that cannot be opened is tried again and again; nobody waits for it to be ready.
            warn: Called once, from the tracker's thread, when the store fails while trials are running.
        """
        set_environment()
        server = uri.startswith(("http:", "https:"))

        def store() -> "Store":
            from hpo.tracking.study_runs import Store

            return Store(uri, None if server else artifacts, study, resume)

        return cls(uri, store, study, patient, warn)

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
        self._events.put(lambda untold: untold.started(record))

    def epoch(self, event: "EpochDone") -> None:
        """A trial finished an epoch."""
        timestamp = int(time.time() * 1000)
        self._events.put(lambda untold: untold.epoch(event, timestamp))

    def end_trial(self, record: TrialRecord) -> None:
        """A trial ended: complete, pruned or failed."""
        self._events.put(lambda untold: untold.ended(record))

    def sync(self, records: Sequence[TrialRecord]) -> None:
        """Mends the runs of ended trials that are missing or unfinished; a second time changes nothing."""
        known = tuple(records)

        def sync(untold: "Unlogged") -> None:
            self._sync = known, untold.know(known)

        self._events.put(sync)

    def finish(self, ending: Ending) -> None:
        """The study ended; trials that were started and have not ended are lost."""

        def finish(untold: "Unlogged") -> None:
            untold.give_up(f"the study's run ended before it: {ending.status}")
            self._ending = ending

        self._events.put(finish)

    def close(self, waiting: Callable[[int], None] = lambda left: None, timeout: float = 60.0) -> bool:
        """Waits until everything is told; returns whether it was.

        What was not is told by `sync` when the study is resumed, or by `hpo log`.

        Args:
            waiting: called while it takes longer than a moment, with the number of runs that are left.
            timeout: seconds in which nothing could be told, and it is given up.
        """
        self._closing.set()
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
                store = self._open()
                self._serve(store)
                store.close()
        except Exception as error:  # whatever it is, `ready` raises it in the coordinator
            self._failure = error
        finally:
            self._opened.set()

    def _open(self) -> "Store":
        while True:
            last = self._closing.is_set()
            try:
                store = self._make_store()
            except Exception as error:
                if last or not self._patient or isinstance(error, HpoError):
                    raise
                self._complain(error)
                self._closing.wait(RETRY_SECONDS)
            else:
                self._run_id = store.run_id
                self._opened.set()
                return store

    def _serve(self, store: "Store") -> None:
        from hpo.tracking.unlogged import Unlogged

        untold = Unlogged(self._study.objective)
        self._size = store.at_once
        while True:
            # All that happens comes before the closing.
            closing = self._closing.wait(RETRY_SECONDS if self._failures else FLUSH_SECONDS)
            while not self._events.empty():
                self._try(partial(self._events.get(), untold))
            self._tell(store, untold)
            if closing and (not self._left or self._failures >= LAST_TRIES):
                return
            if closing:
                time.sleep(LAST_SECONDS)

    def _tell(self, store: "Store", untold: "Unlogged") -> None:
        """Tells what there is, until the store fails."""
        self._count(untold)
        if self._sync is not None and self._try(partial(self._compare, store, untold, *self._sync)):
            self._sync = None
        while untold:
            self._count(untold)
            news, points = untold.take(self._size)
            if not self._try(partial(store.write, news, points)):
                untold.give_back(news, points)
                alone, self._size = self._size == 1, 1
                self._count(untold)
                if not alone:
                    return
                break
            self._size = min(2 * self._size, store.at_once)
        # What the store refuses of a trial does not leave the study's run without its end.
        if self._ending is not None and self._try(partial(store.finish, self._ending)):
            self._ending = None
        self._count(untold)

    @staticmethod
    def _compare(
        store: "Store", untold: "Unlogged", records: "Sequence[TrialRecord]", points: "Sequence[Metric]"
    ) -> None:
        untold.missed(*store.missing(records, points))

    def _count(self, untold: "Unlogged") -> None:
        self._left = len(untold) + (self._sync is not None) + (self._ending is not None)

    def _try(self, task: Callable[[], None]) -> bool:
        try:
            task()
        except Exception as error:  # tracking must never end training, whatever fails in it
            self._failures += 1
            self._complain(error)
            return False
        self._failures = 0
        return True

    def _complain(self, error: Exception) -> None:
        if self._warned:
            return
        self._warned = True
        reason = reason_of(self._uri, error)
        with suppress(Exception):  # a terminal that is gone must not end the logging
            self._warn(
                f"the MLflow store {masked(self._uri)} failed: {reason}\nTraining goes on; what is missing is "
                "logged once the store is back, or when the study is resumed."
            )
