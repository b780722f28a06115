"""What the stores of a study hold, read by Optuna and MLflow themselves, and what must be true of them."""

import json
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import mlflow
import optuna
from mlflow.entities import Run
from optuna.trial import FrozenTrial, TrialState

from hpo.storage.open import open_storage
from hpo.study.stored_trial import record_of

_AGAIN = ("lost", "interrupted", "killed", "crashed")
"""Failures after which a configuration is trained again: what the kills of a soak may do to a trial."""


@dataclass(frozen=True)
class Place:
    """Where a study of a soak stands."""

    home: Path
    study: str
    storage: str
    """SQLAlchemy URL of Optuna's store."""

    @property
    def tracking(self) -> str:
        """MLflow tracking URI."""
        return f"sqlite:///{self.home / 'mlflow.db'}"

    @property
    def models(self) -> Path:
        """The folder of the saved models."""
        return self.home / "models" / self.study


def trials_of(place: Place) -> list[FrozenTrial]:
    """All trials of the study; none where it does not exist yet."""
    try:
        # Opened as hpo does: the run may be making its tables at this moment, with which Optuna's own way collides.
        study = optuna.load_study(study_name=place.study, storage=open_storage(place.storage))
    except KeyError:
        return []
    return study.get_trials(deepcopy=False)


def ended(trials: Sequence[FrozenTrial]) -> dict[int, str]:
    """Number -> all that is kept of each trial that has ended, as text that does not depend on the order of rows."""
    return {
        trial.number: json.dumps(vars(trial), default=_as_text, sort_keys=True)
        for trial in trials
        if trial.state.is_finished()
    }


def _as_text(value: object) -> Any:
    """A distribution by its fields, since its own text depends on their order; a moment or a state as its text."""
    return vars(value) if isinstance(value, optuna.distributions.BaseDistribution) else str(value)


def complaints(trials: Sequence[FrozenTrial], before: Mapping[int, str]) -> Iterator[str]:
    """What is wrong with a study after a kill; `before` are its ended trials as they were before it."""
    now = ended(trials)
    for number, kept in before.items():
        if number not in now:
            yield f"trial {number} had ended and is lost"
        elif now[number] != kept:
            yield f"trial {number} had ended and has changed:\n{kept}\n{now[number]}"
    for trial in trials:
        record = record_of(trial)
        if trial.state.is_finished() and not record.params and record.reason not in _AGAIN:
            yield f"trial {trial.number} has no parameters"
        if trial.state is TrialState.COMPLETE and (record.value is None or not record.curves):
            yield f"trial {trial.number} is complete without a score"
    done = [record_of(trial) for trial in trials if trial.state in (TrialState.COMPLETE, TrialState.PRUNED)]
    for what, found in (
        ("origin", [one.origin for one in done]),
        ("configuration", [_text(one.params) for one in done]),
    ):
        for name, count in Counter(found).items():
            if count > 1:
                yield f"{what} {name} was trained to its end {count} times"


def final_complaints(place: Place, wanted: int) -> Iterator[str]:
    """What is wrong with a study that has ended, and with its runs in MLflow."""
    trials = trials_of(place)
    if running := [trial.number for trial in trials if not trial.state.is_finished()]:
        yield f"trials {running} are not ended"
    done = {record.origin for record in map(record_of, trials) if record.reason not in _AGAIN}
    if len(done) != wanted:
        yield f"{len(done)} configurations came to an end, not {wanted}"
    yield from _models(place, trials)
    yield from _runs(place, trials)


def _models(place: Place, trials: Sequence[FrozenTrial]) -> Iterator[str]:
    left = sorted(path.name for path in place.models.iterdir()) if place.models.is_dir() else []
    if len(left) != 1:
        yield f"{len(left)} model files are left, not the best one's: {left}"
    elif not any(str(record_of(trial).model_file).endswith(left[0]) for trial in trials):
        yield f"no trial's record names the model {left[0]}"


def _runs(place: Place, trials: Sequence[FrozenTrial]) -> Iterator[str]:
    runs = runs_of(place)
    if unfinished := [run.info.run_name for run in runs if run.info.status == "RUNNING"]:
        yield f"MLflow's runs {unfinished} are RUNNING"
    numbers = _runs_of_trials(runs)
    for trial in trials:
        if numbers[trial.number] != 1:
            yield f"MLflow has {numbers[trial.number]} runs of trial {trial.number}"
    scored = {int(run.data.tags["hpo.trial"]): run for run in runs if run.data.tags.get("hpo.role") == "trial"}
    for trial in trials:
        value = record_of(trial).value
        run = scored.get(trial.number)
        if run is not None and trial.state is TrialState.COMPLETE:
            logged = run.data.metrics.get("best_val_accuracy")
            if logged is None or value is None or abs(logged - value) > 1e-6:
                yield f"MLflow has {logged} for trial {trial.number}, whose score is {value}"


def doubled_runs(place: Place) -> Iterator[str]:
    """Trials that have several runs in MLflow; whatever is missing there is logged later."""
    if (place.home / "mlflow.db").exists():
        for number, count in _runs_of_trials(runs_of(place)).items():
            if count > 1:
                yield f"MLflow has {count} runs of trial {number}"


def _runs_of_trials(runs: Sequence[Run]) -> Counter[int]:
    return Counter(int(run.data.tags["hpo.trial"]) for run in runs if run.data.tags.get("hpo.role") == "trial")


def runs_of(place: Place) -> list[Run]:
    """All runs of the study in MLflow."""
    client = mlflow.MlflowClient(place.tracking)
    experiment = client.get_experiment_by_name(place.study)
    return list(client.search_runs([experiment.experiment_id], max_results=5000)) if experiment else []


def _text(params: Mapping[str, Any]) -> str:
    return json.dumps(params, sort_keys=True)
