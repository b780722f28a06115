"""Finds a study in an MLflow store, and the views that hpo prepared of it."""

from collections.abc import Mapping
from dataclasses import dataclass

from mlflow import MlflowClient
from mlflow.entities import Run

from hpo.tracking.address import quiet
from hpo.tracking.connection import connect
from hpo.tracking.mlflow_compat import VIEW_PREFIX
from hpo.tracking.paging import find_run
from hpo.tracking.saved_views import confirmation_key, trials_key


@dataclass(frozen=True)
class FoundStudy:
    """A study in an MLflow store."""

    experiment: str
    """Id of its MLflow experiment."""
    tags: Mapping[str, str]
    """The tags of the study's run."""
    trials: str | None
    """The key of the view of its trials; None if there is none, as with studies that earlier versions logged."""
    confirmation: str | None
    """The key of the view of its confirming runs; None if there is none."""


@quiet()
def find_study(uri: str, study: str) -> FoundStudy | None:
    """The newest study of that name; None if there is none."""
    found = study_run(uri, study)
    if found is None:
        return None
    client, run = found
    kept = client.get_experiment(run.info.experiment_id).tags
    # A view may be left from an older study of that name, and show that one's runs.
    trials, confirmation = (
        key if run.info.run_id in kept.get(VIEW_PREFIX + key, "") else None
        for key in (trials_key(study), confirmation_key(study))
    )
    return FoundStudy(str(run.info.experiment_id), dict(run.data.tags), trials, confirmation)


def study_run(uri: str, study: str) -> tuple[MlflowClient, Run] | None:
    """A client of the store, and the run of the newest study of that name; None if there is none."""
    client = connect(uri)
    run = find_run(client, study)
    return None if run is None else (client, run)
