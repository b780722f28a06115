"""The line between a running trial and its engine, for trials that run in a thread or process of their own."""

import queue
from collections.abc import Callable

from hpo.training.messages import Event, StopReason


class QueueLine:
    """A `Line` whose answers arrive from another thread."""

    def __init__(self, emit: Callable[[Event], None]) -> None:
        self.emit = emit
        self._verdicts: queue.SimpleQueue[None] = queue.SimpleQueue()
        self._reason: StopReason | None = None

    def proceed(self) -> None:
        """Answers the last EpochDone."""
        self._verdicts.put(None)

    def stop(self, reason: StopReason) -> None:
        """Answers the last EpochDone, or interrupts the running epoch."""
        self._reason = self._reason or reason
        self._verdicts.put(None)

    def stop_reason(self) -> StopReason | None:
        """Why to stop now; None: continue."""
        return self._reason

    def verdict(self) -> StopReason | None:
        """Waits for the answer to the last EpochDone."""
        if self._reason is None:
            self._verdicts.get()
        return self._reason
