"""MLflow's model registry: registers models with a link to their study, and downloads registered ones."""

import json
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from mlflow import MlflowClient
from mlflow.artifacts import download_artifacts
from mlflow.entities import LoggedModel, Run
from mlflow.exceptions import MlflowException
from mlflow.protos.databricks_pb2 import RESOURCE_ALREADY_EXISTS, ErrorCode

from hpo.errors import NotFound, first_line
from hpo.text.urls import masked
from hpo.tracking import entities
from hpo.tracking.address import quiet
from hpo.tracking.connection import connect
from hpo.tracking.mlflow_compat import MLFLOW_GIT_COMMIT, MLFLOW_MODEL_VERSIONS, MLFLOW_PARENT_RUN_ID
from hpo.tracking.model_artifact import KerasModel, log_model
from hpo.tracking.paging import find_run, search_registered_models

ALIAS = "champion"
_ABOUT = (
    f"Models of hpo studies. `{ALIAS}` is the one to use; each version says which trial it is, and how sure that is."
)


@dataclass(frozen=True)
class Version:
    """A version of a registered model."""

    name: str
    """Name of the registered model."""
    study: str
    model: KerasModel
    description: str
    """Markdown."""
    tags: Mapping[str, Any]


@quiet()
def register(uri: str, version: Version) -> str:
    """Logs a model with the run of its trial, registers it and gives it the alias; returns the version's number.

    Raises:
        NotFound: the store has no run of the trial.
        Exception: MLflow's or SQLAlchemy's, if the store cannot be reached, or refuses.
    """
    client = connect(uri)
    run = _run_of(client, uri, version.study, version.model.trial)
    model_id = log_model(client, run, version.model)
    try:
        client.create_registered_model(version.name, description=_ABOUT)
    except MlflowException as error:
        if error.error_code != ErrorCode.Name(RESOURCE_ALREADY_EXISTS):
            raise
    logged = client.get_logged_model(model_id)
    tags = {**version.tags, "hpo.git_commit": run.data.tags.get(MLFLOW_GIT_COMMIT)}
    made = client.create_model_version(
        version.name,
        # Not models:/ID, which MLflow would look up in its default store.
        source=logged.artifact_location,
        run_id=run.info.run_id,
        tags={tag.key: tag.value for tag in entities.tags(tags)},
        description=version.description,
        model_id=model_id,
    )
    client.set_registered_model_alias(version.name, ALIAS, made.version)
    _link(client, logged, version.name, str(made.version))
    return str(made.version)


def _link(client: MlflowClient, logged: LoggedModel, name: str, version: str) -> None:
    """Links the model's own page to its versions, as `mlflow.register_model` does."""
    known = json.loads(logged.tags.get(MLFLOW_MODEL_VERSIONS, "[]"))
    versions = json.dumps([*known, {"name": name, "version": version}])
    client.set_logged_model_tags(logged.model_id, {MLFLOW_MODEL_VERSIONS: versions})


def _run_of(client: MlflowClient, uri: str, study: str, trial: int) -> Run:
    parent = find_run(client, study)
    if parent is not None:
        below = f"tags.`{MLFLOW_PARENT_RUN_ID}` = '{parent.info.run_id}' and tags.`hpo.trial` = '{trial}'"
        condition = f"{below} and tags.`hpo.role` = 'trial'"
        for run in client.search_runs([parent.info.experiment_id], condition, max_results=1):
            return run
    raise NotFound(
        f"{masked(uri)} has no run of trial {trial} of study {study}; hpo log {study} writes what is missing"
    )


@quiet()
def model_file(uri: str, model: str, folder: Path) -> Path:
    """Downloads the .keras file of a registered model, `models:/NAME@alias` or `models:/NAME/VERSION`.

    Raises:
        NotFound: there is no such model, or it holds no .keras file.
        Exception: MLflow's or SQLAlchemy's, if the store cannot be reached.
    """
    client = connect(uri)
    name, _, which = model.removeprefix("models:/").replace("/", "@").partition("@")
    try:
        version = (
            client.get_model_version(name, which) if which.isdigit() else client.get_model_version_by_alias(name, which)
        )
        place = client.get_model_version_download_uri(name, version.version)
    except MlflowException as error:
        names = ", ".join(known.name for known in search_registered_models(client)) or "none"
        reason = first_line(error)
        raise NotFound(f"{model}: not found in {masked(uri)}: {reason}; registered models: {names}") from None
    try:
        return Path(download_artifacts(f"{place}/data/model.keras", dst_path=str(folder), tracking_uri=uri))
    except (MlflowException, OSError):
        rule = "holds no Keras model that can be read; register one with hpo export STUDY --register NAME"
        raise NotFound(f"{model}: {rule}") from None
