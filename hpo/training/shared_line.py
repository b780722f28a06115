"""The line of jobs that a worker was given together: their events go out as several, and one answer is for all."""

from dataclasses import replace

from hpo.training.messages import Event, Line, Order, Several, Started


class SharedLine:
    """The line of several jobs: their events go out together, and one answer is for all of them."""

    def __init__(self, first: int, line: Line) -> None:
        self._first = first
        self._line = line
        self._events: list[Event] = []
        self.answer: Order | None = None

    def emit(self, event: Event) -> None:
        """Keeps an event until `send`."""
        self._events.append(event)

    def send(self) -> None:
        """Sends what was kept."""
        events, self._events = tuple(self._events), []
        if events:
            self._line.emit(Several(self._first, events))

    def stop_reason(self) -> Order | None:
        """The line's."""
        return self._line.stop_reason()

    def wait(self) -> None:
        """Waits for the answer to all that was sent."""
        self.answer = self._line.verdict()

    def verdict(self) -> Order | None:
        """The answer that was waited for."""
        return self.answer


class TurnLine(SharedLine):
    """The line of one of several jobs that train one after the other."""

    def __init__(self, first: int, line: Line, why: str | None) -> None:
        super().__init__(first, line)
        self._why = why

    def emit(self, event: Event) -> None:
        """Sends an event at once."""
        if isinstance(event, Started):
            event = replace(event, note=event.note or self._why)
        super().emit(event)
        self.send()

    def verdict(self) -> Order | None:
        """Waits for the answer."""
        self.wait()
        return self.answer
