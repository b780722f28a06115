"""A study copied from SQLite to PostgreSQL and back: all of it or nothing; real databases, scripted training."""

import json
import math
import shutil
from pathlib import Path
from typing import Any

import optuna
import pytest
from postgres import PASSWORD
from studies import process, run_plan
from tiny import Command
from told_study import EXPERIMENT, script, tell

from hpo.cli.reuse.copy_study import copy_study
from hpo.engines.scripted import ScriptedEngine
from hpo.errors import NotFound, StoreAway, StudyBusy, UserError
from hpo.loop.jobs import variants_of
from hpo.plan.plan import load_plan
from hpo.storage import database
from hpo.storage.lock import sole_coordinator
from hpo.study.read import confirming_runs, read_study


@pytest.fixture(scope="module")
def store(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A home folder with a confirmed study, in which other programs left trials of every kind."""
    home = tmp_path_factory.mktemp("store")
    tell(home)
    study = optuna.load_study(study_name="told", storage=f"sqlite:///{home}/optuna.db")
    study._storage.set_study_system_attr(study._study_id, "odd", {"text": "\ud800 \0 ü", "numbers": [1e300, 5e-324]})
    running = study.ask({"width": optuna.distributions.IntDistribution(4, 16)})
    for step, value in enumerate([math.nan, math.inf, -math.inf, 0.1 + 0.2]):
        running.report(value, step)
    study._storage.set_trial_system_attr(running._trial_id, "constraints", [0.5, -1.0])
    study.enqueue_trial({"width": 9}, user_attrs={"who": "somebody"})
    left_out = optuna.trial.create_trial(state=optuna.trial.TrialState.PRUNED, value=-0.0)
    study.add_trial(left_out)
    return home


@pytest.fixture
def home(store: Path, tmp_path: Path) -> Path:
    return shutil.copytree(store, tmp_path / "home")


def seen(url: str) -> list[Any]:
    """All that plain Optuna finds of the study and of its confirming runs; NaN equals NaN in it."""
    found: list[Any] = []
    for name in ("told", "told@confirm"):
        study = optuna.load_study(study_name=name, storage=url)
        found += [study.directions, study.user_attrs, study._storage.get_study_system_attrs(study._study_id)]
        for trial in study.get_trials():
            found.append({key: value for key, value in vars(trial).items() if key != "_trial_id"})
    return [repr(in_order(one)) for one in found]


def in_order(value: Any) -> Any:
    """Optuna reads the rows of a trial in no particular order."""
    return sorted((key, in_order(part)) for key, part in value.items()) if isinstance(value, dict) else value


def test_a_study_goes_to_a_server_and_comes_back_whole_and_goes_on_there(home: Path, postgres: str) -> None:
    source, back = f"sqlite:///{home}/optuna.db", f"sqlite:///{home.parent}/back/optuna.db"
    before, trials = seen(source), read_study(source, "told").trials
    copied = copy_study("told", postgres, home=home)
    assert (copied.trials, copied.confirming_runs, copied.logged) == (8, 4, None)
    assert PASSWORD not in repr(copied)
    copy_study("told", back, storage=postgres)
    assert seen(source) == seen(postgres) == seen(back) == before
    for url in (postgres, back):
        view = read_study(url, "told")
        assert view.trials == trials
        assert view.confirmation == read_study(source, "told").confirmation
        assert confirming_runs(url, "told") == confirming_runs(source, "told")
    for url in (postgres, back, source):
        with pytest.raises(UserError, match="has a study told already, the same one; nothing was copied") as caught:
            copy_study("told", url, home=home)
        assert PASSWORD not in str(caught.value)
    plan = load_plan({**EXPERIMENT, "study": {**EXPERIMENT["study"], "trials": 8, "storage": postgres}}, home=home)
    went_on = run_plan(plan, ScriptedEngine(script), variants_of(plan).base.info)
    assert [trial.state for trial in went_on.trials].count("complete") >= 6
    with pytest.raises(UserError, match="has a study told already, another one"):
        copy_study("told", postgres, home=home)
    assert seen(source) == before


def test_a_study_that_runs_or_is_not_there_and_a_target_that_is_not_reached(
    home: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(database, "READ_SECONDS", 0.2)
    url, new = f"sqlite:///{home}/optuna.db", tmp_path / "new" / "optuna.db"
    with sole_coordinator(url, "told"), pytest.raises(StudyBusy, match="study told is being run by process"):
        copy_study("told", f"sqlite:///{new}", home=home)
    with pytest.raises(NotFound, match="no study 'tolt'"):
        copy_study("tolt", f"sqlite:///{new}", home=home)
    with pytest.raises(UserError, match="the environment variable NOT_THERE is not set"):
        copy_study("told", "${NOT_THERE}", home=home)
    with pytest.raises(UserError, match="not a database URL"):
        copy_study("told", str(new), home=home)
    with pytest.raises(UserError, match="not in mysql"):
        copy_study("told", "mysql+pymysql://me:hush@h/d", home=home)
    with pytest.raises(UserError, match="needs a driver: python3 -m pip install asyncpg"):
        copy_study("told", "postgresql+asyncpg://me:hush@h/d", home=home)
    with pytest.raises(StoreAway, match=r"me:\*\*\*@127.0.0.1:1/d has been away for 0.2 s"):
        copy_study("told", "postgresql+psycopg://me:hush@127.0.0.1:1/d", home=home)
    assert not new.parent.exists()


def test_the_command_says_what_was_copied_and_what_was_not(
    command: Command, home: Path, tmp_path: Path, empty_database: Path
) -> None:
    done = command("copy", "told", "--to", "${TARGET}", "--home", home, env={"TARGET": f"sqlite:///{tmp_path}/a.db"})
    assert (done.returncode, done.stderr) == (0, "")
    assert f"Study told: 8 trials and 4 confirming runs copied to sqlite:///{tmp_path}/a.db." in done.stdout
    assert f"Its models and checkpoints stay in {home}" in done.stdout
    assert "Its MLflow runs were not copied. With --tracking-uri URI, hpo log told writes them." in done.stdout
    shutil.copy(empty_database, tmp_path / "m.db")
    options = ("--to", f"sqlite:///{tmp_path}/b.db", "--tracking-uri", f"sqlite:///{tmp_path}/m.db", "--json")
    done = command("copy", "told", "--home", home, *options)
    assert json.loads(done.stdout)["logged"]["confirming_runs"] == 4
    assert command("copy", "told", "--home", home, *options).returncode == 2


def test_a_kill_at_any_moment_leaves_all_or_nothing_and_the_next_try_succeeds(home: Path, postgres: str) -> None:
    for target in (f"sqlite:///{home.parent}/new/optuna.db", postgres):
        killed = process(KILLED.format(str_home=str(home), target=target))
        out, errors = killed.communicate(timeout=300)
        assert (killed.returncode, errors) == (0, ""), errors
        assert out.split() == ["nothing"] * 5 + ["whole"]
        assert seen(target) == seen(f"sqlite:///{home}/optuna.db")


KILLED = """
import os, signal
import sqlalchemy
from sqlalchemy import event
from hpo.cli.reuse.copy_study import copy_study
from hpo.errors import NotFound
from hpo.storage.open import open_database

def copy_until(moment):
    passed = 0
    def end():
        os.kill(os.getpid(), signal.SIGKILL)
    def statement(connection, cursor, statement, parameters, context, executemany):
        nonlocal passed
        passed += statement.startswith("INSERT") and "_info" not in statement and "alembic" not in statement
        if passed == moment:
            end()
    event.listen(sqlalchemy.Engine, "before_cursor_execute", statement)
    event.listen(sqlalchemy.Engine, "commit", lambda connection: passed and moment == "commit" and end())
    copy_study("told", {target!r}, home={str_home!r})

for moment in (1, 3, 8, 15, "commit", "never"):   # before so many tables of both studies are written
    child = os.fork()
    if not child:
        copy_until(moment)
        os._exit(0)
    _, status = os.waitpid(child, 0)
    assert status == (0 if moment == "never" else signal.SIGKILL), status
    database = open_database({target!r}, must_exist=True)
    names = {{study.study_name for study in database.get_all_studies()}}
    database.engine.dispose()
    print({{0: "nothing", 2: "whole"}}[len(names)])
"""
