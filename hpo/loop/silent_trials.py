"""When to warn of a silent trial: after two minutes, or three times its longest silence so far if that is longer."""

from dataclasses import dataclass, field

from hpo.text.values import duration

_FIRST = 120.0
_TIMES = 3.0


@dataclass
class Silence:
    """How long one trial has sent no event. Times are by `time.monotonic`, in seconds."""

    heard: float
    longest: float = 0.0
    due: float = field(default_factory=lambda: _FIRST)

    def hear(self, now: float) -> None:
        """The trial sent an event."""
        self.longest = max(self.longest, now - self.heard)
        self.heard, self.due = now, max(_FIRST, _TIMES * self.longest)

    def due_seconds(self, now: float) -> float | None:
        """The seconds of silence, if a warning is due; None otherwise. The next one is due after twice as many."""
        silent = now - self.heard
        if silent < self.due:
            return None
        self.due = 2 * silent
        return silent


def silent_for(trial: str, seconds: float, limit: float | None) -> str:
    """The warning that a trial is silent, with what ends it if it hangs; `limit`: its `trial_timeout` in seconds."""
    ends = "study.trial_timeout would end it" if limit is None else f"trial_timeout ends it after {duration(limit)}"
    return f"{trial} silent for {duration(round(seconds))}; should it hang, {ends}"
