"""Trials side by side: the ranked table of one study or of several."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from hpo.compare.where import where as rows_where

if TYPE_CHECKING:
    import pandas as pd

    from hpo.config.experiment import Objective
    from hpo.study.read import StudyView
    from hpo.study.record import TrialRecord

CONFIRMED = ("confirmed_mean", "confirmed_low", "confirmed_high")
VERDICT = "verdict"
NOISE = ("behind", "noise_floors_behind")
_FIRST = ("study", "trial", "state")
_COST = ("best_epoch", "epochs", "seconds", "model_parameters")
_TAKEN = {*_FIRST, *_COST, *CONFIRMED, VERDICT, *NOISE, "failure"}


def compare(
    *studies: str,
    where: str | None = None,
    top: int | None = None,
    home: str | Path | None = None,
    storage: str | None = None,
) -> "pd.DataFrame":
    """The trials of studies, best validation score first; trials without a score come last.

    The columns, in this order:

    - study, trial, state, and the objective. With k-fold cross-validation also `<objective>_std`, the objective's
      standard deviation from fold to fold.
    - If a study was confirmed: for finalists `confirmed_mean`, its 95% interval from `confirmed_low` to
      `confirmed_high`, and `verdict`: chosen, cannot be told apart, worse, or why there is none. For all trials
      `behind`, by how much the single run is worse than the best one of the table, and `noise_floors_behind`, the same
      in noise floors: standard deviations from seed to seed, from the confirming runs. It is empty where the noise
      floor is unknown. Single runs have no verdict: the last of 30 equal configurations is some 4 noise floors behind
      the best.
    - best_epoch, epochs, seconds, model_parameters.
    - One column for each parameter. A parameter with the name of another column is called `params.<name>`.
    - test_<metric>, which are never used for ranking, and failure.

    Studies with different objectives keep their own columns, and are ranked one after the other.

    Args:
        studies: names of studies; by default all studies of the store.
        where: keeps the trials for which this SQL expression over the columns holds, for example `depth >= 2`.
        top: the most rows to return, the best first; by default all rows.
        home: the folder of the store: HPO_HOME or ./mlruns where not given.
        storage: SQLAlchemy URL of the store, where it is not the home folder's.

    Raises:
        NotFound: there is no such study.
        UserError: `where` is no expression over the columns.
    """
    return chosen(table(read_studies(studies, home, storage)), where, top)


def chosen(frame: "pd.DataFrame", where: str | None, top: int | None) -> "pd.DataFrame":
    """The rows of a ranked table for which an expression holds, the best `top` of them.

    Raises:
        UserError: `where` is no expression over the columns.
    """
    # A study without trials has no columns yet that an expression could name.
    frame = frame if where is None or frame.empty else rows_where(frame, where)
    return frame if top is None else frame.head(top)


def read_studies(
    studies: Sequence[str], home: str | Path | None = None, storage: str | None = None
) -> "list[StudyView]":
    """Reads studies by name; without names all studies of the store.

    Raises:
        NotFound: there is no such study, or no store.
    """
    from hpo.study.read import read_study, study_names
    from hpo.system.home import storage_url

    url = storage_url(storage, home)
    return [read_study(url, name) for name in dict.fromkeys(studies or study_names(url))]


def ranking(view: "StudyView") -> "list[TrialRecord]":
    """A study's trials, best first; those without a score last, in the order of their numbers."""
    from hpo.study.record import ranked

    scored = ranked(view.trials, view.objective)
    numbers = {trial.number for trial in scored}
    return scored + [trial for trial in view.trials if trial.number not in numbers]


def table(views: "Sequence[StudyView]") -> "pd.DataFrame":
    """The ranked table of studies; see `compare`."""
    import pandas as pd

    frame = pd.DataFrame([row(view, trial) for view in views for trial in ranking(view)])
    if frame.empty:
        return frame
    objectives = {view.objective.metric: view.objective for view in views}
    if len(views) > 1 and len(objectives) == 1:
        ((metric, objective),) = objectives.items()
        order = (-objective.merit(frame[metric])).sort_values(kind="stable", na_position="last").index
        frame = frame.loc[order].reset_index(drop=True)
    floors = {view.name: view.confirmation.noise_floor for view in views if view.confirmation is not None}
    if floors:
        frame = _with_noise(frame, objectives, floors)
    # Puts columns in order: pandas would put parameters that only some trials have last, behind the test scores.
    confirmed = [name for name in (*CONFIRMED, VERDICT) if name in frame.columns]
    scores = [name for metric in objectives for name in (metric, f"{metric}_std") if name in frame.columns]
    first = [*_FIRST, *scores, *confirmed, *(name for name in NOISE if floors), *_COST]
    last = [*sorted(name for name in frame.columns if name.startswith("test_")), "failure"]
    return frame[[*first, *(name for name in frame.columns if name not in {*first, *last}), *last]]


def row(view: "StudyView", trial: "TrialRecord") -> dict[str, Any]:
    """One row of the table."""
    metric = view.objective.metric
    taken = {*_TAKEN, metric}
    return {
        "study": view.name,
        "trial": trial.number,
        "state": trial.status,
        metric: trial.value,
        **({f"{metric}_std": trial.deviations[metric]} if metric in trial.deviations else {}),
        **_confirmed(view, trial),
        "best_epoch": trial.best_epoch,
        "epochs": trial.epochs,
        "seconds": trial.seconds,
        "model_parameters": trial.model_parameters,
        **{_column(name, taken): value for name, value in trial.params.items()},
        **{f"test_{name}": value for name, value in trial.test.items()},
        "failure": trial.reason,
    }


def parameter_columns(views: "Sequence[StudyView]") -> list[str]:
    """The columns of the table that are parameters."""
    return list(
        dict.fromkeys(
            _column(name, {*_TAKEN, view.objective.metric})
            for view in views
            for trial in view.trials
            for name in trial.params
        )
    )


def _column(name: str, taken: set[str]) -> str:
    return f"params.{name}" if name in taken or name.startswith("test_") else name


def _confirmed(view: "StudyView", trial: "TrialRecord") -> dict[str, float | str]:
    from hpo.statistics.decision import verdict

    confirmation = view.confirmation
    finalists = confirmation.finalists if confirmation is not None else ()
    finalist = next((one for one in finalists if one.trial == trial.number), None)
    if confirmation is None or finalist is None:
        return {}
    estimate = finalist.validation
    found = () if estimate is None else zip(CONFIRMED, (estimate.mean, estimate.low, estimate.high), strict=True)
    return {**dict(found), VERDICT: verdict(finalist, confirmation)}


def _with_noise(
    frame: "pd.DataFrame", objectives: "Mapping[str, Objective]", floors: Mapping[str, float]
) -> "pd.DataFrame":
    """Adds how far each trial is behind the best with its objective, in units of the score and in noise floors.

    The noise floor is the larger one of the trial's study and the best trial's; nothing is added where one is unknown.
    """
    import numpy as np

    known = frame["study"].map(floors).to_numpy(dtype=float)
    behind, floor = np.full(len(frame), np.nan), np.full(len(frame), np.nan)
    for metric, objective in objectives.items():
        scores = objective.merit(frame[metric].to_numpy(dtype=float))
        scored = ~np.isnan(scores)
        if scored.any():
            best = int(np.nanargmax(scores))
            behind[scored] = (scores[best] - scores)[scored]
            floor[scored] = np.maximum(known, known[best])[scored]
    floor[floor == 0] = np.nan
    return frame.assign(behind=behind, noise_floors_behind=behind / floor)
