"""Confirming real studies: real Keras runs, logged to a real MLflow store, by function and by command."""

import io
import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import optuna
import pytest
from rich.console import Console
from sklearn.datasets import load_iris
from tiny import Command, tiny

import hpo
from hpo.cli.confirm_output import print_confirmed
from hpo.confirm.confirm import chosen_finalists
from hpo.errors import HpoError, NotFound, UserError
from hpo.study.failure import Failure
from hpo.study.read import confirming_runs, read_study
from hpo.text.values import score


@dataclass(frozen=True)
class Studied:
    """A study of a CSV file, confirmed over two seeds."""

    home: Path
    csv: Path
    first: hpo.Confirmed

    @property
    def url(self) -> str:
        return f"sqlite:///{self.home / 'optuna.db'}"


BFLOAT16 = "mixed_bfloat16"


@pytest.fixture(scope="module")
def studied(tmp_path_factory: pytest.TempPathFactory) -> Studied:
    folder = tmp_path_factory.mktemp("confirm")
    csv = folder / "iris.csv"
    load_iris(as_frame=True).frame.to_csv(csv, index=False)
    experiment = tiny(dataset={"path": str(csv), "target": "target"}, training={"epochs": 3, "precision": BFLOAT16})
    hpo.run(experiment, home=folder / "home")
    first = hpo.confirm("tiny", 2, 2, home=folder / "home")
    return Studied(folder / "home", csv, first)


def runs_in_mlflow(home: Path) -> dict[str, Any]:
    """Name -> run, as plain MLflow finds them, and the history of the study's confirmed score."""
    from mlflow import MlflowClient

    client = MlflowClient(f"sqlite:///{home / 'mlflow.db'}")
    (experiment,) = client.search_experiments(filter_string="name = 'tiny'")
    runs = {run.info.run_name: run for run in client.search_runs([experiment.experiment_id])}
    parent = runs["tiny"].info.run_id
    history = client.get_metric_history(parent, "confirmed_val_accuracy")
    files = sorted(file.path for file in client.list_artifacts(parent))
    return {"runs": runs, "history": [point.value for point in history], "files": files}


def test_the_finalists_are_trained_as_the_study_trained_them(studied: Studied) -> None:
    confirmation = studied.first.confirmation
    view = read_study(studied.url, "tiny")
    trials = {trial.number: trial for trial in view.trials}
    runs = confirming_runs(studied.url, "tiny")
    assert (studied.first.ended, studied.first.trained, len(runs)) == ("done", 4, 4)
    assert view.confirmation == confirmation
    precision = [run.resolved and run.resolved.training["precision"] for run in (*view.trials, *runs)]
    assert precision == [BFLOAT16] * len(view.trials) + ["float32"] * 4
    for finalist in confirmation.finalists:
        own = [run for run in runs if run.confirms and run.confirms.trial == finalist.trial]
        assert finalist.values == {run.seed: max(run.curves["val_accuracy"]) for run in own}
        assert finalist.searched == trials[finalist.trial].value
        assert finalist.model_parameters == trials[finalist.trial].model_parameters
        assert all(run.epochs == 3 and set(run.test) == {"loss", "accuracy"} for run in own)
    chosen = [run.test["accuracy"] for run in runs if run.confirms and run.confirms.trial == confirmation.chosen]
    assert confirmation.test["accuracy"].mean == pytest.approx(sum(chosen) / 2)


def test_plain_mlflow_finds_the_confirming_runs_under_the_study(studied: Studied) -> None:
    found = runs_in_mlflow(studied.home)
    runs, confirmation = found["runs"], studied.first.confirmation
    parent = runs["tiny"]
    assert len(runs) == 1 + 4 + 4
    for record in confirming_runs(studied.url, "tiny"):
        assert record.confirms is not None
        run = runs[f"confirm-{record.confirms.trial:04}-seed-{record.confirms.ordinal}"]
        tags = run.data.tags
        assert tags["mlflow.parentRunId"] == parent.info.run_id
        assert (tags["hpo.role"], tags["hpo.state"], run.info.status) == ("confirm", "complete", "FINISHED")
        assert (tags["hpo.trial"], tags["hpo.seed"]) == (str(record.confirms.trial), str(record.seed))
        assert run.data.metrics["best_val_accuracy"] == record.value
        assert run.data.params["width"] == str(record.params["width"])
    winner = confirmation.estimate
    assert winner is not None
    metrics = parent.data.metrics
    assert metrics["confirmed_val_accuracy"] == winner.mean
    assert (metrics["confirmed_val_accuracy_low"], metrics["confirmed_val_accuracy_high"]) == (winner.low, winner.high)
    assert metrics["noise_floor"] == confirmation.noise_floor
    assert metrics["confirmed_test_accuracy"] == confirmation.test["accuracy"].mean
    assert parent.data.tags["hpo.confirmed_trial"] == str(confirmation.chosen)
    assert f"Use trial {confirmation.chosen}: val_accuracy" in parent.data.tags["mlflow.note.content"]
    assert "confirmation.json" in found["files"]
    # The study's own best so far is that of its trials.
    assert metrics["best_val_accuracy"] == max(trial.value or 0 for trial in read_study(studied.url, "tiny").trials)
    finalists = {run.info.run_name for run in runs.values() if "hpo.verdict" in run.data.tags}
    assert finalists == {f"trial-{one.trial:04}" for one in confirmation.finalists}


def test_the_same_command_trains_nothing_and_tells_the_same(studied: Studied, command: Command) -> None:
    told = command("confirm", "tiny", "--top", "2", "--seeds", "2", "--json", "--home", studied.home)
    assert told.returncode == 0, told.stderr
    result = json.loads(told.stdout)
    confirmation = studied.first.confirmation
    assert (result["trained"], result["chosen"]) == (0, confirmation.chosen)
    assert result["decision"][0].startswith(f"Use trial {confirmation.chosen}: val_accuracy")
    assert {one["verdict"] for one in result["finalists"]} <= {"chosen", "cannot be told apart", "worse"}
    again = hpo.confirm("tiny", 2, 2, home=studied.home)
    output = io.StringIO()
    print_confirmed(Console(file=output, width=200), again)
    assert "nothing was left to train" in output.getvalue()
    assert f"Noise floor: {score(confirmation.noise_floor)}" in output.getvalue()
    assert f"hpo export tiny --home {studied.home}" in output.getvalue()


def test_changed_data_are_refused_and_nothing_is_changed(studied: Studied) -> None:
    text = studied.csv.read_text()
    before = confirming_runs(studied.url, "tiny")
    studied.csv.write_text(text.replace("5.1", "5.2", 1))
    try:
        with pytest.raises(UserError, match=r"the data of study tiny have changed since: their digest was \w{32}"):
            hpo.confirm("tiny", 2, 3, home=studied.home)
    finally:
        studied.csv.write_text(text)
    assert confirming_runs(studied.url, "tiny") == before
    assert read_study(studied.url, "tiny").confirmation == studied.first.confirmation


def test_what_is_wrong_is_said_before_anything_is_created(studied: Studied, tmp_path: Path) -> None:
    with pytest.raises(NotFound, match=r"no study 'tinny' in .*; did you mean tiny\?"):
        hpo.confirm("tinny", home=studied.home)
    with pytest.raises(NotFound, match="study tiny has no trial 77; its trials are 0 to 3"):
        hpo.confirm("tiny", [0, 77], home=studied.home)
    with pytest.raises(UserError, match="seeds: a deviation needs at least 2, got 1"):
        hpo.confirm("tiny", seeds=1, home=studied.home)
    with pytest.raises(UserError, match="no studies yet"):
        hpo.confirm("tiny", home=tmp_path / "none")
    assert not (tmp_path / "none").exists()


def test_a_command_with_a_mistake_exits_with_2(studied: Studied, command: Command) -> None:
    told = command("confirm", "tiny", "--trials", "1,x", "--home", studied.home)
    assert told.returncode == 2
    assert "--trials: must be numbers of trials, as in 3,7,12; got '1,x'" in told.stderr
    with pytest.raises(UserError, match=r"study\.timeout"):
        hpo.confirm("tiny", timeout="soon", home=studied.home)


def test_finalists_are_distinct_and_have_a_score(studied: Studied) -> None:
    from dataclasses import replace

    view = read_study(studied.url, "tiny")
    best = chosen_finalists(view, 1)[0]
    twin = replace(best, number=9)
    failed = replace(best, number=8, state="failed", failure=Failure("nonfinite"), value=None)
    wider = replace(view, trials=[*view.trials, failed, twin])
    assert [trial.number for trial in chosen_finalists(wider, 9)] == [
        trial.number for trial in chosen_finalists(view, 9)
    ]
    assert [trial.number for trial in chosen_finalists(wider, [2, 0, 2])] == [2, 0]
    with pytest.raises(UserError, match="trial 8 of study tiny is nonfinite; a finalist needs a score"):
        chosen_finalists(wider, [8])
    with pytest.raises(NotFound, match="study tiny has no trial with a score yet"):
        chosen_finalists(replace(view, trials=[failed]), 5)


def test_out_of_time_is_no_confirmation_yet(studied: Studied) -> None:
    everyone = [trial.number for trial in read_study(studied.url, "tiny").trials]
    ended = hpo.confirm("tiny", everyone, 2, timeout=0.001, home=studied.home)
    # What was confirmed before still stands.
    assert (ended.ended, ended.trained, ended.confirmation) == ("timeout", 0, studied.first.confirmation)


def test_more_seeds_and_other_finalists_add_to_what_is_there(studied: Studied) -> None:
    study = optuna.load_study(study_name="tiny", storage=studied.url)
    study.set_user_attr("hpo:versions", {**study.user_attrs["hpo:versions"], "keras": "3.0.0"})
    output = io.StringIO()
    before = confirming_runs(studied.url, "tiny")
    console = Console(file=output, width=200)
    more = hpo.confirm("tiny", [0, 1, 2, 3], 3, race=False, home=studied.home, console=console)
    assert more.trained == 4 * 3 - 4
    assert confirming_runs(studied.url, "tiny")[:4] == before
    assert {len(one.values) for one in more.confirmation.finalists} == {3}
    assert "warning: other versions than when the study began: keras 3.0.0 -> " in output.getvalue()
    assert "[12/12] trial" in output.getvalue()
    assert "seed 3" in output.getvalue()
    found = runs_in_mlflow(studied.home)
    assert len(found["runs"]) == 1 + 4 + 12
    assert found["runs"]["tiny"].data.metrics["noise_floor"] == more.confirmation.noise_floor
    assert read_study(studied.url, "tiny").confirmation == more.confirmation


BROKEN = """
import keras, pathlib

def build(params, dataset):
    if pathlib.Path("broken").exists():
        raise RuntimeError("no such layer")
    return keras.Sequential([keras.Input(dataset.input_shape), keras.layers.Dense(3, activation="softmax")])
"""


def test_where_all_runs_fail_the_reason_is_told(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "once_sound.py").write_text(BROKEN)
    space = {"model": "once_sound:build", "parameters": {"learning_rate": 0.01}}
    hpo.run(tiny(search_space=space, study={"trials": 1}), home=tmp_path / "home")
    (tmp_path / "broken").touch()
    with pytest.raises(HpoError, match=r"trial 0 seed 1: error: .*no such layer"):
        hpo.confirm("tiny", seeds=2, home=tmp_path / "home")
    assert read_study(f"sqlite:///{tmp_path / 'home' / 'optuna.db'}", "tiny").confirmation is None
