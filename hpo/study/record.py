"""What is known of a trial: the one shape in which studies are read, logged, compared and exported."""

import statistics
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime
from typing import TYPE_CHECKING, Any, Literal

from hpo.config.resolved import Resolved
from hpo.config.score import Score
from hpo.study.failure import Failure
from hpo.text.values import score

if TYPE_CHECKING:
    # pydantic, for which whoever only reads a list should not wait.
    from hpo.config.experiment import Objective

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
    """The objective at the best epoch; None where no epoch was finished, or the trial failed.
    Of k-fold cross-validation its mean over the folds' best epochs, None unless all folds were trained."""
    best_epoch: int | None = None
    """Counted from 1, through all folds."""
    fold_best_epochs: Sequence[int] = ()
    """Of k-fold cross-validation, the best epoch of each fold that came to its end, counted like `best_epoch`."""
    fold_lengths: Sequence[int] = ()
    """Of k-fold cross-validation, the epochs of each fold that was begun."""
    curves: Mapping[str, Sequence[float]] = field(default_factory=dict)
    """Metric -> its value after each epoch: loss, accuracy, val_loss, ..., learning_rate, seconds."""
    test: Mapping[str, float] = field(default_factory=dict)
    """Metric -> its value on the test part at the weights of the best epoch; its mean over the folds' models."""
    ended_by: str | None = None
    """epochs, early_stopping, pruner or deadline; None of failed trials."""
    failure: Failure | None = None
    """Why the trial failed."""
    model_parameters: int | None = None
    """Size of the model, in numbers."""
    note: str | None = None
    """How it trained, and why, where it shared no graph with other trials; None if it did."""
    model_file: str | None = None
    """The saved model, where it was kept."""
    test_note: str | None = None
    """Why test scores are missing, or what they are not of."""
    model_note: str | None = None
    """Why the model could not be saved, or why its file cannot be loaded as it is."""
    started: datetime | None = None
    ended: datetime | None = None
    resolved: Resolved | None = None
    """Every setting that it had; None of trials that earlier code began, or that made no job."""
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
    def reason(self) -> str | None:
        """Why the trial failed, in a word: error, nonfinite, killed, ...; None of any other."""
        return None if self.failure is None else self.failure.reason

    @property
    def outcome(self) -> str:
        """The reason for which it failed, or the state of any other."""
        return self.reason or self.state

    @property
    def remarks(self) -> list[str]:
        """What there is to say of its test scores and its model."""
        return [
            *([f"test scores: {self.test_note}"] if self.test_note else []),
            *([f"model: {self.model_note}"] if self.model_note else []),
        ]

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
        """Every metric at the best epoch; of k-fold cross-validation, its mean over the folds' best epochs."""
        return {name: statistics.fmean(values) for name, values in self._at_best().items()}

    @property
    def gaps(self) -> dict[str, float]:
        """Metric -> how far its value on the training part is above that on the validation part, at the best epoch."""
        best = self.best
        return {name: value - best[f"val_{name}"] for name, value in best.items() if f"val_{name}" in best}

    @property
    def deviations(self) -> dict[str, float]:
        """Every metric's deviation from fold to fold, with n - 1 in the denominator; empty without folds."""
        return {name: statistics.stdev(values) for name, values in self._at_best().items() if len(values) > 1}

    def _at_best(self) -> dict[str, list[float]]:
        """Every metric at the best epoch, or at those of the folds."""
        if self.best_epoch is None:
            return {}
        epochs = self.fold_best_epochs or (self.best_epoch,)
        return {name: [curve[epoch - 1] for epoch in epochs] for name, curve in self.curves.items()}

    @property
    def places(self) -> list[tuple[int | None, int]]:
        """For each epoch its fold, and which epoch of the fold it is, both counted from 1; without folds it is None."""
        if not self.fold_lengths:
            return [(None, epoch) for epoch in range(1, self.epochs + 1)]
        return [(fold, epoch) for fold, length in enumerate(self.fold_lengths, 1) for epoch in range(1, length + 1)]

    @property
    def best_fold(self) -> int | None:
        """The fold of the best epoch, counted from 1; None without folds."""
        return None if self.best_epoch is None else self.places[self.best_epoch - 1][0]

    def score(self, objective: "Objective") -> Score | None:
        """Its validation score; None where it still runs, failed, or came to none."""
        if self.state not in ("complete", "pruned") or self.value is None:
            return None
        return replace(objective.score(self.value, self.best_epoch), fold_epochs=tuple(self.fold_best_epochs))

    def scored(self, score: Score) -> "TrialRecord":
        """The trial with this score."""
        return replace(self, value=score.value, best_epoch=score.epoch, fold_best_epochs=score.fold_epochs)

    def reached(self, metric: str) -> str:
        """How the score came about, in words."""
        if not self.fold_best_epochs:
            return f"at epoch {self.best_epoch} of {self.epochs}"
        return f"as mean of {len(self.fold_best_epochs)} folds, deviation {score(self.deviations.get(metric, 0.0))}"

    def reports(self, metric: str) -> dict[int, float]:
        """What a pruner is told of the objective: epoch -> value, or fold -> mean over the folds so far."""
        curve = self.curves.get(metric, ())
        if not self.fold_lengths:
            return dict(enumerate(curve, 1))
        ended = [curve[epoch - 1] for epoch in self.fold_best_epochs]
        return {count: statistics.fmean(ended[:count]) for count in range(1, len(ended) + 1)}


def failed(record: TrialRecord, failure: Failure) -> TrialRecord:
    """The trial as one that failed."""
    return replace(record, state="failed", failure=failure, value=None, ended_by=None)


def lost(record: TrialRecord, error: str = "its coordinator was killed") -> TrialRecord:
    """A trial that nobody goes on with, failed; every other one as it is."""
    return failed(record, Failure("lost", error)) if record.state == "running" else record


def count_states(trials: Sequence[TrialRecord]) -> dict[str, int]:
    """State -> how many trials are in it, in the order in which the states occur."""
    return dict(Counter(trial.state for trial in trials))


def count_failures(trials: Sequence[TrialRecord]) -> dict[str, int]:
    """Reason -> how many trials failed for it."""
    return dict(Counter(trial.reason for trial in trials if trial.reason))


def ranked(trials: Sequence[TrialRecord], objective: "Objective") -> list[TrialRecord]:
    """The trials that have a score, best validation score first; ties by number. Test scores play no part."""
    scored = [(score.merit, trial) for trial in trials if (score := trial.score(objective)) is not None]
    return [trial for _, trial in sorted(scored, key=lambda pair: (-pair[0], pair[1].number))]


def best_trial(trials: Sequence[TrialRecord], objective: "Objective") -> TrialRecord | None:
    """The first of the ranked trials; None where none has a score."""
    return next(iter(ranked(trials, objective)), None)
