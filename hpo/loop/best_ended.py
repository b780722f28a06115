"""The best trial among those of a record that have ended."""

from typing import final

from hpo.config.experiment import Objective
from hpo.config.score import Score
from hpo.loop.record import Record
from hpo.study.record import TrialRecord, best_trial


@final
class BestEnded:
    """Those that train or are paused do not count: their models are not tested and saved yet."""

    def __init__(self, record: Record, objective: Objective) -> None:
        self._record, self._objective = record, objective
        self.read()

    def read(self) -> None:
        """Reads the record anew."""
        ended = [one for one in self._record.trials() if one.state != "running"]
        self.trial = best_trial(ended, self._objective)
        """The best trial; None if none has a score."""

    def goes_on(self, record: TrialRecord) -> None:
        """A trial that had ended goes on."""
        if self.trial is not None and self.trial.number == record.number:
            self.read()

    def see(self, ended: TrialRecord) -> None:
        """A trial has ended."""
        # Of equal trials the one with the lowest number is the best, as `best_trial` has it whenever a study is read.
        self.trial = best_trial([ended] if self.trial is None else [self.trial, ended], self._objective)

    @property
    def score(self) -> Score | None:
        """Its score."""
        return None if self.trial is None else self.trial.score(self._objective)
