"""Trains one configuration again, without a study: the same seed gives the same curve."""

import statistics
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

from hpo.errors import HpoError, Interrupted
from hpo.export.retraining import Again
from hpo.study.record import TrialRecord

if TYPE_CHECKING:
    from hpo.config.resolved import Resolved
    from hpo.loop.observer import Observer
    from hpo.plan.exported_file import Exported
    from hpo.plan.plan import Plan

_HOW_TO_GET_ONE = (
    "The scores are valid, and the configuration can be exported: hpo export STUDY --to best.yaml. Once the cause is "
    "repaired (layers and models of your own need a get_config, see keras.saving.register_keras_serializable), "
    "hpo train best.yaml --model best.keras trains it again and saves it."
)


@dataclass(frozen=True)
class Retrained:
    """The result of training a configuration again."""

    digest: str
    """The digest of the data that the run trained on."""
    seed: int
    best_epoch: int | None = None
    value: float | None = None
    """The objective at the best epoch; with k-fold cross-validation, its mean over the folds."""
    test: Mapping[str, float] = field(default_factory=dict)
    curves: Mapping[str, Sequence[float]] = field(default_factory=dict)
    fold_lengths: Sequence[int] = ()
    """The epochs of each fold of k-fold cross-validation; else empty."""
    resolved: "Resolved | None" = None
    """All settings of the run."""
    model_saved: bool = False
    """Whether its model was saved, if a file was requested."""
    test_note: str | None = None
    """Why test scores are missing, or why they are not those of the saved model."""
    model_note: str | None = None
    """Why its model could not be saved, or why its file cannot be loaded as it is."""


@dataclass(frozen=True)
class Spread:
    """A score over runs: its mean, and its standard deviation with n - 1 in the denominator."""

    mean: float
    deviation: float | None
    """None for a single run."""


def retrain(
    plan: "Plan", params: Mapping[str, Any], seed: int, epochs: int | None = None, save_to: Path | None = None
) -> Retrained:
    """Trains one configuration of a plan once; see `Again`.

    Raises:
        HpoError: the training failed; the message has its traceback.
    """
    return retrain_all(plan, params, [Again(seed, epochs, save_to)])[0]


def runs_of(exported: "Exported", seeds: int, save_to: Path | None = None) -> list[Again]:
    """`seeds` runs of an exported trial: the first with the trial's own seed, the others with new seeds.

    The model of the first run is saved. New seeds are derived from the trial's seed by NumPy's SeedSequence; their runs
    end at `Exported.limit`.
    """
    from hpo.study.samplers import derive_seed

    fresh = [Again(derive_seed(exported.seed, number), exported.limit) for number in range(1, seeds)]
    return [Again(exported.seed, exported.epochs, save_to), *fresh]


def retrain_all(
    plan: "Plan", params: Mapping[str, Any], wanted: Sequence[Again], observers: "Sequence[Observer]" = ()
) -> list[Retrained]:
    """Trains one configuration of a plan once for each wanted run, on the workers of the plan's engine.

    A run whose worker dies is tried again, as often as in the plan's study. `observers` are notified of all runs.

    Raises:
        InvalidSettings: the configuration cannot be trained.
        HpoError: a training failed; the message has its traceback.
        Interrupted: a signal ended the training; nothing is kept.
    """
    from hpo.export.retraining import Retraining
    from hpo.loop.budget import Budget
    from hpo.loop.driving import drive
    from hpo.loop.jobs import make_job, prepared

    spec = plan.experiment.study
    with prepared(plan, workers=len(wanted)) as ready:
        # Refuses a configuration that no run could train.
        make_job(ready.plan, params, wanted[0].seed, ready.data.folder)
        runs = Retraining(params, wanted, spec.retries)
        try:
            drive(runs, ready, Budget(None, None, None, spec.trial_timeout), observers, runs.save_to)
        except Interrupted as error:
            raise Interrupted("interrupted; nothing is kept, the same command begins again", error.number) from None
        return [_retrained(run, ready.info.digest) for run in runs.results()]


def _retrained(run: TrialRecord, digest: str) -> Retrained:
    saved = run.model_file is not None
    return Retrained(
        digest, run.seed, run.best_epoch, run.value, run.test, run.curves, run.fold_lengths, run.resolved, saved,
        run.test_note, run.model_note,
    )  # fmt: skip


def require_model(run: Retrained, wanted: Path) -> None:
    """Checks that a run saved its model, which was requested as a file.

    Raises:
        HpoError: it did not; the message says why, and how to get a model.
    """
    if run.model_saved:
        return
    reason = run.model_note or "not saved: no epoch was finished"
    raise HpoError(f"{wanted}: there is no model: {reason}\n{_HOW_TO_GET_ONE}")


def scores_of(run: Retrained, metric: str) -> dict[str, float]:
    """A run's objective and test scores, test_<metric>."""
    found = {} if run.value is None else {metric: run.value}
    return found | {f"test_{name}": value for name, value in run.test.items()}


def spread(runs: Sequence[Retrained], metric: str) -> dict[str, Spread]:
    """The mean and deviation of each score over runs."""
    columns: dict[str, list[float]] = {}
    for run in runs:
        for name, value in scores_of(run, metric).items():
            columns.setdefault(name, []).append(value)
    return {
        name: Spread(statistics.fmean(values), statistics.stdev(values) if len(values) > 1 else None)
        for name, values in columns.items()
    }
