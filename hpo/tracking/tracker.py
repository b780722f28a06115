"""The tracker: a thread that tells MLflow what happens, so that training never waits for it."""

import os
import queue
import threading
import time
from collections.abc import Callable, Mapping, Sequence
from datetime import datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any, final

from hpo.errors import HpoError, UserError
from hpo.record import TrialRecord
from hpo.tracking.study_info import Ending, StudyInfo, masked

if TYPE_CHECKING:
    from hpo.tracking.store import Store

FLUSH_SECONDS = 1.0
"""The longest time that an epoch waits to be logged; one request for all epochs of a trial in it."""

RETRY_SECONDS = 10.0
"""How long a store that failed is left alone."""

# Read by MLflow when it is imported, and with each request. Epochs do not wait for a server that is away:
# what it missed is told when the trial ends.
_ENVIRONMENT = {
    "MLFLOW_DISABLE_TELEMETRY": "true",
    "DO_NOT_TRACK": "true",
    "MLFLOW_LOGGING_LEVEL": "ERROR",
    "MLFLOW_ENABLE_ARTIFACTS_PROGRESS_BAR": "false",
    "MLFLOW_SUPPRESS_PRINTING_URL_TO_STDOUT": "true",
    "MLFLOW_HTTP_REQUEST_MAX_RETRIES": "1",
    "MLFLOW_HTTP_REQUEST_TIMEOUT": "30",
}

_Task = Callable[["Store"], None]


@final
class Tracker:
    """Logs one study. All methods return at once, except `ready` and `close`; call them from one thread."""

    def __init__(
        self, uri: str, artifacts: Path | None, study: StudyInfo, resume: bool, warn: Callable[[str], None]
    ) -> None:
        self._uri = uri
        self._place = (uri, artifacts, study, resume)
        self._warn = warn
        self._warned = False
        self._queue: queue.SimpleQueue[_Task | tuple[int, Any] | None] = queue.SimpleQueue()
        self._points: dict[int, list[Any]] = {}
        self._owed: dict[int, TrialRecord] = {}
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
        for name, value in _ENVIRONMENT.items():
            os.environ.setdefault(name, value)
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
        reason = masked(self._uri, str(self._failure)).strip().splitlines() or [type(self._failure).__name__]
        raise UserError(
            f"the MLflow store {masked(self._uri)} cannot be opened: {reason[0]}\n"
            "Start it, or give another one with --set tracking.uri=URI (without it: mlflow.db in the home folder)."
        ) from None

    def start_trial(self, record: TrialRecord) -> None:
        """A trial was handed out."""
        self._queue.put(lambda store: store.start(record))

    def epoch(self, trial: int, epoch: int, metrics: Mapping[str, float]) -> None:
        """An epoch of a trial was done; the first epoch is 1."""
        self._queue.put((trial, (epoch, dict(metrics), datetime.now())))

    def end_trial(self, record: TrialRecord) -> None:
        """A trial ended: complete, pruned or failed."""
        self._queue.put(lambda store: self._end(store, record))

    def sync(self, records: Sequence[TrialRecord]) -> None:
        """Mends the runs of ended trials that are missing or unfinished; a second time changes nothing."""
        records = tuple(records)
        self._queue.put(lambda store: self._sync(store, records))

    def finish(self, ending: Ending) -> None:
        """The study ended."""
        self._queue.put(lambda store: store.finish(ending))

    def close(self, timeout: float = 120.0) -> bool:
        """Waits until everything is told, at most `timeout` seconds; returns whether it was.

        What was not is told by `sync` when the study is resumed.
        """
        self._queue.put(None)
        self._thread.join(timeout)
        return not (self._thread.is_alive() or self._warned or self._failure)
