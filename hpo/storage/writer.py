"""A thread that does what is to be done with a store, one after the other, and waits for the store in its stead."""

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
"""How long the coordinator waits for a store that works; one that is slower counts as away."""
WATCH_SECONDS = 5.0
"""How often the study's lock is looked at while nothing is written."""
_WARN_AFTER = 0.5
"""What is over sooner goes unsaid."""
# A store counts as away only while it is tried, and fails.
_TRIED_WITHIN = 60.0

_T = TypeVar("_T")


class NotNow(Exception):
    """The store does not answer; nothing of what was asked for is in memory, all of it may be in the store."""


@dataclass(eq=False)
class _Task:
    do: Callable[[], Any]
    again: bool
    """Whether it may be done again where it failed: it then comes to the same, though it had succeeded unnoticed."""
    waited_for: bool
    """Whether somebody is told what comes of it; what fails otherwise ends the writer."""
    future: "Future[Any]" = field(default_factory=Future)


@dataclass
class _Trouble:
    """A store that is away."""

    since: float
    reason: str
    failures: int = 0
    last: float = 0.0
    said: bool = False

    @property
    def again_at(self) -> float:
        """When it is to be tried again, by `time.monotonic`."""
        return self.last + min(5.0, 0.1 * 2.0 ** min(self.failures, 10))


@final
class Writer:
    """One store's thread. It never writes without the study's lock, and watches over that while it is idle."""

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
        """Has something done, in its turn; again and again until it succeeds. It must come to the same if done twice.

        Raises:
            Exception: what ended the writer.
        """
        self._submit(_Task(do, again=True, waited_for=False))

    def call(self, do: Callable[[], _T]) -> _T:
        """Has something done in its turn, waits for it as long as a store is waited for, and returns its result.

        Raises:
            StoreAway: the store was away for too long.
            Exception: what the call itself raises.
        """
        task = self._submit(_Task(do, again=True, waited_for=True))
        while not self._wait(task.future.done, 0.5):
            self.check()
        result: _T = task.future.result()
        return result

    def try_call(self, do: Callable[[], _T]) -> _T:
        """As `call`, but once, and only while the store answers.

        Raises:
            NotNow: it does not; what was asked for may happen all the same, or have happened.
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
        """Whether it makes sense to ask the store for something now."""
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
        """Waits until all is done, at most so long, by default as long as a store that works may take.

        Returns at once where the store is known to be away; whether all is done.
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
        """Waits until all is done, at most so long; returns whether it is.

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
        """Raises what ended the writer, if anything did.

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
        """Ends the thread, after what it is doing."""
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
        """Waits, listening to Ctrl-C."""
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
        """The next task, or one that merely looks at the lock where there was none for a while."""
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
        except BaseException as error:  # whoever waits for it is told
            if not task.waited_for or isinstance(error, StudyBusy | StoreAway | Released):
                self._error = self._as_said(error)
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

    def _as_said(self, error: BaseException) -> BaseException:
        """A database that fails for good, as the user is told."""
        if isinstance(error, HpoError) or not is_database_error(error):
            return error
        return StoreAway(f"storage {masked(self._url)} failed: {masked(self._url, reason_of(error))}")

    # Of both

    def _note(self, since: float, reason: str) -> None:
        """Notes that the store is away."""
        with self._changed:
            trouble = self._trouble = self._trouble or _Trouble(since, "")
            trouble.reason, trouble.last = masked(self._url, reason), time.monotonic()
            trouble.failures += 1
            say = not trouble.said and trouble.last - trouble.since >= _WARN_AFTER
            trouble.said = trouble.said or say
            self._changed.notify_all()
        if say:
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
        if trouble is not None and trouble.said:
            self._warn(f"storage {masked(self._url)} is back")
