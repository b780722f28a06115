"""When a run of a study ends, and how it ended."""

from dataclasses import dataclass
from typing import Literal

Ending = Literal["done", "timeout", "target", "exhausted", "worthwhile"]
"""worthwhile: another tenth of the budget was not expected to be worth it; see `until` of the study section."""


@dataclass(frozen=True)
class Budget:
    """When a run of a study ends; None: no such limit."""

    trials: int | None
    """Configurations to begin."""
    deadline: float | None
    """By `time.monotonic`, seconds."""
    target: float | None
    """The objective's value."""
    trial_timeout: float | None
    """Seconds for one trial."""
