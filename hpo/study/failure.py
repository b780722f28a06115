"""Why a trial failed: a reason for programs, a message for people, and what more there is to read."""

from dataclasses import dataclass


@dataclass(frozen=True)
class Failure:
    """Why a trial failed."""

    reason: str
    """error, nonfinite, out_of_memory, timeout, invalid, killed, crashed, interrupted or lost."""
    message: str = ""
    """What went wrong; its first line is enough where there is room for one."""
    traceback: str = ""
    """The traceback of an error, or what a worker that died printed last; empty where there is neither."""

    def __str__(self) -> str:
        """The reason and the message, in one line."""
        return f"{self.reason}: {self.line}" if self.line else self.reason

    @property
    def line(self) -> str:
        """The message in one line."""
        return self.message.strip().partition("\n")[0]

    @property
    def text(self) -> str:
        """All that there is to read: the message, and below it the traceback."""
        return "\n\n".join(part for part in (self.message.strip(), self.traceback.strip()) if part)
