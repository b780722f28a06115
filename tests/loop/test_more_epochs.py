"""A study that is given more epochs: its best trials go on after their last one, as if they had had these at once."""

import json
import signal
import subprocess
import sys
import time
from dataclasses import replace
from pathlib import Path

import mlflow
import pytest
from studies import definition
from tiny import tiny

import hpo
from hpo.confirm.confirm import chosen_finalists
from hpo.errors import StudyMismatch
from hpo.plan.exported_file import document
from hpo.study.more_epochs import more_epochs_note
from hpo.study.read import read_study
from hpo.study.record import ranked
from hpo.training import checkpoint_file

LONG = ["training.epochs=6"]


def experiment(**study):
    training = {"epochs": 3, "early_stopping": {"patience": 5}}
    space = {"model": "mlp", "parameters": {"width": {"type": "int", "low": 4, "high": 64}, "dropout": 0.2}}
    return tiny(search_space=space, training=training, study={"trials": 3, "sampler": "random", **study})


ONE_PASS = experiment(schedule="one_pass", pruner="none")


def stored(home):
    return read_study(f"sqlite:///{home / 'optuna.db'}", "tiny")


def curves(trial):
    return {name: list(curve) for name, curve in trial.curves.items() if name != "seconds"}


@pytest.fixture(scope="module")
def homes(tmp_path_factory):
    """One study that had three epochs and then six, and one that had six at once."""
    folder = tmp_path_factory.mktemp("more")
    hpo.run(ONE_PASS, home=folder / "more")
    hpo.run(ONE_PASS, overrides=LONG, home=folder / "more")
    hpo.run(ONE_PASS, overrides=LONG, home=folder / "at-once")
    return folder


def test_trials_go_on_as_if_they_had_had_all_epochs_at_once(homes):
    *short, first, second, third = stored(homes / "more").trials
    assert [trial.epochs for trial in short] == [3, 3, 3]
    assert {trial.ended_by for trial in short} == {"epochs"}
    at_once = {trial.number: trial for trial in stored(homes / "at-once").trials}
    for trial in (first, second, third):
        assert (trial.state, trial.attempt, trial.epochs) == ("complete", 1, 6)
        assert curves(trial) == curves(at_once[trial.origin])
        assert (trial.value, trial.test) == (at_once[trial.origin].value, at_once[trial.origin].test)


def test_finalists_are_different_configurations(homes):
    view = stored(homes / "more")
    assert sorted(trial.origin for trial in chosen_finalists(view, 5)) == [0, 1, 2]


def test_a_shorter_trial_is_exported_as_it_was(homes):
    view = stored(homes / "more")
    epochs = [document(view, trial)["experiment"]["training"]["epochs"] for trial in view.trials]
    assert epochs == [3, 3, 3, 6, 6, 6]


def test_the_records_tell_both_numbers_of_epochs(homes):
    client = mlflow.MlflowClient(f"sqlite:///{homes / 'more' / 'mlflow.db'}")
    (found,) = client.search_experiments(filter_string="name = 'tiny'")
    runs = {run.info.run_name: run for run in client.search_runs([found.experiment_id])}
    assert [runs[f"trial-{number:04}"].data.params["training.epochs"] for number in range(6)] == ["3"] * 3 + ["6"] * 3
    assert runs["tiny"].data.tags["hpo.now.training.epochs"] == "6"
    assert len(client.get_metric_history(runs["trial-0003"].info.run_id, "val_accuracy")) == 6
    assert stored(homes / "more").experiment["training"]["epochs"] == 6


def test_nothing_is_left_to_do_then(homes):
    before = [trial.number for trial in stored(homes / "more").trials]
    hpo.run(ONE_PASS, overrides=LONG, home=homes / "more")
    assert [trial.number for trial in stored(homes / "more").trials] == before


@pytest.mark.parametrize(
    ("more", "key"),
    [
        (["training.epochs=2"], "training.epochs: 6 -> 2"),
        (["training.epochs=9", "training.optimizer=sgd"], 'training.optimizer: "adam" -> "sgd"'),
    ],
)
def test_fewer_epochs_or_another_change_too_make_another_study(homes, more, key):
    with pytest.raises(StudyMismatch, match=key):
        hpo.run(ONE_PASS, overrides=more, home=homes / "more")


def test_trials_that_depend_on_the_number_of_epochs_do_not_go_on(tmp_path):
    training = {"epochs": 2, "schedule": "cosine"}
    short = {**ONE_PASS, "training": training, "study": {**ONE_PASS["study"], "trials": 1}}
    hpo.run(short, home=tmp_path)
    assert not (tmp_path / "checkpoints").exists()
    with pytest.raises(StudyMismatch, match=r"training\.epochs: 2 -> 6"):
        hpo.run(short, overrides=LONG, home=tmp_path)


def test_the_best_pause_and_go_on_by_the_schedule(tmp_path):
    hpo.run(experiment(trials=9), home=tmp_path)
    before = stored(tmp_path).trials
    whole = [trial for trial in before if trial.allowed_epochs]
    kept = {trial.number for trial in ranked(whole, stored(tmp_path).objective)[:5]}
    trials = hpo.run(experiment(trials=9), overrides=["training.epochs=12"], home=tmp_path).trials
    again = trials[len(before) :]
    assert {trial.origin for trial in again} == kept != set()
    assert max(trial.epochs for trial in again) == 12
    # Those that had paused go on under their numbers, and their records say how long they may be.
    for trial in trials:
        assert trial.resolved is not None
        assert trial.epochs <= trial.resolved.training["epochs"]
    for trial in again:
        assert trial.epochs > 3
        assert all(curve[:3] == curves(trials[trial.origin])[name] for name, curve in curves(trial).items())


def test_a_kill_among_the_further_epochs_costs_nothing(tmp_path):
    file, home = tmp_path / "tiny.yaml", tmp_path / "home"
    one = {**ONE_PASS, "study": {"trials": 1, "sampler": "random", "checkpoints": {"seconds": 0.05}}}
    one |= {"training": {"epochs": 3, "batch_size": 4, "early_stopping": False}}
    file.write_text(json.dumps(one))
    hpo.run(file, home=home)
    command = [sys.executable, "-m", "hpo", "run", str(file), "--home", str(home), "--set", "training.epochs=200"]
    process = subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    end = time.monotonic() + 300
    while 1 not in (found := checkpoint_file.found_in(home / "checkpoints" / "tiny")):
        assert time.monotonic() < end
        time.sleep(0.02)
    process.send_signal(signal.SIGKILL)
    process.wait()
    assert found[1][0].epochs > 3
    first, lost, last = hpo.run(file, overrides=["training.epochs=200"], home=home).trials
    assert (first.state, first.epochs, lost.reason) == ("complete", 3, "lost")
    assert (last.state, last.epochs, last.attempt) == ("complete", 200, 2)
    assert curves(last)["val_loss"][:3] == curves(first)["val_loss"]
    at_once = hpo.run(file, overrides=["training.epochs=200"], home=Path(tmp_path / "at-once")).trials
    assert curves(last) == curves(at_once[0])


def test_what_happens_with_more_epochs_is_said(homes):
    trials = stored(homes / "more").trials[:3]
    six = definition(epochs=6)
    assert more_epochs_note(trials, trials, six) == "more epochs now: trials 0, 1, 2 go on with another number"
    assert more_epochs_note(trials, trials[:1], six) == "more epochs now: trial 0 goes on with another number"
    kept = "more epochs now, for new trials: of those that came to their last one no checkpoint was kept"
    assert more_epochs_note(trials, [], six) == kept
    stopped = [replace(trial, ended_by="early_stopping") for trial in trials]
    assert more_epochs_note(stopped, [], six) == "more epochs now, for new trials: none had come to its last one"
    assert more_epochs_note(trials, [], definition(epochs=3)) is None
