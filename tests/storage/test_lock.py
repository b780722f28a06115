"""One coordinator for each study: by a file, by PostgreSQL's advisory lock."""

import multiprocessing
import os
import re
import shutil
import signal
import time
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import pytest
from postgres import PASSWORD
from sqlalchemy import create_engine, text
from studies import process

from hpo.errors import StoreAway, StudyBusy, UserError
from hpo.storage.database import Away
from hpo.storage.lock import sole_coordinator

HOLD = """
import time
from hpo.storage.lock import sole_coordinator
with sole_coordinator({url!r}, "mine"):
    print("held", flush=True)
    time.sleep(60)
"""


@contextmanager
def holder(url: str) -> Iterator[int]:
    """Another process that holds the lock of the study `mine`; its pid."""
    other = process(HOLD.format(url=url))
    try:
        assert other.stdout is not None
        assert other.stdout.readline() == "held\n"
        yield other.pid
    finally:
        other.kill()
        other.communicate()


@pytest.fixture(params=["sqlite", "postgres"])
def url(request, tmp_path):
    return f"sqlite:///{tmp_path}/optuna.db" if request.param == "sqlite" else request.getfixturevalue("postgres")


def test_a_second_coordinator_is_refused_until_the_first_is_killed(url):
    with holder(url) as pid:
        with (
            pytest.raises(StudyBusy, match=rf"study mine is being run by process {pid} on \S+; wait") as caught,
            sole_coordinator(url, "mine"),
        ):
            pass
        assert PASSWORD not in str(caught.value)
        with sole_coordinator(url, "another"):
            pass
        os.kill(pid, signal.SIGKILL)
        for _ in range(50):
            try:
                with sole_coordinator(url, "mine"):
                    return
            except StudyBusy:
                time.sleep(0.1)
    pytest.fail("the lock outlived its holder by 5 s")


def test_the_same_process_cannot_hold_a_lock_twice(url):
    with (
        sole_coordinator(url, "mine"),
        pytest.raises(StudyBusy, match=f"process {os.getpid()} on"),
        sole_coordinator(url, "mine"),
    ):
        pass
    with sole_coordinator(url, "mine"):
        pass


def test_a_link_to_the_database_has_the_same_lock(tmp_path):
    (tmp_path / "real").mkdir()
    (tmp_path / "link").symlink_to(tmp_path / "real")
    with (
        sole_coordinator(f"sqlite:///{tmp_path}/real/optuna.db", "s"),
        pytest.raises(StudyBusy, match="study s is being run"),
        sole_coordinator(f"sqlite:///{tmp_path}/link/optuna.db", "s"),
    ):
        pass


def test_a_worker_that_outlives_the_holder_does_not_keep_the_lock(tmp_path):
    url = f"sqlite:///{tmp_path}/optuna.db"
    with sole_coordinator(url, "s"):
        worker = multiprocessing.get_context("forkserver").Process(target=time.sleep, args=(30,))
        worker.start()
    try:
        with sole_coordinator(url, "s"):
            assert worker.is_alive()
    finally:
        worker.kill()
        worker.join()


@pytest.mark.parametrize(
    ("url", "message"),
    [
        ("not a url", "storage: not a database URL; an example: sqlite"),
        ("postgresql+asyncpg://u:hush@h/d", r"needs a driver: python3 -m pip install asyncpg"),
        ("mysql+pymysql://u:hush@h/d", r"u:\*\*\*@h/d: studies can be stored in SQLite and PostgreSQL, not in mysql"),
        (
            "postgresql+psycopg://u:hush@127.0.0.1/d?sslmode=no",
            r"u:\*\*\*@127.0.0.1/d\?sslmode=no cannot be opened: .*inval",
        ),
    ],
)
def test_a_database_that_cannot_be_opened(url, message):
    with pytest.raises(UserError, match=message) as caught, sole_coordinator(url, "s"):
        pass
    assert "hush" not in str(caught.value)
    assert "\n" not in str(caught.value)


def test_a_server_that_is_not_reached_is_waited_for(monkeypatch, capsys):
    monkeypatch.setattr("hpo.storage.database.START_SECONDS", 0.3)
    url = "postgresql+psycopg://u:hush@127.0.0.1:1/d"
    with pytest.raises(StoreAway) as caught, sole_coordinator(url, "s"):
        pass
    where = r"storage postgresql\+psycopg://u:\*\*\*@127.0.0.1:1/d"
    why = "connection failed: connection to server .* Connection refused"
    assert re.fullmatch(rf"{where} has been away for 0.3 s: {why}; run the command again", str(caught.value))
    said = capsys.readouterr().err
    assert re.fullmatch(rf"warning: {where} is away: {why}; waiting up to 0.3 s\n", said)


def test_a_wrong_password_is_not_shown(postgres):
    url = postgres.replace(PASSWORD, "wrong-one")
    with pytest.raises(UserError, match="password authentication failed") as caught, sole_coordinator(url, "s"):
        pass
    assert "wrong-one" not in str(caught.value)


def test_a_folder_that_cannot_be_made(tmp_path):
    (tmp_path / "file").touch()
    with (
        pytest.raises(UserError, match=r"cannot be opened: .*Not a directory"),
        sole_coordinator(f"sqlite:///{tmp_path}/file/optuna.db", "s"),
    ):
        pass


# Watched while it is held


def cut(postgres):
    """Ends all sessions of the server that hold an advisory lock."""
    engine = create_engine(postgres)
    with engine.connect() as connection:
        held = "SELECT pg_terminate_backend(pid) FROM pg_locks WHERE locktype = 'advisory' AND granted"
        assert connection.execute(text(held)).all() == [(True,)]
    engine.dispose()


def lose(url, postgres=None):
    """Takes a lock away from its holder: its session, or its file."""
    if url.startswith("sqlite"):
        database = url.removeprefix("sqlite:///")
        os.unlink(f"{os.path.dirname(database)}/locks/optuna.db.mine.lock")
    else:
        cut(url)


def test_a_lost_lock_is_taken_again(url):
    with sole_coordinator(url, "mine") as lock:
        lock.ensure()
        lose(url)
        lock.ensure()
        with pytest.raises(StudyBusy, match=f"process {os.getpid()} on"), sole_coordinator(url, "mine"):
            pass
    with sole_coordinator(url, "mine"):
        pass


def test_a_lock_that_another_took_is_not_taken_back(url):
    with sole_coordinator(url, "mine") as lock:
        lose(url)
        with holder(url) as pid:
            which = rf"study mine is being run by process {pid} on \S+, which took it while this one had lost its lock"
            for _ in range(2):
                with pytest.raises(StudyBusy, match=which):
                    lock.ensure()


def test_a_lock_that_was_given_up_allows_nothing(url):
    with sole_coordinator(url, "mine") as lock:
        pass
    with pytest.raises(RuntimeError, match="lock of study mine was given up"):
        lock.ensure()


def test_a_lock_is_taken_again_from_a_session_that_the_server_has_not_missed_yet(postgres):
    lock: Any
    with sole_coordinator(postgres, "mine") as lock:
        half_open, lock._connection = lock._connection, None
        for _ in range(50):
            try:
                lock.ensure()
                break
            except Away:
                time.sleep(0.05)
        else:
            pytest.fail("not taken again within 2.5 s")
        half_open.invalidate()
        half_open.close()


def test_a_database_that_is_gone_or_another(tmp_path):
    database = tmp_path / "optuna.db"
    database.touch()
    with sole_coordinator(f"sqlite:///{database}", "s") as lock:
        shutil.copy(database, tmp_path / "other.db")
        database.rename(tmp_path / "moved.db")
        with pytest.raises(Away, match=r"optuna.db is gone"):
            lock.ensure()
        (tmp_path / "moved.db").rename(database)
        lock.ensure()
        (tmp_path / "other.db").rename(database)
        with pytest.raises(StoreAway, match=r"optuna.db was replaced by another file while study s ran in it"):
            lock.ensure()


def test_a_database_in_memory_leaves_no_lock_where_it_is_used(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    for url in ("sqlite://", "sqlite:///:memory:"):
        with sole_coordinator(url, "mine"), pytest.raises(StudyBusy), sole_coordinator(url, "mine"):
            pass
    assert list(tmp_path.iterdir()) == []
