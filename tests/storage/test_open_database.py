"""A database of studies is opened: its tables made once, its journal, and what is said where it cannot be."""

import pytest
from studies import process

from hpo.errors import UserError
from hpo.storage.open import open_database
from hpo.study.read import study_names


@pytest.fixture
def url(tmp_path):
    return f"sqlite:///{tmp_path}/runs/optuna.db"


def test_a_file_that_is_no_database(tmp_path):
    (tmp_path / "x.db").write_text("hello" * 1000)
    with pytest.raises(UserError, match=r"storage sqlite:///.*x.db cannot be opened: .*not a database"):
        open_database(f"sqlite:///{tmp_path}/x.db")


def test_sqlite_is_in_wal_mode_and_waits_no_longer_than_a_user_who_presses_ctrl_c(url):
    with open_database(url).engine.connect() as connection:
        # A connection that has read nothing since answers with the mode of before.
        connection.exec_driver_sql("SELECT count(*) FROM studies")
        assert connection.exec_driver_sql("PRAGMA journal_mode").scalar() == "wal"
        assert connection.exec_driver_sql("PRAGMA busy_timeout").scalar() == 2_000


TOGETHER = """
import pathlib, time
from studies import run, flat
print("ready", flush=True)
while not pathlib.Path({go!r}).exists():
    pass
run({url!r}, flat, trials=1, name={name!r})
"""


def test_processes_that_start_together_create_the_tables_once(url, tmp_path):
    go = tmp_path / "go"
    others = [process(TOGETHER.format(go=str(go), url=url, name=name)) for name in "abc"]
    for other in others:
        assert other.stdout is not None
        assert other.stdout.readline() == "ready\n"
    go.touch()
    for other in others:
        _, errors = other.communicate(timeout=60)
        assert other.returncode == 0, errors
    assert sorted(study_names(url)) == ["a", "b", "c"]
