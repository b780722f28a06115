"""The line between a running trial and its engine, for trials that run in a thread or process of their own."""

import queue
from collections.abc import Callable

from hpo.training.messages import Event, Order, Started, StopReason


class QueueLine:
    """A `Line` whose answers arrive from another thread."""

    def __init__(self, emit: Callable[[Event], None]) -> None:
        self._emit = emit
        self._verdicts: queue.SimpleQueue[None] = queue.SimpleQueue()
        self._order: Order | None = None
        self._may_pause = False

    def emit(self, event: Event) -> None:
        """Sends an event."""
        if isinstance(event, Started):
            self._may_pause = event.trains_through is None
        self._emit(event)

    def proceed(self) -> None:
        """Answers the last EpochDone."""
        self._verdicts.put(None)

    def stop(self, reason: StopReason) -> None:
        """Answers the last EpochDone, or interrupts the running epoch."""
        if self._order in (None, "pause"):
            self._order = reason
        self._verdicts.put(None)

    def pause(self) -> None:
        """The same, to pause; a trial that cannot pause trains on."""
        self._order = self._order or "pause"
        self._verdicts.put(None)

    def stop_reason(self) -> Order | None:
        """Why to stop now; None: continue."""
        return None if self._order == "pause" and not self._may_pause else self._order

    def verdict(self) -> Order | None:
        """Waits for the answer to the last EpochDone."""
        if self.stop_reason() is None:
            self._verdicts.get()
        return self.stop_reason()
