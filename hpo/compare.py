"""Trials side by side: the ranked table of one study or of several."""

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    import pandas as pd

    from hpo.record import TrialRecord
    from hpo.store import StudyView


def compare(*studies: str, home: str | Path | None = None, storage: str | None = None) -> "pd.DataFrame":
    """The trials of studies, best validation score first; trials without a score come last.

    Columns: study, trial, state, the objective, best_epoch, epochs, seconds, model_parameters, one for each
    parameter, test_<metric>s, which never sort, failure. Studies with different objectives keep their own
    columns, and are ranked one after the other.

    Args:
        studies: names of studies; all of the store where none is given.
        home: the folder of the store: HPO_HOME or ./mlruns where not given.
        storage: SQLAlchemy URL of the store, where it is not the home folder's.

    Raises:
        NotFound: there is no such study.
    """
    return table(read_studies(studies, home, storage))


def read_studies(
    studies: Sequence[str], home: str | Path | None = None, storage: str | None = None
) -> "list[StudyView]":
    """Reads studies by name, all of the store where no name is given.

    Raises:
        NotFound: there is no such study, or no store.
    """
    from hpo.plan import default_storage, home_folder
    from hpo.store import read_study, study_names

    url = storage or default_storage(home_folder(home))
    return [read_study(url, name) for name in studies or study_names(url)]


def ranking(view: "StudyView") -> "list[TrialRecord]":
    """A study's trials, best first; those without a score last, in the order of their numbers."""
    from hpo.record import ranked

    scored = ranked(view.trials, view.objective)
    numbers = {trial.number for trial in scored}
    return scored + [trial for trial in view.trials if trial.number not in numbers]


def table(views: "Sequence[StudyView]") -> "pd.DataFrame":
    """The ranked table of studies; see `compare`."""
    import pandas as pd

    rows = [row(view, trial) for view in views for trial in ranking(view)]
    frame = pd.DataFrame(rows)
    metrics = {view.objective.metric: view.objective.sign for view in views}
    if len(views) > 1 and len(metrics) == 1:
        ((metric, sign),) = metrics.items()
        order = (-sign * frame[metric]).sort_values(kind="stable", na_position="last").index
        frame = frame.loc[order].reset_index(drop=True)
    # Parameters that only some trials have come late otherwise, and test scores belong apart, at the end.
    last = [*sorted(name for name in frame.columns if name.startswith("test_")), "failure"]
    return frame[[name for name in frame.columns if name not in last] + last] if len(frame) else frame


def row(view: "StudyView", trial: "TrialRecord") -> dict[str, Any]:
    """One line of the table."""
    return {
        "study": view.name,
        "trial": trial.number,
        "state": trial.state,
        view.objective.metric: trial.value,
        "best_epoch": trial.best_epoch,
        "epochs": trial.epochs,
        "seconds": trial.seconds,
        "model_parameters": trial.model_parameters,
        **trial.params,
        **{f"test_{name}": value for name, value in trial.test.items()},
        "failure": trial.failure,
    }
