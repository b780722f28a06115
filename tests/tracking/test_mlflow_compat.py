"""What hpo needs of MLflow beyond its documentation is as it was: a failure names what to look at."""

import json
import logging
from pathlib import Path

import mlflow
import numpy as np
import pytest
from logged import unpacked
from mlflow import MlflowClient
from mlflow.models import Model
from sqlalchemy import create_engine, select, text

from hpo.config.experiment import Objective
from hpo.tracking import mlflow_compat as compat
from hpo.tracking import saved_views
from hpo.tracking.address import set_environment

LOOK = f"MLflow {mlflow.__version__} is not as hpo/tracking/mlflow_compat.py needs it: "


def test_the_tables_are_those_that_are_known(uri: str) -> None:
    engine = create_engine(uri)
    with engine.begin() as connection:
        assert compat.has_known_tables(connection), (
            LOOK + "the schema has changed, so every run goes through the slow client; compare tables() and "
            "hpo/tracking/table_runs.py with mlflow/store/tracking/sqlalchemy_store.py, then set SCHEMA"
        )
        connection.execute(text("UPDATE alembic_version SET version_num = 'other'"))
        assert not compat.has_known_tables(connection)
    engine.dispose()


@pytest.mark.parametrize(
    ("table", "columns"),
    [
        ("tags", "run_uuid key value"),
        ("params", "run_uuid key value"),
        ("metrics", "run_uuid key value timestamp step is_nan"),
        ("latest_metrics", "run_uuid key value timestamp step is_nan"),
        ("inputs", "input_uuid source_type source_id destination_type destination_id step"),
        ("input_tags", "input_uuid name value"),
    ],
)
def test_the_columns_of_tables(table: str, columns: str) -> None:
    found = {column.name for column in getattr(compat.tables(), table).columns}
    assert found == set(columns.split()), LOOK + f"other columns in {table}; see tables and hpo/tracking/table_runs.py"


def test_artifacts_lie_where_mlflow_puts_them(uri: str, tmp_path: Path) -> None:
    client = MlflowClient(uri)
    experiment = client.get_experiment(client.create_experiment("e", f"file://{tmp_path}/artifacts"))
    run = client.create_run(experiment.experiment_id)
    assert compat.artifact_uri(experiment.artifact_location, run.info.run_id) == run.info.artifact_uri, (
        LOOK + "see artifact_uri"
    )
    engine = create_engine(uri)
    with engine.connect() as connection:
        tags = {row.key for row in connection.execute(select(compat.tables().tags))}
    engine.dispose()
    assert tags == {compat.MLFLOW_RUN_NAME}, LOOK + "runs are made with other tags, see table_runs.TableRuns"


def test_tables_are_made_whole(tmp_path: Path) -> None:
    file = tmp_path / "new.db"
    compat.make_tables(file)
    engine = create_engine(f"sqlite:///{file}")
    with engine.connect() as connection:
        assert compat.has_known_tables(connection), LOOK + "see make_tables"
    engine.dispose()


def test_names_and_limits() -> None:
    assert compat.is_plain_path("a/b")
    assert not compat.is_plain_path("a//b"), LOOK + "see is_plain_path"
    lengths = (compat.MAX_ENTITY_KEY_LENGTH, compat.MAX_PARAM_VAL_LENGTH, compat.MAX_TAG_VAL_LENGTH)
    assert lengths == (250, 6000, 8000), LOOK + "its limits have changed, and with them what is cut"
    tags = compat.source_tags()
    assert {compat.MLFLOW_USER, "mlflow.source.name"} <= tags.keys(), LOOK + "see source_tags"
    assert compat.workspaces() is False, LOOK + "see workspaces"


def test_a_thread_is_kept_quiet(capsys: pytest.CaptureFixture[str]) -> None:
    set_environment()
    with compat.quiet_thread():
        logging.getLogger("mlflow").critical("canary")
    shown = capsys.readouterr()
    assert "canary" not in shown.err + shown.out, LOOK + "see quiet_thread"


def test_a_model_has_its_example_and_its_environment(tmp_path: Path) -> None:
    description = Model()
    compat.save_example(description, np.zeros((2, 3), "float32"), str(tmp_path))
    assert description.saved_input_example_info, LOOK + "see save_example"
    assert (tmp_path / description.saved_input_example_info["artifact_path"]).exists(), LOOK + "see save_example"
    compat.write_environment(tmp_path, ["numpy==2"])
    assert "numpy==2" in (tmp_path / "conda.yaml").read_text(), LOOK + "see write_environment"
    assert "python:" in (tmp_path / "python_env.yaml").read_text(), LOOK + "see write_environment"


def test_the_ui_knows_the_names_that_views_are_made_of() -> None:
    """The scripts of MLflow's UI hold every key and word that its saved views are written with."""
    folder = Path(mlflow.__file__).parent / "server" / "js" / "build" / "static" / "js"
    scripts = "".join(path.read_text(encoding="utf-8") for path in folder.rglob("*.js"))
    shown = saved_views.Shown(
        "s", "r", 0, Objective(metric="val_loss", direction="minimize"), ["p"], ["p"], tested=True, folded=True
    )
    states = [unpacked(make(shown)) for make in (saved_views.trials_tag, saved_views.confirmation_tag)]
    words = {compat.VIEW_PREFIX, "deflate;", *json.loads(saved_views.trials_tag(shown)[1]), *compat.view_query("k")}
    words |= {word for state in states for word in keys(state)}
    words |= {"FIRST_20_RUNS", "PARALLEL", "BAR", "LINE", "SCATTER", "METRIC", saved_views.OTHERS, "custom_model_dev"}
    missing = {word for word in words if word not in scripts}
    assert not missing, LOOK + f"its UI has no {missing}; see packed_view, view_query and hpo/tracking/saved_views.py"


def keys(value: object) -> set[str]:
    """The keys of nested mappings, without those that name columns."""
    if isinstance(value, list):
        return {key for part in value for key in keys(part)}
    if not isinstance(value, dict):
        return set()
    below = {key for part in value.values() for key in keys(part)}
    return below | {key for key in value if "`" not in key}
