"""An MLflow store that is locked or full while a study runs costs a warning, and nothing that was to be logged."""

import logging
import shutil
import sqlite3
import time
from pathlib import Path
from typing import Any

import pytest
from logged import STUDY, complete, log_trial, look, running
from sqlalchemy import Engine, event

from hpo.tracking import Ending, Tracker, client_runs, paging, study_runs, table_runs, tracker
from hpo.tracking.address import quiet
from hpo.tracking.connection import connect


@pytest.fixture(autouse=True)
def _hurried(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(tracker, "FLUSH_SECONDS", 0.05)
    monkeypatch.setattr(tracker, "RETRY_SECONDS", 0.1)
    monkeypatch.setattr(tracker, "LAST_SECONDS", 0.1)
    monkeypatch.setattr(table_runs, "_WAIT", 0.1)
    monkeypatch.setattr(tracker, "_MOMENT", 0.0)


def opened(uri: str, home: Path, warnings: list[str], **options: Any) -> Tracker:
    return Tracker.open(uri, home / "artifacts", STUDY, warn=warnings.append, **options)


def until(condition: Any) -> None:
    deadline = time.monotonic() + 30
    while not condition():
        assert time.monotonic() < deadline
        time.sleep(0.02)


def test_a_locked_database_causes_one_warning_and_is_written_later(uri, home, capfd):
    warnings: list[str] = []
    log = opened(uri, home, warnings)
    log.ready()
    other = sqlite3.connect(home / "mlflow.db", isolation_level=None)
    other.execute("BEGIN EXCLUSIVE")
    began = time.monotonic()
    for number in range(3):
        log_trial(log, complete(number))
    assert time.monotonic() - began < 1, "training does not wait"
    until(lambda: warnings)
    other.execute("ROLLBACK")
    log.finish(Ending("finished", "done"))
    left: list[int] = []
    assert log.close(left.append)
    assert {run["status"] for run in look(uri).values()} == {"FINISHED"}
    assert [point[:2] for point in look(uri)["trial-0002"]["metrics"]["loss"]] == [[1, 1.0], [2, 0.5], [3, 0.4]]
    (warning,) = warnings
    assert "failed: (sqlite3.OperationalError) database is locked\nTraining goes on" in warning
    assert capfd.readouterr() == ("", "")


def test_a_store_that_fails_at_first_takes_no_trial_of_this_run_for_a_lost_one(uri, home, monkeypatch):
    real, failures = study_runs.Store.missing, list[Any]()

    def missing(self: study_runs.Store, *known: Any) -> Any:
        if len(failures) < 2:
            failures.append(look(uri).keys())
            raise OSError("away for a moment")
        return real(self, *known)

    monkeypatch.setattr(study_runs.Store, "missing", missing)
    log = opened(uri, home, [])
    log.ready()
    log.sync([])
    log.start_trial(running(0))
    until(lambda: "trial-0000" in look(uri))
    log.end_trial(complete(0))
    log.finish(Ending("finished", "done"))
    assert log.close()
    assert all("trial-0000" not in there for there in failures)
    run = look(uri)["trial-0000"]
    assert (run["status"], "hpo.failure" in run["tags"]) == ("FINISHED", False)


def test_a_store_that_cannot_compare_gets_the_end_of_the_study(uri, home, monkeypatch):
    def missing(*known: Any) -> Any:
        raise OSError("an old run cannot be read")

    monkeypatch.setattr(study_runs.Store, "missing", missing)
    log = opened(uri, home, [])
    log.ready()
    log.sync([])
    log_trial(log, complete(0))
    log.finish(Ending("finished", "done"))
    assert not log.close()
    assert {name: run["status"] for name, run in look(uri).items()} == {"toy-study": "FINISHED"}


def test_a_database_that_stays_locked_is_left_to_the_next_command(uri, home):
    warnings: list[str] = []
    log = opened(uri, home, warnings)
    log.ready()
    other = sqlite3.connect(home / "mlflow.db", isolation_level=None)
    other.execute("BEGIN EXCLUSIVE")
    log_trial(log, complete(0))
    left: list[int] = []
    assert not log.close(left.append)
    assert set(left) == {1}
    other.close()
    again = opened(uri, home, warnings, resume=True)
    again.sync([complete(0)])
    assert again.close()
    assert look(uri)["trial-0000"]["status"] == "FINISHED"
    assert len(warnings) == 1


def test_a_full_disk(uri, home):
    full = [False]

    def limit(connection: Any, *rest: Any) -> None:
        (pages,) = connection.execute("PRAGMA page_count").fetchone()
        connection.execute(f"PRAGMA max_page_count = {pages if full[0] else 10**9}")

    warnings: list[str] = []
    event.listen(Engine, "checkout", limit)
    try:
        log = opened(uri, home, warnings)
        log.ready()
        full[0] = True
        for number in range(40):
            log_trial(log, complete(number))
        until(lambda: warnings)
        full[0] = False
        assert log.close()
    finally:
        event.remove(Engine, "checkout", limit)
    assert "(sqlite3.OperationalError) database or disk is full" in warnings[0]
    assert [run["status"] for name, run in look(uri).items() if name != "toy-study"] == ["FINISHED"] * 40


def test_a_run_that_the_store_refuses_holds_up_no_other(uri, home):
    database = sqlite3.connect(home / "mlflow.db")
    database.execute(
        "CREATE TRIGGER refuse BEFORE INSERT ON runs WHEN NEW.name = 'trial-0001' BEGIN SELECT RAISE(ABORT, 'no'); END"
    )
    database.commit()
    warnings: list[str] = []
    log = opened(uri, home, warnings)
    for number in range(4):
        log_trial(log, complete(number))
    log.finish(Ending("finished", "done"))
    assert not log.close()
    logged = ("toy-study", "trial-0000", "trial-0002", "trial-0003")
    assert {name: run["status"] for name, run in look(uri).items()} == dict.fromkeys(logged, "FINISHED")
    assert len(warnings) == 1


def test_a_database_that_cannot_be_made_is_tried_again(tmp_path, empty_database):
    warnings: list[str] = []
    (tmp_path / "mlflow.db").write_text("no database")
    log = opened(f"sqlite:///{tmp_path}/mlflow.db", tmp_path, warnings, patient=True)
    log_trial(log, complete(0))
    until(lambda: warnings)
    shutil.copy(empty_database, tmp_path / "mlflow.db")
    assert log.close()
    assert look(f"sqlite:///{tmp_path}/mlflow.db")["trial-0000"]["status"] == "FINISHED"
    assert len(warnings) == 1


def test_log_output_of_mlflow_stays_off_the_terminal(uri, home, capfd):
    with quiet():
        client = connect(uri)
        database = sqlite3.connect(home / "mlflow.db")
        database.execute("ALTER TABLE experiments RENAME TO gone")
        database.commit()
        with pytest.raises(Exception, match="no such table"):
            client.search_experiments()
        logging.getLogger("sqlalchemy.pool.impl.QueuePool").error("Exception during reset or similar")
    assert capfd.readouterr() == ("", "")


def test_the_second_page_is_read_as_well(uri, home, monkeypatch):
    """By the client, whose pages are made small; a study of 1,001 trials beside it, which the tables give at once."""
    monkeypatch.setattr(paging, "PAGE", 2)
    monkeypatch.setattr(study_runs, "table_runs", lambda *arguments: None)
    records = [complete(number) for number in range(5)]
    for _ in range(2):
        log = opened(uri, home, [], resume=True)
        log.sync(records)
        assert log.close()
    client = connect(uri)
    runs = client.search_runs([client.get_experiment_by_name("toy").experiment_id])
    assert len(runs) == 6
    for number in range(3):
        client.create_experiment(f"later-{number}")
    client.rename_experiment(client.get_experiment_by_name("toy").experiment_id, "renamed")
    found = paging.find_run(client, "toy-study")
    assert found is not None
    assert found.info.run_name == "toy-study"
    assert paging.find_run(client, "another") is None
    monkeypatch.setattr(paging, "_MODELS", 1)
    for name in ("a", "b"):
        client.create_registered_model(name)
    assert [model.name for model in paging.search_registered_models(client)] == ["a", "b"]


def test_a_page_of_a_thousand_is_not_all(uri, home):
    records = [complete(number) for number in range(1001)]
    log = opened(uri, home, [])
    log.sync(records)
    assert log.close()
    client = connect(uri)
    experiment = client.get_experiment_by_name("toy").experiment_id
    by_client = client_runs.ClientRuns(client, experiment)
    (parent,) = client.search_runs([experiment], "tags.`hpo.role` = 'study'")
    assert len(list(by_client.children(parent.info.run_id))) == 1001
