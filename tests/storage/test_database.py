"""Stores that are away: which errors say so, and commands that wait for one, within bounds."""

import contextlib
import shutil
import sqlite3
import threading
from collections.abc import Iterator

import pytest
from postgres import PASSWORD
from sqlalchemy import create_engine, text
from sqlalchemy.engine import make_url
from sqlalchemy.exc import DBAPIError
from studies import process, run

from hpo.errors import StoreAway
from hpo.storage import database
from hpo.storage.database import comes_back, engine_options, is_away
from hpo.storage.lock import sole_coordinator
from hpo.storage.open import open_database
from hpo.study.read import confirming_runs, known_study, read_sampled, read_study, study_names


@contextlib.contextmanager
def locked(url: str, seconds: float | None = None) -> Iterator[None]:
    """A database whose lock somebody holds, against readers too; for so long, or for the block."""
    other = sqlite3.connect(url.removeprefix("sqlite:///"), isolation_level=None, check_same_thread=False)
    other.execute("PRAGMA journal_mode=DELETE")
    other.execute("BEGIN EXCLUSIVE")
    timer = threading.Timer(seconds or 0, other.rollback)
    if seconds is not None:
        timer.start()
    try:
        yield
    finally:
        if seconds is not None:
            timer.join()
        other.close()


@pytest.fixture(scope="module")
def made(tmp_path_factory):
    folder = tmp_path_factory.mktemp("made")
    run(f"sqlite:///{folder}/optuna.db", trials=1)
    with (
        contextlib.closing(sqlite3.connect(folder / "optuna.db")) as study,
        contextlib.closing(sqlite3.connect(folder / "copy.db")) as copy,
    ):
        study.backup(copy)
    return folder / "copy.db"


@pytest.fixture
def url(made, tmp_path):
    shutil.copy(made, tmp_path / "optuna.db")
    return f"sqlite:///{tmp_path}/optuna.db"


READERS = [
    lambda url: read_study(url, "s"),
    lambda url: read_sampled(url, "s"),
    lambda url: known_study(url, "s"),
    lambda url: confirming_runs(url, "s"),
    study_names,
]


@pytest.mark.parametrize("read", READERS)
def test_a_reader_waits_for_a_locked_store_within_bounds(url, read, monkeypatch, capsys):
    monkeypatch.setattr(database, "READ_SECONDS", 0.8)
    monkeypatch.setattr(database, "BUSY_SECONDS", 0.1)
    with locked(url), pytest.raises(StoreAway, match=r"has been away for 0.8 s: database is locked; run the command"):
        read(url)
    assert capsys.readouterr().err.count("is away: database is locked; waiting up to 0.8 s\n") == 1


def test_a_reader_reads_once_the_lock_is_gone(url, capsys):
    with locked(url, seconds=0.5):
        assert len(read_study(url, "s").trials) == 1


LIST = """
from hpo.cli import main
from hpo.storage import database
import sys
database.READ_SECONDS, database.BUSY_SECONDS = 0.8, 0.1
sys.argv = ["hpo", "list", "--storage", {url!r}]
sys.exit(main.command())
"""


def test_a_command_that_reads_a_locked_store_says_so_in_a_line(url):
    with locked(url):
        reading = process(LIST.format(url=url))
        _, said = reading.communicate(timeout=60)
    assert reading.returncode == 4
    assert "Traceback" not in said
    assert said.splitlines()[-1].endswith("has been away for 0.8 s: database is locked; run the command again")


def test_a_failure_in_the_midst_of_a_command_is_a_line(url, monkeypatch, capsys):
    from hpo.cli import main

    def fail(*args, **options):
        with locked(url), create_engine(url, connect_args={"timeout": 0}).connect() as connection:
            connection.execute(text("SELECT * FROM trials"))

    monkeypatch.setattr(main, "app", fail)
    assert main.command() == 4
    assert capsys.readouterr().err == "a database failed: database is locked; run the command again\n"


def test_a_lock_waits_for_a_server_that_restarts(postgres_server):
    postgres_server.stop()
    threading.Timer(0.5, postgres_server.start).start()
    said: list[str] = []
    with sole_coordinator(postgres_server.url, "s", said.append) as lock:
        lock.ensure()
    assert len(said) == 1
    assert PASSWORD not in said[0]


def test_errors_that_mean_that_a_store_is_away(url, tmp_path):
    def error(url: str, sql: str = "SELECT 1", **options: object) -> DBAPIError:
        with pytest.raises(DBAPIError) as caught, create_engine(url, **options).connect() as connection:
            connection.exec_driver_sql(sql)
        return caught.value

    with locked(url):
        busy = error(url, "SELECT * FROM trials", connect_args={"timeout": 0})
    (tmp_path / "no").write_text("no database, whatever its name says" * 100)
    broken = error(f"sqlite:///{tmp_path}/no", "SELECT * FROM trials")
    refused = error("postgresql+psycopg://u@127.0.0.1:1/d")
    unknown = error("postgresql+psycopg://u@no.invalid/d")
    missing = error(url, "SELECT * FROM nothing")
    assert [is_away(one) for one in (busy, broken, refused, unknown, missing)] == [True, False, True, True, False]
    assert [comes_back(one) for one in (busy, broken, refused, unknown, missing)] == [True, False, True, False, False]


def test_connections_to_servers_are_tried_before_use_and_do_not_hang():
    options = engine_options(make_url("postgresql+psycopg://u@h/d?connect_timeout=3"))
    assert options["pool_pre_ping"]
    assert options["connect_args"]["keepalives"] == 1
    assert "connect_timeout" not in options["connect_args"]
    assert engine_options(make_url("mysql+pymysql://u@h/d")) == {"pool_pre_ping": True}
    assert engine_options(make_url("sqlite:///x.db")) == {"connect_args": {"timeout": 2.0}}
    assert not open_database("sqlite://").engine.pool._pre_ping
