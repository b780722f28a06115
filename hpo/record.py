"""What is known of a trial: the one shape in which studies are read, logged, compared and exported."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any, Literal

from hpo.experiment import Objective

State = Literal["running", "complete", "pruned", "failed"]


@dataclass(frozen=True)
class Confirms:
    """Which finalist, and which of its seeds, a confirming run stands for."""

    trial: int
    """Number of the finalist's trial in the study."""
    ordinal: int
    """Which seed it is, counted from 1; the same seed for all finalists."""


@dataclass(frozen=True)
class TrialRecord:
    """One trial of a study."""

    number: int
    state: State
    params: Mapping[str, Any]
    """The configuration: every parameter that exists in it, constants included."""
    seed: int
    """Of all that is random in the trial."""
    origin: int
    """Number of the trial that first had this configuration; its own, unless it was tried again."""
    attempt: int = 0
    """How often the configuration had been tried before."""
    value: float | None = None
    """The objective at the best epoch; None where no epoch was finished, or the trial failed."""
    best_epoch: int | None = None
    """Counted from 1."""
    curves: Mapping[str, Sequence[float]] = field(default_factory=dict)
    """Metric -> its value after each epoch: loss, accuracy, val_loss, ..., learning_rate, seconds."""
    test: Mapping[str, float] = field(default_factory=dict)
    """Metric -> its value on the test part at the weights of the best epoch."""
    ended_by: str | None = None
    """epochs, early_stopping, pruner or deadline; None for failed trials."""
    failure: str | None = None
    """Why the trial failed: error, nonfinite, out_of_memory, timeout, invalid, killed, ..."""
    error: str | None = None
    """The message of the failure, and its traceback where there is one."""
    model_parameters: int | None = None
    """Size of the model, in numbers."""
    note: str | None = None
    """Why it trained through Keras's `fit`, the slower way, rather than inside the graph; None if it did not."""
    model_file: str | None = None
    """The saved model, where it was kept."""
    started: datetime | None = None
    ended: datetime | None = None
    source: str | None = None
    """Where it was run, if not in this study: the study and the trial's number there."""
    confirms: Confirms | None = None
    """Of a confirming run, whose numbers are apart from those of the study's trials; None for trials."""

    @property
    def label(self) -> str:
        """What the trial or the confirming run is called."""
        if self.confirms is None:
            return f"trial {self.number}"
        return f"trial {self.confirms.trial} seed {self.confirms.ordinal}"

    @property
    def epochs(self) -> int:
        """Finished epochs."""
        return max((len(curve) for curve in self.curves.values()), default=0)

    @property
    def seconds(self) -> float | None:
        """Wall time from the asking to the telling."""
        if self.started is None or self.ended is None:
            return None
        return (self.ended - self.started).total_seconds()

    @property
    def best(self) -> dict[str, float]:
        """Every metric at the best epoch."""
        if self.best_epoch is None:
            return {}
        return {name: curve[self.best_epoch - 1] for name, curve in self.curves.items()}


def ranked(trials: Sequence[TrialRecord], objective: Objective) -> list[TrialRecord]:
    """The trials that have a score, best validation score first; ties by number. Test scores play no part."""
    scored = [trial for trial in trials if trial.state in ("complete", "pruned") and trial.value is not None]
    return sorted(scored, key=lambda trial: (-objective.sign * (trial.value or 0.0), trial.number))
