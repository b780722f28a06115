"""The interface to the trials that the coordinator trains: a study, a confirmation, or a retraining in memory."""

from collections.abc import Sequence
from typing import Protocol

from hpo.config.declared import Declared
from hpo.config.resolved import Resolved
from hpo.schedule import Verdict
from hpo.study.record import Reached, TrialRecord


class Store(Protocol):
    """Where a record is written."""

    def check(self) -> None:
        """Raises errors of the store since the last call.

        Raises:
            StoreAway: the store has been away for too long.
            StudyBusy: another process has taken the study meanwhile.
        """

    def drain(self, seconds: float) -> bool:
        """Waits until everything is written, for at most `seconds`; returns whether it is."""


class Record(Protocol):
    """Trials to be trained, in an order. One coordinator writes them."""

    @property
    def store(self) -> Store:
        """Where it is written."""

    @property
    def declared(self) -> Declared | None:
        """The parameters that the model is known to declare; None if the plan has them all."""

    @property
    def exhausted(self) -> bool:
        """Whether every configuration has been tried."""

    def trials(self) -> Sequence[TrialRecord]:
        """All trials that were begun, in the order of their numbers."""

    def ask(self, trials: int | None) -> TrialRecord | None:
        """Begins the next trial, or goes on with a paused one; None if there is none.

        `trials`: the total number of configurations to begin.

        Raises:
            NotNow: the store is away; ask again later.
        """

    def declare(self, found: Declared) -> None:
        """Stores parameters that a trial's model newly declared."""

    def resolve(self, record: TrialRecord, resolved: Resolved | None) -> TrialRecord:
        """Stores all settings of a trial; returns its record."""

    def report(self, number: int, reached: Reached, may_pause: bool) -> Verdict:
        """Stores the objective after an epoch or a fold; returns what the trial does now."""

    def pause(self, record: TrialRecord) -> None:
        """Stores how far a trial has come that paused; `ask` returns it again when it goes on."""

    def start_over(self, number: int) -> None:
        """A trial that was to go on begins with its first epoch again."""

    def end(self, record: TrialRecord) -> TrialRecord:
        """Stores the end of a trial; returns its record, with its times."""

    def will_run_again(self, record: TrialRecord) -> bool:
        """Whether the configuration of a failed trial will be run again."""

    def trains_alone(self, record: TrialRecord) -> bool:
        """Whether no other trial trains while a trial does: its configuration ran out of memory before."""
