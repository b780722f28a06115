"""Both writers of runs leave the same in MLflow's tables, and both go on where they were cut off."""

import shutil
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from logged import STUDY, complete, failed, pruned, running
from postgres import Server
from sqlalchemy import create_engine, text
from sqlalchemy.pool import NullPool

from hpo.study.failure import Failure
from hpo.study.record import Confirms, TrialRecord
from hpo.tracking import Ending, Tracker, mlflow_compat, study_runs, table_runs
from hpo.tracking import tracker as tracker_module
from hpo.tracking.connection import connect

TABLES = ("runs", "tags", "params", "metrics", "latest_metrics", "inputs", "input_tags", "datasets")

FOLDS = {"loss": [0.5, 0.4, 0.3], "val_accuracy": [0.5, 0.6, 0.7]}

RECORDS = [
    complete(0),
    pruned(1),
    failed(2),
    replace(
        failed(3),
        curves={"loss": [0.5], "top(5)": [0.1], "a//b": [0.2]},
        failure=Failure("error", "lone \udc80 surrogate, \0 zero"),
    ),
    replace(
        complete(4),
        curves=FOLDS,
        fold_lengths=(2, 1),
        fold_best_epochs=(2, 3),
        best_epoch=3,
        params={"text": "\udc80 \0", "list": [1]},
    ),
]


@pytest.fixture(scope="module")
def database(postgres_server: Server) -> Iterator[str]:
    """A database of its own on the tests' PostgreSQL server."""
    engine = create_engine(postgres_server.url, isolation_level="AUTOCOMMIT", poolclass=NullPool)
    with engine.connect() as connection:
        connection.execute(text("CREATE DATABASE writers"))
    yield f"{postgres_server.url.rpartition('/')[0]}/writers"
    with engine.connect() as connection:
        connection.execute(text("DROP DATABASE writers WITH (FORCE)"))


@pytest.fixture(params=["sqlite", "postgresql"])
def uri(request: Any, tmp_path: Path) -> str:
    """A store with MLflow's tables."""
    if request.param == "sqlite":
        shutil.copy(request.getfixturevalue("empty_database"), tmp_path / "mlflow.db")
        return f"sqlite:///{tmp_path}/mlflow.db"
    server = str(request.getfixturevalue("database"))
    connect(server)
    forget(server)
    forget(server, ("experiments WHERE name = 'toy'", "experiment_tags"))
    return server


def rows(uri: str) -> dict[str, list[Any]]:
    """All rows of a store, with the names of runs in the place of their ids."""
    engine = create_engine(uri)
    with engine.connect() as connection:
        tables = {
            name: [dict(row) for row in connection.execute(text(f"SELECT * FROM {name}")).mappings()] for name in TABLES
        }
    engine.dispose()
    names = {row["run_uuid"]: f"run {row['name']}" for row in tables["runs"]}
    names |= {row["dataset_uuid"]: f"data {row['digest']}" for row in tables["datasets"]}
    for row in tables["inputs"]:
        names[row["input_uuid"]] = f"input {names[row['source_id']]} of {names[row['destination_id']]}"

    def named(value: Any) -> Any:
        for run_id, name in names.items():
            if isinstance(value, str) and run_id in value:
                return value.replace(run_id, name)
        return value

    now = {"start_time", "end_time"}
    return {
        table: sorted(
            repr({key: named(value) for key, value in row.items() if row.get("name") != "toy-study" or key not in now})
            for row in known
        )
        for table, known in tables.items()
    }


def told(
    uri: str,
    folder: Path,
    records: list[TrialRecord],
    experiment: str,
    *,
    live: bool,
    before: Callable[[int], None] | None = None,
) -> dict[str, list[Any]]:
    """What is in a store once a study was told, trial by trial, or all that was missing at the next time."""
    study = replace(STUDY, experiment=experiment)
    warnings: list[str] = []
    tracker = Tracker.open(uri, folder, study, resume=not live, warn=warnings.append)
    tracker.ready()
    if live:
        for record in records:
            if before is not None:
                before(record.number)
            tracker.start_trial(running(record.number))
            tracker.end_trial(record)
    else:
        tracker.sync(records)
    tracker.finish(Ending("finished", "done", complete(0), "params: {}\n"))
    assert tracker.close()
    assert len(warnings) == (before is not None)
    return rows(uri)


@pytest.mark.parametrize("live", [True, False], ids=["live", "missing"])
def test_the_tables_are_written_as_mlflow_writes_them(uri, tmp_path, monkeypatch, live):
    records = RECORDS if live else [*RECORDS, replace(complete(0), confirms=Confirms(0, 1))]
    used = []

    def noted(*arguments):
        used.append(table_runs.table_runs(*arguments))
        return used[-1]

    monkeypatch.setattr(study_runs, "table_runs", noted)
    fast = told(uri, tmp_path / "artifacts", records, "toy", live=live)
    assert isinstance(used[0], table_runs.TableRuns)
    assert len(fast["runs"]) == 1 + len(records)
    forget(uri)
    monkeypatch.setattr(study_runs, "table_runs", lambda *arguments: None)
    slow = told(uri, tmp_path / "artifacts", records, "toy", live=live)
    for table in TABLES:
        assert fast[table] == slow[table], table
    errors = sorted(file.read_text() for file in (tmp_path / "artifacts").glob("*/artifacts/error.txt"))
    assert [*dict.fromkeys(errors)] == sorted(["ValueError: no\n\nTraceback ...", "lone \\udc80 surrogate, \\x00 zero"])


def test_a_server_whose_sessions_are_cut_and_that_is_away_loses_and_doubles_nothing(
    database, postgres_server, tmp_path, monkeypatch
):
    for name, seconds in {"FLUSH_SECONDS": 0.02, "RETRY_SECONDS": 0.1, "LAST_SECONDS": 0.2}.items():
        monkeypatch.setattr(tracker_module, name, seconds)
    monkeypatch.setattr(tracker_module, "LAST_TRIES", 100)
    connect(database)
    forget(database)
    undisturbed = told(database, tmp_path / "artifacts", RECORDS, "toy", live=True)
    forget(database)
    admin = create_engine(database, poolclass=NullPool)

    def logged(count: int) -> None:
        until = time.monotonic() + 30
        with admin.connect() as connection:
            ended = text("SELECT count(*) FROM runs WHERE end_time IS NOT NULL")
            while connection.execute(ended).scalar() < count:
                connection.rollback()
                assert time.monotonic() < until
                time.sleep(0.02)

    def disturb(trial: int) -> None:
        if trial in (1, 2):
            logged(trial)
            with admin.connect() as connection:
                cut = "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE pid <> pg_backend_pid() AND "
                assert connection.execute(text(f"{cut} datname = 'writers'")).all()
        if trial == 3:
            logged(trial)
            postgres_server.restart()
        if trial == 4:
            logged(trial)
            postgres_server.stop()
            threading.Timer(1.0, postgres_server.start).start()

    assert told(database, tmp_path / "artifacts", RECORDS, "toy", live=True, before=disturb) == undisturbed


def test_unknown_databases_are_left_to_the_client(tmp_path, empty_database, monkeypatch):
    url = f"sqlite:///{shutil.copy(empty_database, tmp_path / 'mlflow.db')}"
    client = connect(url)
    experiment = client.get_experiment_by_name("Default")
    assert table_runs.table_runs(client, url, experiment) is not None
    for other in ("http://127.0.0.1:9", "mysql+pymysql://me:secret@127.0.0.1:9/x", "sqlite://"):
        assert table_runs.table_runs(client, other, experiment) is None
    monkeypatch.setenv("MLFLOW_ENABLE_WORKSPACES", "true")
    assert table_runs.table_runs(client, url, experiment) is None
    monkeypatch.delenv("MLFLOW_ENABLE_WORKSPACES")
    monkeypatch.setattr(mlflow_compat, "SCHEMA", "a later one")
    assert table_runs.table_runs(client, url, experiment) is None


def forget(uri: str, tables: Sequence[str] = TABLES) -> None:
    """Empties the tables."""
    engine = create_engine(uri)
    with engine.begin() as connection:
        for table in reversed(tables):
            connection.execute(text(f"DELETE FROM {table}"))
    engine.dispose()
