"""Stores that may only be read: every command that reads, whatever journal was left beside the database."""

import shutil
import sqlite3
from pathlib import Path

import pytest
from read_only import read_only
from studies import run, two_epochs
from typer.testing import CliRunner

from hpo.cli.commands import app
from hpo.errors import UserError
from hpo.storage.open import open_database
from hpo.study.read import read_study, study_names


@pytest.fixture(params=["plain", "left open", "killed", "killed within a rollback journal"])
def home(request, tmp_path: Path) -> Path:
    """A home folder with a study; its last change stands in the journal alone where the writer was killed."""
    home, killed, made = tmp_path / "home", tmp_path / "killed", tmp_path / "made"
    run(f"sqlite:///{made}/optuna.db", two_epochs, trials=2)
    with sqlite3.connect(made / "optuna.db") as settled:
        settled.execute("PRAGMA wal_checkpoint(TRUNCATE)")
    settled.close()
    home.mkdir()
    shutil.copyfile(made / "optuna.db", home / "optuna.db")
    if request.param == "plain":
        return home
    with sqlite3.connect(home / "optuna.db", isolation_level=None) as writer:
        if request.param == "killed within a rollback journal":
            writer.execute("PRAGMA journal_mode=DELETE")
            writer.execute("PRAGMA cache_size=1")
            writer.execute("BEGIN")
            writer.execute("DELETE FROM trial_user_attributes")
            shutil.copytree(home, killed)
            writer.execute("ROLLBACK")
        else:
            writer.execute("UPDATE trials SET number = number")
            shutil.copytree(home, killed)
            if request.param == "killed":
                (killed / "optuna.db-shm").unlink()
    writer.close()
    return killed


def test_a_store_that_may_only_be_read_is_read(home: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    before = contents(home)
    url = f"sqlite:///{home}/optuna.db"
    with read_only(home):
        assert study_names(url) == ["s"]
        assert [trial.state for trial in read_study(url, "s").trials] == ["complete"] * 2
        for words in (["list"], ["compare", "s"], ["show", "s"], ["show", "s", "1"], ["report", "s", "-o", "r.md"]):
            told = CliRunner().invoke(app, [*words, "--home", str(home)], catch_exceptions=False)
            assert told.exit_code == 0, told.output
        with pytest.raises(UserError, match=r"cannot be opened: .*(Read-only|ermission)"):
            run(url, two_epochs, trials=3)
    assert contents(home) == before


def contents(folder: Path) -> dict[Path, bytes]:
    """What the files of a folder hold, but SQLite's shared memory."""
    return {path: path.read_bytes() for path in folder.rglob("*") if path.is_file() and path.suffix != ".db-shm"}


def test_a_read_only_store_is_exported_and_reported(finished: Path, tmp_path: Path, monkeypatch) -> None:
    monkeypatch.chdir(tmp_path)
    exporting = ["export", "tiny", "--to", "best.yaml", "--model", "best.keras"]
    with read_only(finished):
        for words in (exporting, ["report", "tiny", "-o", "r.html"]):
            told = CliRunner().invoke(app, [*words, "--home", str(finished)], catch_exceptions=False)
            assert told.exit_code == 0, told.output
    assert "not logged to MLflow" in told.output
    assert {"best.yaml", "best.keras", "r.html"} <= {path.name for path in tmp_path.iterdir()}


def test_a_read_only_database_file_is_not_changed_by_opening_it(tmp_path: Path) -> None:
    url = f"sqlite:///{tmp_path}/home/optuna.db"
    run(url, two_epochs, trials=1)
    with read_only(tmp_path / "home"):
        database = open_database(url, must_exist=True)
        with database.engine.connect() as connection, pytest.raises(Exception, match="readonly database"):
            connection.exec_driver_sql("DELETE FROM trials")
        database.engine.dispose()
