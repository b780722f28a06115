"""Training one configuration again, alone: the same seed gives the same curve."""

import statistics
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from hpo.errors import HpoError

if TYPE_CHECKING:
    from hpo.config.experiment import Objective
    from hpo.config.resolved import Resolved
    from hpo.engines import Engine
    from hpo.plan.exported_file import Exported
    from hpo.plan.plan import Plan
    from hpo.training.messages import Event, Job

_HOW_TO_GET_ONE = (
    "The scores are valid, and the configuration can be exported: hpo export STUDY --to best.yaml. Once the cause is "
    "repaired (layers and models of your own need a get_config, see keras.saving.register_keras_serializable), "
    "hpo train best.yaml --model best.keras trains it again and saves it."
)


@dataclass(frozen=True)
class Again:
    """One run that is wanted."""

    seed: int
    """Of all that is random in it."""
    epochs: int | None = None
    """After which it is stopped, as a pruner would, so that a pruned trial comes back as it was."""
    save_to: Path | None = None
    """Keras file (.keras) for its model."""


@dataclass
class Retrained:
    """What training a configuration again came to."""

    digest: str
    """Of the data that it was trained on."""
    seed: int
    best_epoch: int | None = None
    value: float | None = None
    """The objective at the best epoch; of k-fold cross-validation, its mean over the folds."""
    test: Mapping[str, float] = field(default_factory=dict)
    curves: dict[str, list[float]] = field(default_factory=dict)
    fold_lengths: list[int] = field(default_factory=list)
    """Of k-fold cross-validation, the epochs of each fold."""
    resolved: "Resolved | None" = None
    """Every setting that it had."""
    model_saved: bool = False
    """Whether its model was saved, where that was wanted."""
    test_note: str | None = None
    """Why test scores are missing, or what they are not of."""
    model_note: str | None = None
    """Why its model could not be saved, or why its file cannot be loaded as it is."""


@dataclass(frozen=True)
class Spread:
    """What a score came to over runs: their mean, and their standard deviation with n - 1 in the denominator."""

    mean: float
    deviation: float | None
    """None of a single run."""


def retrain(
    plan: "Plan", params: Mapping[str, Any], seed: int, epochs: int | None = None, save_to: Path | None = None
) -> Retrained:
    """Trains one configuration of a plan once; see `Again`.

    Raises:
        HpoError: the training failed; with its traceback.
    """
    return retrain_all(plan, params, [Again(seed, epochs, save_to)])[0]


def runs_of(exported: "Exported", seeds: int, save_to: Path | None = None) -> list[Again]:
    """The run of an exported trial's own seed, whose model is saved, and of fresh ones up to `seeds` runs.

    Fresh ones are drawn from its own by NumPy's SeedSequence, and end at `Exported.limit`.
    """
    from hpo.study.samplers import derive_seed

    fresh = [Again(derive_seed(exported.seed, number), exported.limit) for number in range(1, seeds)]
    return [Again(exported.seed, exported.epochs, save_to), *fresh]


def retrain_all(
    plan: "Plan",
    params: Mapping[str, Any],
    wanted: Sequence[Again],
    on_end: Callable[[Retrained], None] = lambda done: None,
) -> list[Retrained]:
    """Trains one configuration of a plan once for each wanted run, on the workers of the plan's engine.

    `on_end` hears of each run as it ends.

    Raises:
        HpoError: a training failed; with its traceback.
    """
    from hpo.loop.jobs import make_job, prepared

    with prepared(plan, workers=len(wanted)) as ready:
        jobs = [
            replace(make_job(ready.plan, params, one.seed, ready.data.folder, one.save_to), trial=number)
            for number, one in enumerate(wanted)
        ]
        runs = [Retrained(ready.info.digest, job.seed, resolved=job.resolved) for job in jobs]
        _Training(ready.engine, runs, wanted, plan.experiment.objective, on_end).run(jobs)
        return runs


@dataclass
class _Training:
    engine: "Engine"
    runs: Sequence[Retrained]
    wanted: Sequence[Again]
    objective: "Objective"
    on_end: Callable[[Retrained], None]

    def run(self, jobs: "Sequence[Job]") -> None:
        waiting, under_way = list(jobs), 0
        while waiting or under_way:
            while waiting and under_way < self.engine.workers:
                self.engine.submit(waiting.pop(0))
                under_way += 1
            under_way -= sum(self._ended(event) for event in self.engine.events(timeout=1.0))

    def _ended(self, event: "Event") -> bool:
        from hpo.training.messages import EpochDone, Failed, Finished, Lost, cleaned

        event = cleaned(event)
        run = self.runs[event.trial]
        if isinstance(event, EpochDone):
            for name, value in event.metrics.items():
                run.curves.setdefault(name, []).append(value)
            if event.fold is not None:
                run.fold_lengths[event.fold.fold - 1 :] = [event.fold.epoch]
            if event.epoch == self.wanted[event.trial].epochs:
                self.engine.stop(event.trial, "pruner")
            else:
                self.engine.proceed(event.trial)
        elif isinstance(event, Failed | Lost):
            detail = event.traceback if isinstance(event, Failed) else event.printed
            message = f"the training with seed {run.seed} failed: {event.reason}: {event.message}\n{detail}"
            raise HpoError(message.strip())
        elif isinstance(event, Finished):
            run.best_epoch, run.test = event.best_epoch, event.test
            run.model_saved = event.model_file is not None
            run.test_note, run.model_note = event.test_note, event.model_note
            score = self.objective.along(run.curves, run.fold_lengths)
            if event.best_epoch is not None and score is not None:
                run.value = score.value
            self.on_end(run)
            return True
        return False


def require_model(run: Retrained, wanted: Path) -> None:
    """Checks that a run left its model, which was wanted as a file.

    Raises:
        HpoError: it did not; says why, and how to get one.
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
