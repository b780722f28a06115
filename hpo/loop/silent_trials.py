"""When a trial that says nothing is named: after two minutes, or three times as long as it ever was silent before."""

from dataclasses import dataclass, field

from hpo.text.values import duration

_FIRST = 120.0
_TIMES = 3.0


@dataclass
class Silence:
    """What was heard of one trial; moments are of `time.monotonic`."""

    heard: float
    longest: float = 0.0
    due: float = field(default_factory=lambda: _FIRST)

    def hear(self, now: float) -> None:
        """The trial said something."""
        self.longest = max(self.longest, now - self.heard)
        self.heard, self.due = now, max(_FIRST, _TIMES * self.longest)

    def to_be_told(self, now: float) -> float | None:
        """The seconds of silence, where it is time to name them; then again after twice as many."""
        silent = now - self.heard
        if silent < self.due:
            return None
        self.due = 2 * silent
        return silent


def silent_for(trial: str, seconds: float, limit: float | None) -> str:
    """Says that a trial is silent, and what ends it should it hang; `limit`: its `trial_timeout` in seconds."""
    ends = "study.trial_timeout would end it" if limit is None else f"trial_timeout ends it after {duration(limit)}"
    return f"{trial} silent for {duration(round(seconds))}; should it hang, {ends}"
