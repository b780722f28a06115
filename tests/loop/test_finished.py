"""A finished study that is run again: said from its record, without workers and without data."""

import io
from pathlib import Path
from typing import Any

import optuna
import pytest
from rich.console import Console
from studies import run_plan, two_epochs
from tiny import tiny

import hpo
from hpo.engines.scripted import ScriptedEngine
from hpo.loop.finished import finished
from hpo.loop.jobs import variants_of
from hpo.plan.plan import Plan, load_plan

CHOICES = {"model": "mlp", "parameters": {"depth": {"type": "int", "low": 1, "high": 2}, "learning_rate": 0.01}}


def recorded(home: Path, script: Any = two_epochs, **changes: Any) -> dict[str, Any]:
    """An experiment whose study has been run, though nothing was trained; its study section says how."""
    experiment = tiny(**changes)
    plan = load_plan(experiment, home=home)
    run_plan(plan, ScriptedEngine(script), variants_of(plan).base.info)
    return experiment


def plan_of(experiment: dict[str, Any], home: Path, *overrides: str) -> Plan:
    return load_plan(experiment, overrides, home)


def test_a_finished_study_says_how_to_add_trials_and_starts_no_workers(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    experiment = recorded(tmp_path)
    monkeypatch.setattr("hpo.loop.jobs.prepared", None)
    monkeypatch.setattr("hpo.data.load", None)
    console = Console(file=io.StringIO(), width=200)
    result = hpo.run(experiment, home=tmp_path, console=console)
    assert (result.ended, len(result.trials)) == ("done", 4)
    assert result.best.number == max(result.trials, key=lambda trial: trial.value or 0).number
    assert isinstance(console.file, io.StringIO)
    said = console.file.getvalue()
    assert "Study tiny is finished: 4 configurations are done; to add trials, the same command with --trials 8" in said
    assert "workers" not in said


def test_a_study_that_is_unfinished_or_changed_goes_on_as_usual(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    experiment = recorded(tmp_path, dataset={"name": "iris", "limit": 60})
    over = finished(plan_of(experiment, tmp_path))
    assert over is not None
    assert (over.ended, over.begun) == ("done", 4)
    for change in (
        *("study.trials=5", "training.epochs=3", "dataset.limit=70", "study.seed=1", "name=another"),
        *("search_space.parameters.depth.high=3", "objective=val_loss"),
    ):
        assert finished(plan_of(experiment, tmp_path, change)) is None, change
    monkeypatch.chdir(tmp_path)
    assert finished(load_plan(experiment, home=tmp_path)) is None, "the folders are kept anew"
    assert finished(load_plan(experiment, home=tmp_path / "none")) is None


def test_waiting_trials_and_those_that_a_kill_left_running_go_on_as_usual(tmp_path: Path) -> None:
    experiment = recorded(tmp_path)
    theirs = optuna.load_study(study_name="tiny", storage=f"sqlite:///{tmp_path}/optuna.db")
    theirs.ask()
    assert finished(plan_of(experiment, tmp_path)) is None
    theirs.tell(4, state=optuna.trial.TrialState.FAIL)
    assert finished(plan_of(experiment, tmp_path)) is not None
    theirs.enqueue_trial({"depth": 1})
    assert finished(plan_of(experiment, tmp_path)) is None


@pytest.mark.parametrize(
    ("study", "ending"),
    [
        ({"sampler": "grid"}, "done"),
        ({"sampler": "random", "trials": 9}, "exhausted"),
        ({"sampler": "random", "target": 0.1}, "target"),
    ],
)
def test_grids_small_spaces_and_targets_come_to_an_end(tmp_path: Path, study: dict[str, Any], ending: str) -> None:
    experiment = recorded(tmp_path, search_space=CHOICES, study=study)
    over = finished(plan_of(experiment, tmp_path))
    assert over is not None
    assert over.ended == ending


def test_data_that_were_touched_since_are_looked_at(tmp_path: Path) -> None:
    rows = "\n".join(f"{place},{place % 7},{'ab'[place % 2]}" for place in range(60))
    (tmp_path / "data.csv").write_text(f"x,y,label\n{rows}\n")
    experiment = recorded(tmp_path, dataset={"path": str(tmp_path / "data.csv"), "target": "label"})
    assert finished(plan_of(experiment, tmp_path)) is not None
    (tmp_path / "data.csv").write_text(f"x,y,label\n{rows}\n")
    assert finished(plan_of(experiment, tmp_path)) is None
