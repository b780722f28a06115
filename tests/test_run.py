"""The whole pipeline by real runs: real data, real Keras models, real stores."""

import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import optuna
import pytest
from processes import start
from tiny import tiny

import hpo
from hpo.errors import StudyMismatch, UserError
from hpo.study.read import read_study


def store(home: Path) -> str:
    return f"sqlite:///{home / 'optuna.db'}"


def test_result_holds_the_best_trial_and_all_others(finished: Path) -> None:
    view = read_study(store(finished), "tiny")
    scores = [trial.value for trial in view.trials]
    assert len(scores) == 6
    result = hpo.run(
        tiny(dataset={"name": "digits", "limit": 400}, study={"trials": 6, "sampler": "random", "seed": 1}),
        home=finished,
    )
    # Nothing was left to run: the result is that of the earlier run.
    assert result.best is not None
    assert result.best.value == max(score for score in scores if score is not None)
    assert result.best.params.keys() == {"depth", "width", "learning_rate"}
    assert [trial.value for trial in result.trials] == scores


def test_every_trial_has_curves_and_a_test_score(finished: Path) -> None:
    for trial in read_study(store(finished), "tiny").trials:
        assert set(trial.curves) == {"loss", "accuracy", "val_loss", "val_accuracy", "learning_rate", "seconds"}
        assert {len(curve) for curve in trial.curves.values()} == {trial.epochs}
        assert set(trial.test) == {"loss", "accuracy"}
        assert trial.value == max(trial.curves["val_accuracy"])


def test_plain_optuna_reads_the_study(finished: Path) -> None:
    code = (
        "import optuna, json, sys; s = optuna.load_study(study_name='tiny', storage=sys.argv[1]);"
        "print(json.dumps([[t.state.name, t.value, len(t.intermediate_values), t.params] for t in s.trials]))"
    )
    told = subprocess.run(
        [sys.executable, "-c", code, store(finished)], capture_output=True, text=True, check=True, timeout=60
    )
    trials = json.loads(told.stdout)
    assert len(trials) == 6
    for state, value, reported, params in trials:
        assert state in ("COMPLETE", "PRUNED")
        assert 0 <= value <= 1
        assert reported >= 1
        assert params["learning_rate"] > 0


def test_the_same_seed_gives_the_same_study(tmp_path: Path) -> None:
    runs = [
        hpo.run(
            tiny(study={"trials": 3, "sampler": "random", "pruner": "none"}, engine={"workers": count}),
            home=tmp_path / str(count),
        )
        for count in (1, 2)
    ]
    first, second = ([(trial.params, trial.curves["val_loss"]) for trial in run.trials] for run in runs)
    assert first == second


def test_a_changed_space_is_refused_with_the_difference(tmp_path: Path) -> None:
    hpo.run(tiny(study={"trials": 1}), home=tmp_path)
    changed = tiny(study={"trials": 2})
    changed["search_space"] = json.loads(json.dumps(changed["search_space"]))
    changed["search_space"]["parameters"]["depth"]["high"] = 3
    with pytest.raises(StudyMismatch, match=r"(?s)search_space\.parameters\.depth\.high: 2 -> 3.*hpo extend tiny"):
        hpo.run(changed, home=tmp_path)
    assert len(read_study(store(tmp_path), "tiny").trials) == 1
    # Under another name the changed file starts a study of its own.
    assert len(hpo.run(changed, overrides=["name=other"], home=tmp_path).trials) == 2


def test_bad_data_leave_nothing_behind(tmp_path: Path) -> None:
    (tmp_path / "bad.csv").write_text("a,b,y\n1,2,0\n3,4,1\n" * 20)
    dataset = {"path": str(tmp_path / "bad.csv"), "target": "z"}
    with pytest.raises(UserError, match=r"bad\.csv"):
        hpo.run(tiny(dataset=dataset), home=tmp_path / "home")
    assert not (tmp_path / "home").exists()


def test_an_unreachable_tracking_server_leaves_no_study(tmp_path: Path) -> None:
    experiment = tiny(tracking="http://127.0.0.1:9")
    with pytest.raises(UserError, match="cannot be opened"):
        hpo.run(experiment, home=tmp_path)
    assert optuna.get_all_study_names(store(tmp_path)) == []


KILL_ITSELF = """
import os, pathlib, signal, keras

def build(params, dataset):
    mark = pathlib.Path(os.environ["HPO_TEST_MARK"])
    if not mark.exists():
        mark.write_text("built once, before the first trial")
    elif mark.read_text() != "died":
        mark.write_text("died")
        os.kill(os.getpid(), signal.SIGKILL)
    return keras.Sequential([keras.Input(dataset.input_shape), keras.layers.Dense(3, activation="softmax")])
"""


def test_a_killed_worker_costs_one_attempt(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("HPO_TEST_MARK", str(tmp_path / "mark"))
    (tmp_path / "dying_model.py").write_text(KILL_ITSELF)
    width = {"type": "categorical", "choices": [4, 8]}
    space = {"model": "dying_model:build", "parameters": {"width": width}}
    result = hpo.run(
        tiny(search_space=space, study={"trials": 2, "pruner": "none"}, engine={"workers": 1}), home=tmp_path / "home"
    )
    first, second, third = result.trials
    assert (first.state, first.reason) == ("failed", "killed")
    assert (second.state, second.origin, second.attempt, second.params) == ("complete", 0, 1, first.params)
    assert second.seed == first.seed
    assert third.state == "complete"


RUN = """
import json, sys, hpo
hpo.run(json.loads(sys.argv[1]), home=sys.argv[2])
"""


def wait_for(condition: Callable[[], Any], seconds: float = 400) -> Any:
    end = time.monotonic() + seconds
    while time.monotonic() < end:
        if found := condition():
            return found
        time.sleep(0.1)
    raise AssertionError("waited in vain")


def finished_trials(home: Path) -> list[Any]:
    try:
        return [trial for trial in read_study(store(home), "tiny").trials if trial.state != "running"]
    except (UserError, KeyError):
        return []


def test_a_killed_run_goes_on_with_what_is_left(tmp_path: Path) -> None:
    # Long enough that the run is not over before the kill.
    training = {"epochs": 200, "early_stopping": False}
    study = {"trials": 12, "sampler": "random", "pruner": "none"}
    experiment = tiny(study=study, training=training, engine={"workers": 2})
    # Imports what reads the store, which takes longer than a trial.
    finished_trials(tmp_path)
    process = start([sys.executable, "-c", RUN, json.dumps(experiment), str(tmp_path)])
    wait_for(lambda: len(finished_trials(tmp_path)) >= 2)
    process.send_signal(signal.SIGKILL)
    process.wait()
    before = {trial.number: trial for trial in finished_trials(tmp_path)}
    result = hpo.run(experiment, home=tmp_path)
    after = {trial.number: trial for trial in result.trials}
    assert all(after[number] == trial for number, trial in before.items())
    lost = [trial for trial in result.trials if trial.reason == "lost"]
    done = [trial for trial in result.trials if trial.state in ("complete", "pruned")]
    # Two workers, and each may have been given its next trial while it tested the last.
    assert 1 <= len(lost) <= 4
    assert len(done) == 12
    # Each configuration once, those that were lost with the seed that they had.
    assert len({json.dumps(trial.params) for trial in done}) == 12
    for trial in lost:
        (again,) = [other for other in done if other.origin == trial.origin]
        assert (again.params, again.seed) == (trial.params, trial.seed)


def test_ctrl_c_gives_running_trials_back(tmp_path: Path) -> None:
    training = {"epochs": 300, "early_stopping": False}
    study = {"trials": 6, "sampler": "random", "pruner": "none"}
    experiment = tiny(study=study, training=training, engine={"workers": 2})
    process = start(
        [sys.executable, "-m", "hpo", "run", "experiment.yaml", "--home", str(tmp_path / "home")],
        cwd=_with_file(tmp_path, experiment),
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )
    home = tmp_path / "home"

    def is_training() -> bool:
        try:
            study = optuna.load_study(study_name="tiny", storage=store(home))
        except Exception:
            return False
        return any(trial.intermediate_values for trial in study.trials)

    wait_for(lambda: (home / "optuna.db").exists() and is_training())
    # As a terminal does it: to the whole process group.
    os.killpg(process.pid, signal.SIGINT)
    _, errors = process.communicate(timeout=60)
    assert process.returncode == 130, errors
    assert "the same command continues" in errors
    assert "Traceback" not in errors
    trials = read_study(store(home), "tiny").trials
    assert {trial.reason for trial in trials if trial.state != "complete"} == {"interrupted"}


def _with_file(folder: Path, experiment: dict[str, Any]) -> Path:
    # JSON is YAML.
    (folder / "experiment.yaml").write_text(json.dumps(experiment))
    return folder


TUNED = """
import keras
import keras_tuner

class Tuned(keras_tuner.HyperModel):
    def build(self, hp):
        kind = hp.Choice("kind", ["shallow", "deep"])
        model = keras.Sequential([keras.Input((4,)), keras.layers.Dense(hp.Int("units", 4, 12, step=4), "relu")])
        with hp.conditional_scope("kind", ["deep"]):
            if kind == "deep":
                model.add(keras.layers.Dense(hp.Int("more_units", 4, 8), "relu"))
        model.add(keras.layers.Dense(3, activation="softmax"))
        rate = hp.Float("learning_rate", 1e-3, 1e-1, sampling="log")
        model.compile(keras.optimizers.Adam(rate), "sparse_categorical_crossentropy", metrics=["accuracy"])
        return model

    def fit(self, hp, model, *args, **kwargs):
        return model.fit(*args, batch_size=hp.Choice("batch_size", [16, 64]), **kwargs)
"""


def test_a_kerastuner_model_is_tuned_unchanged(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "tuned_model.py").write_text(TUNED)
    experiment = tiny(search_space={"model": "tuned_model:Tuned"}, study={"trials": 4, "sampler": "random"})
    result = hpo.run(experiment, home=tmp_path / "home")
    assert {trial.state for trial in result.trials} <= {"complete", "pruned"}
    for trial in result.trials:
        assert trial.params["units"] in (4, 8, 12)
        assert ("more_units" in trial.params) == (trial.params["kind"] == "deep")
    # What only `fit` declares is known once the first trials have run, and is varied from then on.
    assert {"batch_size" in trial.params for trial in result.trials} == {False, True}
    # The choice of the first trials was the default; the study goes on with what it has learned.
    more = hpo.run(experiment, overrides=["study.trials=5"], home=tmp_path / "home")
    assert "batch_size" in more.trials[4].params


def test_plain_mlflow_finds_the_runs_under_the_study(finished: Path) -> None:
    code = """
import json, sys, mlflow
mlflow.set_tracking_uri(sys.argv[1])
client = mlflow.MlflowClient()
(experiment,) = client.search_experiments(filter_string="name = 'tiny'")
runs = client.search_runs([experiment.experiment_id])
(parent,) = [run for run in runs if "mlflow.parentRunId" not in run.data.tags]
children = [run for run in runs if run.data.tags.get("mlflow.parentRunId") == parent.info.run_id]
child = next(run for run in children if run.info.status == "FINISHED")
curve = client.get_metric_history(child.info.run_id, "val_accuracy")
print(json.dumps({
    "status": parent.info.status,
    "names": sorted(run.info.run_name for run in children),
    "metrics": sorted(child.data.metrics),
    "params": child.data.params,
    "steps": [point.step for point in curve],
    "best": child.data.metrics["best_val_accuracy"] == max(point.value for point in curve),
    "contexts": sorted(tag.value for entry in parent.inputs.dataset_inputs for tag in entry.tags),
    "files": sorted(file.path for file in client.list_artifacts(parent.info.run_id)),
    "note": parent.data.tags["mlflow.note.content"],
    "best_so_far": len(client.get_metric_history(parent.info.run_id, "best_so_far_val_accuracy")),
}))
"""
    uri = f"sqlite:///{finished / 'mlflow.db'}"
    told = subprocess.run([sys.executable, "-c", code, uri], capture_output=True, text=True, timeout=120, check=True)
    found = json.loads(told.stdout)
    assert found["status"] == "FINISHED"
    assert found["names"] == [f"trial-{number:04}" for number in range(6)]
    assert {"val_accuracy", "val_loss", "best_val_accuracy", "best_epoch", "test_accuracy", "test_loss"} <= set(
        found["metrics"]
    )
    assert {"depth", "width", "learning_rate"} <= found["params"].keys()
    assert found["steps"] == list(range(1, len(found["steps"]) + 1))
    assert found["best"] is True
    assert found["contexts"] == ["test", "training", "validation"]
    assert {"experiment.yaml", "search_space.yaml", "best.yaml"} <= set(found["files"])
    assert "val_accuracy" in found["note"]
    assert found["best_so_far"] == 6


def test_the_deadline_stops_running_trials_and_keeps_them(finished: Path, tmp_path: Path) -> None:
    # The study of `finished` has started the workers' server, which takes seconds of the time otherwise.
    experiment = tiny(
        dataset={"name": "digits"},
        training={"epochs": 100_000, "early_stopping": False},
        study={"timeout": 20, "pruner": "none"},
        engine={"workers": 2},
    )
    result = hpo.run(experiment, home=tmp_path)
    assert result.ended == "timeout"
    # All epochs would take an hour and more.
    assert 20 <= result.seconds < 140
    assert len(result.trials) == 2
    for trial in result.trials:
        assert (trial.state, trial.ended_by) == ("pruned", "deadline")
        assert trial.epochs > 1
        assert 0 < trial.test["accuracy"] <= 1
