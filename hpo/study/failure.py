"""Why a trial failed: a reason for programs, a message for people, and a traceback or a log."""

from dataclasses import dataclass

GIVEN_BACK = ("lost", "interrupted")
"""Reasons that have nothing to do with the configuration: the next run of the study trains it again, without limit."""

OUT_OF_MEMORY = "out_of_memory"
"""The reason for which a trial is tried again alone: beside others it may have had too little."""

RETRIED = ("killed", "crashed", OUT_OF_MEMORY)
"""Reasons for which a trial is tried again, up to `retries` times: its worker died."""


def runs_again(reason: str | None, deaths: int, retries: int) -> bool:
    """Whether a configuration is run again after its last trial failed; `deaths`: how many of its workers died."""
    return reason in GIVEN_BACK or (reason in RETRIED and deaths <= retries)


@dataclass(frozen=True)
class Failure:
    """Why a trial failed."""

    reason: str
    """error, fatal, nonfinite, out_of_memory, timeout, invalid, killed, crashed, interrupted or lost."""
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
        """The whole text: the message, and below it the traceback."""
        return "\n\n".join(part for part in (self.message.strip(), self.traceback.strip()) if part)
