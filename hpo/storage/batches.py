"""What is only in memory goes to the database in batches, each in one transaction."""

import threading
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import final

from hpo.storage.write_trials import End, Unwritten
from hpo.storage.writer import Writer

Write = Callable[[Mapping[int, Unwritten], Sequence[End]], None]
"""Writes changes of running trials, and ends of some of them."""


@final
class _Batch:
    """What is to be written in one transaction; changes are added until the writing begins."""

    def __init__(self) -> None:
        self._changes: dict[int, Unwritten] = {}
        self._ends: list[End] = []
        self._begun = False
        self._lock = threading.Lock()

    def add(self, changes: Mapping[int, Unwritten], end: End | None) -> bool:
        """Adds changes of running trials, and the end of one of them; returns False once the writing has begun."""
        with self._lock:
            if self._begun:
                return False
            for trial_id, change in changes.items():
                self._changes.setdefault(trial_id, Unwritten()).add(change)
            self._ends += [] if end is None else [end]
        return True

    def begin(self) -> tuple[Mapping[int, Unwritten], Sequence[End]]:
        """What is to be written; from now on nothing is added."""
        with self._lock:
            self._begun = True
        return self._changes, self._ends


@final
class Batches:
    """Has batches written by the thread of the store; what comes while one waits for its turn goes with it."""

    def __init__(self, write: Write, writer: Writer) -> None:
        self._write, self._writer = write, writer
        self._last: _Batch | None = None
        self._hurried = True
        self.posted = time.monotonic()
        """When something was last to be written, by `time.monotonic`."""

    def post(self, changes: Mapping[int, Unwritten], end: End | None = None) -> None:
        """Has changes written, and the end of a trial; if there is neither, nothing is done."""
        if not changes and end is None:
            return
        self.posted = time.monotonic()
        if self._last is None or not self._last.add(changes, end):
            batch = self._last = _Batch()
            batch.add(changes, end)
            self._writer.post(lambda: self._write(*batch.begin()))

    def settle(self) -> None:
        """Waits until all is written, except in a block `unhurried`; see `Writer.settle`."""
        if self._hurried:
            self._writer.settle()

    @contextmanager
    def unhurried(self) -> Iterator[None]:
        """Within the block nobody waits until what is written has reached the database."""
        self._hurried = False
        try:
            yield
        finally:
            self._hurried = True
