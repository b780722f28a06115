"""The list of studies, read at once, says what the ordinary reading says."""

import os
import sqlite3
import subprocess
import sys
from contextlib import closing
from pathlib import Path

import optuna
import pytest
from studies import definition, run

from hpo.compare import study_list
from hpo.compare.compare import read_studies
from hpo.compare.study_list import line_of, lines_read_quickly, study_lines
from hpo.config.experiment import Objective, StudySpec
from hpo.study.attributes import OBSERVED, RESULT
from hpo.study.open import open_study
from hpo.training.messages import Failed


@pytest.fixture
def url(tmp_path: Path) -> str:
    """Every kind of trial and study that a store can have."""
    url = f"sqlite:///{tmp_path}/optuna.db"
    ends = ["nonfinite", "invalid", "error"]

    def script(job):
        return (
            [0.9, Failed(job.trial, ends[job.trial], "no")]
            if job.trial < len(ends)
            else [0.1 + 0.2, 0.30000000000000004]
        )

    run(url, script, trials=6, pruner={"name": "median", "n_startup_trials": 1})
    smaller = Objective(metric="val_loss", direction="minimize")
    run(url, lambda job: [3e200], objective=smaller, name="smaller", trials=3)
    open_study(url, "empty", definition(), StudySpec())
    theirs = optuna.load_study(study_name="s", storage=url)
    theirs.enqueue_trial({"depth": 1})
    complete = optuna.trial.TrialState.COMPLETE
    observed = optuna.create_trial(state=complete, value=0.99, user_attrs={OBSERVED: {"a": 1}})
    theirs.add_trial(observed)
    theirs.add_trial(optuna.create_trial(state=optuna.trial.TrialState.FAIL))
    theirs.add_trial(
        optuna.create_trial(state=optuna.trial.TrialState.COMPLETE, value=0.5, user_attrs={RESULT: {"value": 0.5}})
    )
    optuna.create_study(study_name="not-ours", storage=url)
    return url


def test_reading_tables_directly_gives_what_optuna_reads(url: str) -> None:
    at_once = lines_read_quickly(url)
    assert at_once == [line_of(view) for view in read_studies((), storage=url)]
    assert at_once is not None
    assert [line.study for line in at_once] == ["s", "smaller", "empty"]
    assert at_once[0].states == {"failed": 4, "complete": 4}
    assert (at_once[0].best, at_once[0].trial) == (0.5, 9)
    assert (at_once[1].best, at_once[1].trial) == (3e200, 0)
    assert at_once[2].states == {}


def test_a_finished_study_reads_the_same(finished: Path) -> None:
    url = f"sqlite:///{finished}/optuna.db"
    assert lines_read_quickly(url) == [line_of(view) for view in read_studies((), storage=url)]


@pytest.mark.parametrize(
    "change", ["UPDATE version_info SET schema_version = 13", "UPDATE alembic_version SET version_num = 'v9'"]
)
def test_tables_of_another_version_are_read_by_optuna(url: str, change: str) -> None:
    with closing(sqlite3.connect(url.removeprefix("sqlite:///"))) as connection, connection:
        connection.execute(change)
    assert lines_read_quickly(url) is None


def test_only_sqlite_databases_with_optunas_tables_are_read_directly(tmp_path: Path) -> None:
    (tmp_path / "text.db").write_text("no database, but long enough to be looked at" * 30)
    assert lines_read_quickly("postgresql://localhost/studies") is None
    assert lines_read_quickly("sqlite://") is None
    assert lines_read_quickly(f"sqlite:///{tmp_path}/text.db") is None
    assert lines_read_quickly(f"sqlite:///{tmp_path}/none.db") == []


def test_a_locked_store_is_waited_for(url: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(study_list, "lines_read_quickly", lambda _: None)
    assert [line.study for line in study_lines(storage=url)] == ["s", "smaller", "empty"]


def test_hpo_list_imports_little_and_writes_nothing(url: str, tmp_path: Path) -> None:
    before = sorted(path.name for path in tmp_path.iterdir())
    code = (
        "import sys\nsys.argv = ['hpo', 'list']\nfrom hpo.cli.main import command\nassert command() == 0\n"
        "heavy = ('optuna', 'sqlalchemy', 'hpo.config.section', 'pandas', 'numpy', 'ruamel.yaml', 'rich.table')\n"
        "heavy += ('rich.live',)\n"
        "print([name for name in heavy if name in sys.modules], file=sys.stderr)"
    )
    told = subprocess.run(
        [sys.executable, "-c", code], env={**os.environ, "HPO_STORAGE": url}, capture_output=True, text=True, check=True
    )
    assert told.stderr.splitlines()[-1] == "[]"
    assert "smaller" in told.stdout
    assert sorted(path.name for path in tmp_path.iterdir()) == before
