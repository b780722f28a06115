"""The trial that a study recommends, and its name in figures."""

from dataclasses import dataclass
from typing import TYPE_CHECKING

from hpo.study.record import best_trial

if TYPE_CHECKING:
    from hpo.study.read import StudyView
    from hpo.study.record import TrialRecord


@dataclass(frozen=True)
class Choice:
    """The confirmed choice, or before a study is confirmed its best single run."""

    trial: "TrialRecord"
    confirmed: bool

    @property
    def title(self) -> str:
        """The kind of choice, in words."""
        return "confirmed choice" if self.confirmed else "best single run"

    @property
    def name(self) -> str:
        """The label of the choice in a legend."""
        return f"{self.title}: trial {self.trial.number}"


def choice_of(view: "StudyView") -> Choice | None:
    """The choice of a study; None while no trial has a score."""
    if view.confirmation is not None:
        chosen = next((trial for trial in view.trials if trial.number == view.confirmation.chosen), None)
        return Choice(chosen, True) if chosen is not None else None
    best = best_trial(view.trials, view.objective)
    return Choice(best, False) if best is not None else None
