"""A thread that runs all reads and writes of a store, one after the other, and waits for a store that is away."""

import math
import threading
import time
from collections import deque
from collections.abc import Callable
from concurrent.futures import Future
from dataclasses import dataclass, field
from typing import Any, TypeVar, final

from hpo.errors import HpoError, StoreAway, StudyBusy
from hpo.storage import database
from hpo.storage.abstract_lock import Lock, Released
from hpo.storage.database import Warn, duration, is_away, is_database_error, reason_of, to_stderr
from hpo.text.urls import masked

PROMPT_SECONDS = 2.0
"""How long the coordinator waits for a store that works; a slower store counts as away."""
WATCH_SECONDS = 5.0
"""How often the study's lock is checked while nothing is written, in seconds."""
_WARN_AFTER = 0.5
"""A store that is away for fewer seconds causes no warning."""
# A store counts as away only if a try failed within these last seconds.
_TRIED_WITHIN = 60.0

_T = TypeVar("_T")


class NotNow(Exception):
    """The store does not answer. Nothing of the call is in memory, but all of it may have reached the store."""


@dataclass(eq=False)
class _Task:
    do: Callable[[], Any]
    again: bool
    """Whether it may be repeated after a failure: a second run has no further effect, even if the first succeeded."""
    waited_for: bool
    """Whether a caller waits for its result. The failure of any other task ends the writer."""
    future: "Future[Any]" = field(default_factory=Future)


@dataclass
class _Trouble:
    """A store that is away."""

    since: float
    reason: str
    failures: int = 0
    last: float = 0.0
    warned: bool = False

    @property
    def again_at(self) -> float:
        """When to try the store again, by `time.monotonic`."""
        return self.last + min(5.0, 0.1 * 2.0 ** min(self.failures, 10))


@final
class Writer:
    """The thread of one store. It never writes without the study's lock, and checks the lock while it is idle."""

    def __init__(self, url: str, lock: Lock | None = None, warn: Warn | None = None) -> None:
        self._url = url
        self._lock = lock
        self._warn = warn or to_stderr
        self._tasks: deque[_Task] = deque()
        self._changed = threading.Condition()
        self._began: float | None = None
        self._trouble: _Trouble | None = None
        self._error: BaseException | None = None
        self._took = 0.0
        self._closed = False
        self._thread: threading.Thread | None = None

    def post(self, do: Callable[[], None]) -> None:
        """Queues a call, which is repeated until it succeeds; a second run must have no further effect.

        Raises:
            Exception: the error that ended the writer.
        """
        self._submit(_Task(do, again=True, waited_for=False))

    def call(self, do: Callable[[], _T]) -> _T:
        """Queues a call, waits for it up to AWAY_SECONDS while the store is away, and returns its result.

        Raises:
            StoreAway: the store was away for too long.
            Exception: the error that the call itself raises.
        """
        task = self._submit(_Task(do, again=True, waited_for=True))
        while not self._wait(task.future.done, 0.5):
            self.check()
        result: _T = task.future.result()
        return result

    def try_call(self, do: Callable[[], _T]) -> _T:
        """Like `call`, but tries only once, and only while the store answers.

        Raises:
            NotNow: the store does not answer; the call may have been carried out, or may be later, all the same.
        """
        if not self.answers:
            raise NotNow
        patience = 0.05 if self._trouble else max(PROMPT_SECONDS, min(30.0, 3 * self._took))
        task = self._submit(_Task(do, again=False, waited_for=True))
        if not self._wait(task.future.done, patience):
            task.future.cancel()
            self._note_slow()
            raise NotNow
        error = task.future.exception()
        if error is not None and is_away(error):
            raise NotNow from error
        result: _T = task.future.result()
        return result

    @property
    def answers(self) -> bool:
        """Whether the store works, or is due for another try."""
        with self._changed:
            if self._trouble is None:
                return True
            return not self._tasks and self._began is None and time.monotonic() >= self._trouble.again_at

    @property
    def busy(self) -> bool:
        """Whether something is still to be done."""
        with self._changed:
            return bool(self._tasks) or self._began is not None

    def settle(self, seconds: float | None = None) -> bool:
        """Waits until everything is done, for at most `seconds`; returns whether it is.

        By default it waits as long as a store that works may take, and not at all if the store is known to be away.
        """
        if seconds is None:
            with self._changed:
                trouble = self._trouble
            self._wait(lambda: not self.busy or self._trouble is not None, 0.0 if trouble else PROMPT_SECONDS)
            if self.busy:
                self._note_slow()
        else:
            self._wait(lambda: not self.busy, seconds)
        return not self.busy

    def drain(self, seconds: float = math.inf) -> bool:
        """Waits until everything is done, for at most `seconds`; returns whether it is.

        Raises:
            StoreAway: the store has been away for too long.
        """
        until = time.monotonic() + seconds
        while not self.settle(max(0.0, min(0.5, until - time.monotonic()))):
            self.check()
            if time.monotonic() >= until:
                return False
        self.check()
        return True

    def check(self) -> None:
        """Raises the error that ended the writer, if there is one.

        Raises:
            StudyBusy: another process has taken the study.
            StoreAway: the store has been away for too long.
        """
        self._note_slow()
        with self._changed:
            if self._error is not None:
                raise self._error
            trouble, now = self._trouble, time.monotonic()
            tried = trouble is not None and (self._tasks or self._began or now - trouble.last < _TRIED_WITHIN)
            if trouble is None or not tried or now - trouble.since < database.AWAY_SECONDS:
                return
        raise StoreAway(
            f"storage {masked(self._url)} has been away for {duration(database.AWAY_SECONDS)}: {trouble.reason}\n"
            "what was written before is kept; the same command trains again the trials that ended since"
        )

    def close(self) -> None:
        """Ends the thread after its present task."""
        with self._changed:
            self._closed = True
            self._changed.notify_all()

    def _submit(self, task: _Task) -> _Task:
        with self._changed:
            if self._error is not None:
                raise self._error
            self._tasks.append(task)
            if self._thread is None:
                self._thread = threading.Thread(target=self._work, name="hpo-store", daemon=True)
                self._thread.start()
            self._changed.notify_all()
        return task

    def _wait(self, until: Callable[[], bool], seconds: float) -> bool:
        """Waits; Ctrl-C is noticed meanwhile."""
        with self._changed:
            return self._changed.wait_for(lambda: until() or self._error is not None, seconds) and until()

    # In the thread

    def _work(self) -> None:
        while (task := self._next()) is not None:
            if task.future.set_running_or_notify_cancel():
                self._do(task)
            with self._changed:
                if self._tasks and self._tasks[0] is task:
                    self._tasks.popleft()
                self._began = None
                self._changed.notify_all()

    def _next(self) -> _Task | None:
        """The next task; if there was none for a while, one that only checks the lock."""
        with self._changed:
            while not self._closed and self._error is None:
                if self._changed.wait_for(lambda: bool(self._tasks) or self._closed, WATCH_SECONDS):
                    self._began = time.monotonic()
                    return None if self._closed else self._tasks[0]
                if self._lock is not None:
                    return _Task(lambda: None, again=True, waited_for=False)
        return None

    def _do(self, task: _Task) -> None:
        try:
            result = self._attempts(task)
        except BaseException as error:  # the caller that waits for it gets the error
            if not task.waited_for or isinstance(error, StudyBusy | StoreAway | Released):
                self._error = self._for_user(error)
                error = self._error
            task.future.set_exception(error)
        else:
            task.future.set_result(result)

    def _attempts(self, task: _Task) -> Any:
        while True:
            began = time.monotonic()
            try:
                if self._lock is not None:
                    self._lock.ensure()
                result = task.do()
            except Exception as error:
                if not is_away(error):
                    raise
                self._note(began, reason_of(error))
                if not task.again:
                    raise
            else:
                self._took = time.monotonic() - began
                self._recovered()
                return result
            with self._changed:
                pause = self._trouble.again_at - time.monotonic() if self._trouble else 0.0
                if self._changed.wait_for(lambda: self._closed, max(0.0, pause)):
                    raise StoreAway(f"storage {masked(self._url)} was given up")

    def _for_user(self, error: BaseException) -> BaseException:
        """The error to show the user, if a database fails for good."""
        if isinstance(error, HpoError) or not is_database_error(error):
            return error
        return StoreAway(f"storage {masked(self._url)} failed: {masked(self._url, reason_of(error))}")

    # In the thread and outside it

    def _note(self, since: float, reason: str) -> None:
        """Remembers that the store is away; warns if it has been for a while."""
        with self._changed:
            trouble = self._trouble = self._trouble or _Trouble(since, "")
            trouble.reason, trouble.last = masked(self._url, reason), time.monotonic()
            trouble.failures += 1
            warn = not trouble.warned and trouble.last - trouble.since >= _WARN_AFTER
            trouble.warned = trouble.warned or warn
            self._changed.notify_all()
        if warn:
            limit = duration(database.AWAY_SECONDS)
            self._warn(
                f"storage {masked(self._url)} is away: {trouble.reason}\n"
                f"What is to be written waits, and the storage is tried again for {limit}."
            )

    def _note_slow(self) -> None:
        with self._changed:
            began = self._began
            slow = self._trouble is None and began is not None and time.monotonic() - began > PROMPT_SECONDS
        if slow and began is not None:
            self._note(began, "it does not answer")

    def _recovered(self) -> None:
        with self._changed:
            trouble, self._trouble = self._trouble, None
        if trouble is not None and trouble.warned:
            self._warn(f"storage {masked(self._url)} is back")
