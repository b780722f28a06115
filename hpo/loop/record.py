"""What the coordinator needs of whatever keeps its trials: a study, a confirmation, a retraining in memory."""

from collections.abc import Sequence
from typing import Protocol

from hpo.config.declared import Declared
from hpo.config.resolved import Resolved
from hpo.study.record import TrialRecord


class Store(Protocol):
    """Where a record is written."""

    def check(self) -> None:
        """Raises what went wrong in the store since the last call.

        Raises:
            StoreAway: it has been away for too long.
            StudyBusy: another process has taken the study meanwhile.
        """

    def drain(self, seconds: float) -> bool:
        """Waits, at most so long, until all is written; returns whether it is."""


class Record(Protocol):
    """The trials of one purpose, in the order in which they are to be trained. One coordinator writes it."""

    @property
    def store(self) -> Store:
        """Where it is written."""

    @property
    def declared(self) -> Declared | None:
        """What the model is known to declare, where trials of the record may have declared more than the plan says."""

    @property
    def exhausted(self) -> bool:
        """Whether no configuration is left that was not tried."""

    def trials(self) -> Sequence[TrialRecord]:
        """All trials that were begun, in the order of their numbers."""

    def ask(self, trials: int | None) -> TrialRecord | None:
        """Begins the next trial; None where there is none. `trials`: how many configurations are to be begun in all.

        Raises:
            NotNow: the store is away; to be asked again.
        """

    def declare(self, found: Declared) -> None:
        """Keeps what a trial's model declared beyond what was known."""

    def resolve(self, record: TrialRecord, resolved: Resolved | None) -> TrialRecord:
        """Keeps the settings that a trial resolved to; returns its record."""

    def report(self, number: int, epoch: int, value: float) -> bool:
        """Keeps the objective after an epoch; returns whether the trial is to be pruned."""

    def end(self, record: TrialRecord) -> TrialRecord:
        """Keeps the end of a trial; returns its record, with its times."""

    def will_run_again(self, record: TrialRecord) -> bool:
        """Whether a trial that failed is to be tried again."""
