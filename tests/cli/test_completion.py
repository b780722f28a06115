"""What a shell completes."""

import os
import subprocess
import sys
from pathlib import Path

import pytest
from studies import flat, run

COMPLETE = "import sys\nsys.argv = ['hpo']\nfrom hpo.cli.commands import app\napp(prog_name='hpo')"


def completed(words: str, cwd: Path) -> list[str]:
    asked = {"_HPO_COMPLETE": "complete_bash", "COMP_WORDS": words, "COMP_CWORD": str(words.count(" "))}
    told = subprocess.run(
        [sys.executable, "-c", COMPLETE],
        cwd=cwd,
        env={**os.environ, **asked},
        capture_output=True,
        text=True,
        check=False,
    )
    assert told.stderr == ""
    return told.stdout.split()


def test_names_of_studies(tmp_path: Path) -> None:
    for name in ("one", "other"):
        run(f"sqlite:///{tmp_path}/optuna.db", flat, name=name, trials=1)
    assert completed(f"hpo show --home {tmp_path} o", tmp_path) == ["one", "other"]
    assert completed(f"hpo compare --storage sqlite:///{tmp_path}/optuna.db one oth", tmp_path) == ["other"]


@pytest.mark.parametrize("store", [None, "no database at all" * 99])
def test_silent_where_there_is_no_store(tmp_path: Path, store: str | None) -> None:
    if store is not None:
        (tmp_path / "mlruns").mkdir()
        (tmp_path / "mlruns/optuna.db").write_text(store)
    assert completed("hpo confirm t", tmp_path) == []


def test_experiment_files(tmp_path: Path) -> None:
    (tmp_path / "experiments").mkdir()
    for name in ("experiments/a.yaml", "experiments/notes.txt", "b.yml", ".hidden.yaml"):
        (tmp_path / name).write_text("")
    assert completed("hpo run ", tmp_path) == ["b.yml", "experiments/", "experiments/a.yaml"]
    assert completed("hpo check exp", tmp_path) == ["experiments/"]
    assert completed("hpo check experiments/", tmp_path) == ["experiments/a.yaml"]
    assert completed(f"hpo check {tmp_path}/b", tmp_path) == [f"{tmp_path}/b.yml"]
    assert completed("hpo check nowhere/", tmp_path) == []
