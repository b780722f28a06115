"""What follows the trials of a run: the interface of the tracker's observer, the progress display, the saved models."""

from typing import Protocol

from hpo.study.record import TrialRecord
from hpo.training.messages import EpochDone


class Observer(Protocol):
    """Follows the trials of a run: the tracker, the progress display."""

    def trial_started(self, record: TrialRecord) -> None:
        """A trial's model is built; its training begins, or goes on."""

    def epoch_done(self, record: TrialRecord, event: EpochDone) -> None:
        """A trial finished an epoch."""

    def trial_ended(self, record: TrialRecord, best: TrialRecord | None) -> None:
        """A trial ended; `best` is the best of the study so far."""

    def trial_paused(self, record: TrialRecord, note: str | None) -> None:
        """A trial paused, with this record; `note`: why it left no checkpoint, so that it begins again if it goes on.
        Its `trial_started` follows once more if it goes on."""

    def engine_noted(self, note: str) -> None:
        """There is something to know of the workers, such as how many there are."""

    def trial_silent(self, record: TrialRecord, seconds: float, limit: float | None) -> None:
        """A trial has sent no event for a long time; `limit`: its trial_timeout in seconds, after which it is ended."""
