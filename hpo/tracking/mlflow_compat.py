"""The undocumented parts of MLflow that hpo needs; no other module uses any.

`tests/tracking/test_mlflow_compat.py` tries each of them, and says where to look when an upgrade of MLflow breaks one.
"""

import base64
import json
import zlib
from collections.abc import Mapping
from contextlib import AbstractContextManager
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING, Any

# The names of MLflow's own tags, and the limits of its stores, which have no public names.
from mlflow.utils.mlflow_tags import (
    MLFLOW_DATASET_CONTEXT,
    MLFLOW_GIT_COMMIT,
    MLFLOW_MODEL_VERSIONS,
    MLFLOW_PARENT_RUN_ID,
    MLFLOW_RUN_NAME,
    MLFLOW_RUN_NOTE,
    MLFLOW_USER,
)
from mlflow.utils.validation import MAX_ENTITY_KEY_LENGTH, MAX_PARAM_VAL_LENGTH, MAX_TAG_VAL_LENGTH, path_not_unique

if TYPE_CHECKING:
    import pandas as pd
    from mlflow.models import Model
    from sqlalchemy import Connection, Table

    from hpo.data.dataset import Array

__all__ = [
    "EXPERIMENT_TAGS",
    "MAX_ENTITY_KEY_LENGTH",
    "MAX_PARAM_VAL_LENGTH",
    "MAX_TAG_VAL_LENGTH",
    "MAX_VIEW_LENGTH",
    "MLFLOW_DATASET_CONTEXT",
    "MLFLOW_GIT_COMMIT",
    "MLFLOW_MODEL_VERSIONS",
    "MLFLOW_PARENT_RUN_ID",
    "MLFLOW_RUN_NAME",
    "MLFLOW_RUN_NOTE",
    "MLFLOW_USER",
    "SCHEMA",
    "VIEW_PREFIX",
    "Tables",
    "artifact_uri",
    "has_known_tables",
    "is_plain_path",
    "make_tables",
    "packed_view",
    "quiet_thread",
    "save_example",
    "source_tags",
    "tables",
    "view_query",
    "workspaces",
    "write_environment",
]

SCHEMA = "dc11669786a5"
"""The revision of MLflow's tables that `tables` describes: that of MLflow 3.17."""

EXPERIMENT_TAGS = {"mlflow.experimentKind": "custom_model_development"}
"""Tags with which the UI opens an experiment in machine-learning mode, not in its mode for language models."""

VIEW_PREFIX = "mlflow.sharedViewState."
"""The prefix of the experiment tags in which the UI keeps saved views."""

MAX_VIEW_LENGTH = 5000
"""The longest value of such a tag, in characters."""


def is_plain_path(name: str) -> bool:
    """Whether MLflow accepts a name for a metric or a param, which must not be a path that could be shortened."""
    return not path_not_unique(name)  # type: ignore[no-untyped-call]


def artifact_uri(experiment_location: str, run_id: str) -> str:
    """Where the artifacts of a run are, as MLflow's database store decides when it creates a run."""
    from mlflow.utils.uri import append_to_uri_path

    return str(append_to_uri_path(experiment_location, run_id, "artifacts"))  # type: ignore[no-untyped-call]


def source_tags() -> dict[str, str]:
    """The tags of user, source and git commit that MLflow's fluent interface gives to runs, and its client does not."""
    from mlflow.tracking.context.registry import resolve_tags

    found: dict[str, str] = resolve_tags()
    return found


def quiet_thread() -> AbstractContextManager[None]:
    """Keeps MLflow and alembic from logging in this thread; whatever matters is raised as well."""
    from mlflow.utils.logging_utils import suppress_logs_in_thread

    quiet: AbstractContextManager[None] = suppress_logs_in_thread()
    return quiet


# Tables


@dataclass(frozen=True)
class Tables:
    """The tables in which MLflow keeps runs, as SQLAlchemy knows them."""

    runs: "Table"
    tags: "Table"
    params: "Table"
    metrics: "Table"
    latest_metrics: "Table"
    datasets: "Table"
    inputs: "Table"
    input_tags: "Table"


@cache
def tables() -> Tables:
    """MLflow's own tables: its client takes some thirty transactions for a tiny trial, hpo one for many trials."""
    from mlflow.store.tracking.dbmodels import models

    def table(model: Any) -> "Table":
        found: Table = model.__table__
        return found

    return Tables(
        runs=table(models.SqlRun),
        tags=table(models.SqlTag),
        params=table(models.SqlParam),
        metrics=table(models.SqlMetric),
        latest_metrics=table(models.SqlLatestMetric),
        datasets=table(models.SqlDataset),
        inputs=table(models.SqlInput),
        input_tags=table(models.SqlInputTag),
    )


def has_known_tables(connection: "Connection") -> bool:
    """Whether a database has the one revision of the tables that hpo can write directly.

    Raises:
        SQLAlchemyError: it has no tables of MLflow.
    """
    from sqlalchemy import text

    return connection.execute(text("SELECT version_num FROM alembic_version")).scalars().all() == [SCHEMA]


def workspaces() -> bool:
    """Whether MLflow keeps runs in workspaces, which need further columns."""
    from mlflow.environment_variables import MLFLOW_ENABLE_WORKSPACES

    return bool(MLFLOW_ENABLE_WORKSPACES.get())  # type: ignore[no-untyped-call]


def make_tables(file: Path) -> None:
    """Creates the tables in an SQLite file, as `mlflow db upgrade` does.

    The public way is the first use of a store. But MLflow cannot continue if a kill left only some of the tables, so
    they are created in a file that nobody uses yet.
    """
    from mlflow.db import upgrade

    upgrade.main([f"sqlite:///{file}"], prog_name="mlflow db upgrade", standalone_mode=False)


# Models


def save_example(description: "Model", example: "Array | pd.DataFrame | None", folder: str) -> None:
    """Writes input samples into a model's folder and notes them in its description, as `Model.log` does.

    `Model.log` needs an active run, and the model in memory, for which Keras would have to be imported.
    """
    from mlflow.models.utils import _save_example

    _save_example(description, example, folder)


def write_environment(folder: Path, requirements: list[str]) -> None:
    """Writes `conda.yaml` and `python_env.yaml` of a model's folder, as `mlflow.keras.save_model` does."""
    from mlflow.utils.environment import _mlflow_conda_env, _PythonEnv
    from ruamel.yaml import YAML

    environment = _mlflow_conda_env(additional_pip_deps=requirements, install_mlflow=False)  # type: ignore[no-untyped-call]
    YAML(typ="safe").dump(environment, folder / "conda.yaml")
    _PythonEnv.current().to_yaml(str(folder / "python_env.yaml"))  # type: ignore[no-untyped-call]


# Views of the UI


def packed_view(name: str, created: int, state: Mapping[str, Any]) -> str:
    """The value of a tag that holds a saved view of the UI of MLflow 3.17.

    Beside the packed state it has the filter and the order of the runs in plain text, for older versions of the UI.

    Args:
        name: its name in the UI.
        created: milliseconds since 1970.
        state: what the UI shows, by its own keys; see `hpo.tracking.saved_views`.
    """
    # Marked as reordered by hand; otherwise the UI sorts the sections by their names.
    text = _compact({**state, "isAccordionReordered": True}).encode()
    packed = base64.b64encode(zlib.compress(text, 9)).decode()
    plain = {key: state[key] for key in ("searchFilter", "orderByKey", "orderByAsc")}
    return _compact({"name": name, "createdAt": created, **plain, "state": f"deflate;{packed}"})


def view_query(key: str | None = None) -> dict[str, str]:
    """The query with which the UI opens an experiment's page of charts, with a saved view if its key is given."""
    charts = {"workflowType": "machine_learning", "compareRunsMode": "CHART"}
    return charts if key is None else {**charts, "viewStateShareKey": key}


def _compact(value: Any) -> str:
    return json.dumps(value, separators=(",", ":"))
