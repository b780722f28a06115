"""The record of a trial: the one form in which trials are read, logged, compared and exported."""

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
    # This module imports pydantic, which commands that only list studies should not wait for.
    from hpo.config.experiment import Objective

State = Literal["running", "complete", "pruned", "failed"]

ENDED_WITH_THE_RUN = ("paused", "deadline", "target")
"""How trials end that could have gone on, had their study's run not ended."""


@dataclass(frozen=True)
class Confirms:
    """The finalist that a confirming run trains, and which of the seeds it trains it with."""

    trial: int
    """Number of the finalist's trial in the study."""
    ordinal: int
    """Which seed it is, counted from 1; all finalists have the same seeds."""
    split: int | None = None
    """The seed of its own split into training and validation; None: it has the study's split."""


@dataclass(frozen=True)
class Reached:
    """How far a running trial has come."""

    step: int
    """The number of the epoch, or with k-fold cross-validation of the fold, counted from 1."""
    value: float
    """The objective after it; with folds, its mean over the folds so far."""
    seconds: float
    """The time of all epochs so far."""


@dataclass(frozen=True)
class TrialRecord:
    """One trial of a study."""

    number: int
    state: State
    params: Mapping[str, Any]
    """The configuration: every parameter that exists in it, constants included."""
    seed: int
    """The seed of everything that is random in the trial."""
    origin: int
    """Number of the trial that first had this configuration; its own, unless it was tried again."""
    attempt: int = 0
    """How often the configuration had been tried before."""
    value: float | None = None
    """The objective at the best epoch; None where no epoch was finished, or the trial failed.
    With k-fold cross-validation: its mean over the folds' best epochs; None unless all folds were trained."""
    best_epoch: int | None = None
    """Counted from 1, across all folds."""
    fold_best_epochs: Sequence[int] = ()
    """With k-fold cross-validation: the best epoch of each fold that was finished, counted like `best_epoch`."""
    fold_lengths: Sequence[int] = ()
    """With k-fold cross-validation: the number of epochs of each fold that was begun."""
    curves: Mapping[str, Sequence[float]] = field(default_factory=dict)
    """Metric -> its value after each epoch: loss, accuracy, val_loss, ..., learning_rate, seconds."""
    test: Mapping[str, float] = field(default_factory=dict)
    """Metric -> its value on the test part with the weights of the best epoch; with folds, its mean over the folds'
    models."""
    ended_by: str | None = None
    """epochs, early_stopping, pruner, deadline, target, or paused: the study ended while it was paused; None for failed
    trials."""
    failure: Failure | None = None
    """Why the trial failed."""
    model_parameters: int | None = None
    """Size of the model: the number of its parameters."""
    gpu_memory: int | None = None
    """Bytes that it took of a GPU at once, of several the one with most; None where no GPU trained it."""
    note: str | None = None
    """If it shared no graph with other trials: how it trained instead, and why."""
    model_file: str | None = None
    """Path of the saved model, if it was kept."""
    test_note: str | None = None
    """Why test scores are missing, or what they leave out."""
    model_note: str | None = None
    """Why the model could not be saved, or why its file cannot be loaded as it is."""
    executions: int | None = None
    """Of a configuration that trains several times: how many of its trainings came to their end; the score and the test
    scores are their means. 0: the first one was stopped, and its score stands. The curves are the first one's."""
    started: datetime | None = None
    ended: datetime | None = None
    trained_seconds: float | None = None
    """Of a trial that paused: the seconds for which workers had it."""
    legs: Sequence[tuple[float, float, int]] = ()
    """Of a trial that paused: from when to when workers had it, in seconds since 1970, and its epochs by then."""
    why: str = ""
    """While it runs: why the schedule chose it, in a few words. It is not stored."""
    resolved: Resolved | None = None
    """Every setting of the trial; None for trials begun by earlier versions, and for trials without a job."""
    expected: Mapping[str, float] | None = None
    """gain, floor: what another tenth of the budget was expected to gain before it began; see `hpo.schedule.worth`."""
    source: str | None = None
    """Where it was run, if not in this study: the study and the trial's number there."""
    confirms: Confirms | None = None
    """What a confirming run confirms; its number is not one of the study's trials. None for trials."""

    @property
    def label(self) -> str:
        """The name of the trial, or of the confirming run, in messages."""
        if self.confirms is None:
            return f"trial {self.number}"
        split = "" if self.confirms.split is None else " and split"
        return f"trial {self.confirms.trial} seed{split} {self.confirms.ordinal}"

    @property
    def reason(self) -> str | None:
        """Why the trial failed, in a word: error, nonfinite, killed, ...; None if it did not fail."""
        return None if self.failure is None else self.failure.reason

    @property
    def outcome(self) -> str:
        """The reason of its failure, if it failed; otherwise its state, or that it has paused."""
        return self.reason or self.status

    @property
    def status(self) -> str:
        """Its state as people read it: also that it has paused."""
        return "paused" if self.paused else self.state

    @property
    def paused(self) -> bool:
        """Whether it has paused, and may go on: the record has results of it, but not its end."""
        return self.state == "running" and bool(self.curves)

    @property
    def rests(self) -> bool:
        """Whether it ended only since its study's run did; a later run goes on with it if its checkpoint is there."""
        return self.state == "pruned" and self.ended_by in ENDED_WITH_THE_RUN

    @property
    def allowed_epochs(self) -> int | None:
        """The epochs that it was allowed, if it came to the last of them, without folds and in one training."""
        whole = self.state == "complete" and self.ended_by == "epochs" and not self.fold_lengths
        allowed = self.resolved.training.get("epochs") if self.resolved else None
        return allowed if whole and self.executions is None and self.epochs == allowed else None

    @property
    def left_unfinished(self) -> str:
        """If it may go on: how far it has come, as words: `paused after 7 of 20 epochs`; otherwise empty."""
        if not self.paused and not self.rests:
            return ""
        how = f"stopped at the {self.ended_by}" if self.ended_by in ("deadline", "target") else "paused"
        if self.fold_lengths:
            return f"{how} in fold {len(self.fold_lengths)}"
        if self.executions:
            return f"{how} in execution {self.executions + 1} of {self.planned_executions}"
        whole = self.resolved.training.get("epochs") if self.resolved else None
        return f"{how} after {self.epochs} of {whole} epochs" if whole else f"{how} after epoch {self.epochs}"

    @property
    def planned_executions(self) -> int:
        """How many times the configuration trains."""
        return (self.resolved and self.resolved.training.get("executions")) or self.executions or 1

    @property
    def averaged(self) -> str:
        """Of a configuration that trains several times: what its score is of, as words: `mean of 2 of 3 executions`."""
        if self.executions is None:
            return ""
        planned = self.planned_executions
        if self.executions < 2:
            return f"first of {planned} executions"
        return f"mean of {self.executions}{f' of {planned}' if planned > self.executions else ''} executions"

    @property
    def remarks(self) -> list[str]:
        """Remarks on its test scores and its model."""
        return [
            *([f"test scores: {self.test_note}"] if self.test_note else []),
            *([f"model: {self.model_note}"] if self.model_note else []),
        ]

    @property
    def epochs(self) -> int:
        """The number of finished epochs."""
        return max((len(curve) for curve in self.curves.values()), default=0)

    @property
    def seconds(self) -> float | None:
        """Wall time from the start of the trial to its end, without its pauses, in seconds; None while it runs."""
        if self.started is None or self.ended is None:
            return None
        whole = (self.ended - self.started).total_seconds()
        return whole if self.trained_seconds is None else self.trained_seconds

    @property
    def best(self) -> dict[str, float]:
        """Every metric at the best epoch; with k-fold cross-validation, its mean over the folds' best epochs."""
        return {name: statistics.fmean(values) for name, values in self._at_best().items()}

    @property
    def gaps(self) -> dict[str, float]:
        """Metric -> its value on the training part minus its value on the validation part, at the best epoch."""
        best = self.best
        return {name: value - best[f"val_{name}"] for name, value in best.items() if f"val_{name}" in best}

    @property
    def deviations(self) -> dict[str, float]:
        """Metric -> its standard deviation over the folds, with n - 1 in the denominator; empty without folds."""
        return {name: statistics.stdev(values) for name, values in self._at_best().items() if len(values) > 1}

    def _at_best(self) -> dict[str, list[float]]:
        """Metric -> its value at the best epoch, or its values at the folds' best epochs."""
        if self.best_epoch is None:
            return {}
        epochs = self.fold_best_epochs or (self.best_epoch,)
        return {name: [curve[epoch - 1] for epoch in epochs] for name, curve in self.curves.items()}

    @property
    def places(self) -> list[tuple[int | None, int]]:
        """For each epoch: its fold or None, and its number within the fold; both are counted from 1."""
        if not self.fold_lengths:
            return [(None, epoch) for epoch in range(1, self.epochs + 1)]
        return [(fold, epoch) for fold, length in enumerate(self.fold_lengths, 1) for epoch in range(1, length + 1)]

    @property
    def best_fold(self) -> int | None:
        """The fold of the best epoch, counted from 1; None without folds."""
        return None if self.best_epoch is None else self.places[self.best_epoch - 1][0]

    def score(self, objective: "Objective") -> Score | None:
        """Its validation score, if it has paused that so far; None if it trains, failed, or ended without one."""
        if self.value is None or not (self.paused or self.state in ("complete", "pruned")):
            return None
        return replace(objective.score(self.value, self.best_epoch), fold_epochs=tuple(self.fold_best_epochs))

    def scored(self, score: Score) -> "TrialRecord":
        """The trial with this score."""
        return replace(self, value=score.value, best_epoch=score.epoch, fold_best_epochs=score.fold_epochs)

    def reached(self, metric: str) -> str:
        """Where the score was reached, in words: `at epoch 3 of 5`, `as mean of 3 executions`."""
        if self.executions is not None and self.executions > 1:
            return f"as {self.averaged}"
        if not self.fold_best_epochs:
            within = f" in the {self.averaged}" if self.averaged else ""
            return f"at epoch {self.best_epoch} of {self.epochs}{within}"
        return f"as mean of {len(self.fold_best_epochs)} folds, deviation {score(self.deviations.get(metric, 0.0))}"

    def reports(self, metric: str) -> dict[int, float]:
        """The values of the objective that are reported to a pruner: epoch -> value, or fold -> mean over the folds so
        far."""
        curve = self.curves.get(metric, ())
        if not self.fold_lengths:
            return dict(enumerate(curve, 1))
        ended = [curve[epoch - 1] for epoch in self.fold_best_epochs]
        return {count: statistics.fmean(ended[:count]) for count in range(1, len(ended) + 1)}


def failed(record: TrialRecord, failure: Failure) -> TrialRecord:
    """The record of the trial, marked as failed."""
    return replace(record, state="failed", failure=failure, value=None, ended_by=None)


def lost(record: TrialRecord, error: str = "its coordinator was killed") -> TrialRecord:
    """A running trial, marked as failed with reason lost; any other trial as it is."""
    return failed(record, Failure("lost", error)) if record.state == "running" else record


def count_states(trials: Sequence[TrialRecord]) -> dict[str, int]:
    """State -> the number of trials in it, in the order in which the states occur; paused ones count as such."""
    return dict(Counter(trial.status for trial in trials))


def count_failures(trials: Sequence[TrialRecord]) -> dict[str, int]:
    """Reason -> the number of trials that failed for it."""
    return dict(Counter(trial.reason for trial in trials if trial.reason))


def ranked(trials: Sequence[TrialRecord], objective: "Objective") -> list[TrialRecord]:
    """The trials that have a score, best validation score first; ties by number. Test scores play no part."""
    scored = [(score.merit, trial) for trial in trials if (score := trial.score(objective)) is not None]
    return [trial for _, trial in sorted(scored, key=lambda pair: (-pair[0], pair[1].number))]


def best_trial(trials: Sequence[TrialRecord], objective: "Objective") -> TrialRecord | None:
    """The first of the ranked trials; None if none has a score."""
    return next(iter(ranked(trials, objective)), None)
