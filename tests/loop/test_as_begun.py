"""Integers that number things are left as they are, and a study that was begun otherwise goes on as it was begun."""

import io
import json
import textwrap
from typing import Any

import numpy as np
import optuna
import pytest
from image_folders import write_images
from rich.console import Console

import hpo
from hpo.cli.preview.check import check
from hpo.errors import StudyMismatch, UserError
from hpo.loop.as_begun import as_begun
from hpo.plan.exported_file import read_exported, write_exported
from hpo.plan.plan import load_plan
from hpo.plan.rebuilt import plan_of_study
from hpo.study.attributes import DATA, EXPERIMENT, IDENTITY
from hpo.study.read import read_study

SCRIPT = """
    import keras, numpy as np
    def tokens():
        rng = np.random.default_rng(0)
        y = rng.integers(0, 2, 300)
        x = 2 * rng.integers(1, 50, (300, 10)) + y[:, None]  # odd words in class 1, even ones in class 0
        return {"train": (x.astype("int32"), y)}
    def lookup(params, dataset):
        layers = keras.layers
        return keras.Sequential([
            keras.Input(dataset.input_shape), layers.Embedding(128, params["width"]),
            layers.GlobalAveragePooling1D(), layers.Dense(2, activation="softmax"),
        ])
"""
EXPERIMENT_FILE = {
    "name": "tokens",
    "dataset": {"function": "words:tokens"},
    "search_space": {"model": "words:lookup", "parameters": {"width": {"type": "int", "low": 4, "high": 8}}},
    "objective": "val_accuracy",
    "training": {"epochs": 6, "learning_rate": 0.05},
    "study": {"trials": 1},
    "engine": "serial",
}


@pytest.fixture
def folder(tmp_path, monkeypatch):
    (tmp_path / "words.py").write_text(textwrap.dedent(SCRIPT))
    monkeypatch.chdir(tmp_path)
    return tmp_path


def test_numbers_of_words_reach_an_embedding_and_old_studies_keep_theirs(folder):
    told = io.StringIO()
    home = folder / "mlruns"
    ran = hpo.run(EXPERIMENT_FILE, home=home, console=Console(file=told, width=400))
    assert ran.best is not None
    assert ran.best.test["accuracy"] > 0.9
    assert ran.best.resolved is not None
    assert ran.best.resolved.dataset["scaling"] == "none"
    left = "inputs (int32) are left as they are, since integers that are no image may be the numbers of words or things"
    assert left in told.getvalue()
    plan = load_plan(EXPERIMENT_FILE, home=home)
    assert as_begun(plan).experiment.dataset.scaling == "none"

    # The same study as earlier code began it: all but images were standardized.
    study = optuna.load_study(study_name="tokens", storage=plan.storage)
    identity = study.user_attrs[IDENTITY]
    study.set_user_attr(IDENTITY, {**identity, "dataset": {**identity["dataset"], "scaling": "standard"}})
    assert study.user_attrs[EXPERIMENT]["dataset"]["scaling"] is None
    assert as_begun(plan).experiment.dataset.scaling == "standard"
    view = read_study(plan.storage, "tokens")
    assert plan_of_study(view).experiment.dataset.scaling == "standard"
    again = hpo.run(EXPERIMENT_FILE, overrides=["study.trials=2"], home=home)
    assert again.trials[1].resolved.dataset["scaling"] == "standard"
    write_exported(view, view.trial(0), folder / "best.json")
    # Files of earlier versions keep the scaling that the data decided beside the experiment alone.
    content = json.loads((folder / "best.json").read_text())
    assert content["experiment"]["dataset"]["scaling"] == "standard"
    content["experiment"]["dataset"]["scaling"] = None
    (folder / "best.json").write_text(json.dumps(content))
    assert read_exported(folder / "best.json").plan.experiment.dataset.scaling == "none"


def test_a_new_study_decides_by_its_data(folder):
    assert as_begun(load_plan(EXPERIMENT_FILE)).experiment.dataset.scaling is None
    named = load_plan(EXPERIMENT_FILE, ["dataset.scaling=minmax"])
    assert as_begun(named) == named


def test_targets_of_an_old_study_stay_as_they_are(folder):
    x = np.random.default_rng(0).normal(size=(60, 2))
    np.savez(folder / "prices.npz", x_train=x, y_train=1e5 + 1e4 * x[:, 0])
    space = {"model": "mlp", "parameters": {"depth": 1, "width": {"type": "int", "low": 2, "high": 4}}}
    experiment = {**EXPERIMENT_FILE, "name": "prices", "dataset": "prices.npz", "search_space": space}
    experiment |= {"objective": "val_mae", "training": {"epochs": 1}}
    ran = hpo.run(experiment, home=folder / "mlruns")
    assert ran.trials[0].resolved.dataset["target_scaling"] == "standard"
    plan = load_plan(experiment, home=folder / "mlruns")
    assert as_begun(plan).experiment.dataset.target_scaling == "standard"

    # The same study as earlier code began it, which knew of no such key, and of one schedule.
    assert as_begun(plan).experiment.study.schedule.name == "gp_asha"
    study = optuna.load_study(study_name="prices", storage=plan.storage)
    known = study.user_attrs[EXPERIMENT]
    earlier = {key: value for key, value in known["study"].items() if key != "schedule"}
    study.set_user_attr(EXPERIMENT, {**known, "study": earlier})
    assert as_begun(plan).experiment.study.schedule.name == "one_pass"
    named = load_plan(experiment, ["study.schedule=asha"], home=folder / "mlruns")
    assert as_begun(named).experiment.study.schedule.name == "asha"
    for attribute in (IDENTITY, EXPERIMENT):
        known = study.user_attrs[attribute]
        dataset = {key: value for key, value in known["dataset"].items() if key != "target_scaling"}
        study.set_user_attr(attribute, {**known, "dataset": dataset})
    view = read_study(plan.storage, "prices")
    assert plan_of_study(view).experiment.dataset.target_scaling == "none"
    assert plan_of_study(view).experiment.study.schedule.name == "one_pass"
    again = hpo.run(experiment, overrides=["study.trials=2"], home=folder / "mlruns")
    assert again.trials[1].resolved.dataset["target_scaling"] == "none"
    assert again.trials[1].value > 5 * again.trials[0].value
    write_exported(view, view.trial(0), folder / "best.json")
    content = json.loads((folder / "best.json").read_text())
    del content["experiment"]["dataset"]["target_scaling"]
    (folder / "best.json").write_text(json.dumps(content))
    assert read_exported(folder / "best.json").plan.experiment.dataset.target_scaling == "none"


def test_an_old_study_keeps_its_task_and_the_parts_that_it_drew(folder):
    x = np.random.default_rng(0).normal(size=(60, 2))
    columns = np.column_stack([x, x[:, 0] > 0])
    np.savetxt(folder / "t.csv", columns, "%.3f", ",", header="a,b,y", comments="")
    space = {"model": "mlp", "parameters": {"depth": 1, "width": {"type": "int", "low": 2, "high": 4}}}
    dataset = {"path": "t.csv", "target": "y"}
    experiment = {**EXPERIMENT_FILE, "name": "t", "search_space": space, "objective": "val_loss"}
    experiment |= {"training": {"epochs": 1}}
    ways: dict[str, dict[str, Any]] = {"numbers": {"task": "regression"}, "drawn": {"stratify": False}}
    for name, decided in ways.items():
        old = {**experiment, "name": name, "dataset": {**dataset, **decided}}
        hpo.run(old, home=folder / "mlruns")
        now = {**old, "dataset": dataset}
        # As earlier code kept it, which knew of one way to draw parts.
        study = optuna.load_study(study_name=name, storage=load_plan(now, home=folder / "mlruns").storage)
        data = study.user_attrs[DATA]
        draws = [{key: draw[key] for key in ("purpose", "count", "stratified")} for draw in data["draws"]]
        study.set_user_attr(DATA, {**data, "draws": draws})
        ran = hpo.run(now, overrides=["study.trials=2"], home=folder / "mlruns")
        assert [trial.state for trial in ran.trials] == ["complete"] * 2


def test_images_stay_on_disk_on_a_machine_with_more_memory(folder, monkeypatch):
    monkeypatch.setenv("HPO_CACHE", str(folder / "cache"))
    write_images(folder / "colours")
    space = {"model": "mlp", "parameters": {"depth": 1, "width": {"type": "int", "low": 2, "high": 4}}}
    experiment = {**EXPERIMENT_FILE, "name": "colours", "search_space": space, "dataset": {"path": "colours"}}
    experiment |= {"training": {"epochs": 1}}
    with monkeypatch.context() as small:
        small.setattr("hpo.data.on_disk.usable_memory", lambda: 8000)
        hpo.run(experiment, home=folder / "mlruns")
    again = hpo.run(experiment, overrides=["study.trials=2"], home=folder / "mlruns")
    resolved = [trial.resolved.dataset for trial in again.trials]
    assert [(one["memory_limit"], one["shuffle_window"]) for one in resolved] == [(4e-6, 2**28 // 360)] * 2

    larger = ["study.trials=3", "dataset.memory_limit=8"]
    with pytest.raises(StudyMismatch, match=r"dataset.window: \d+ -> null"):
        hpo.run(experiment, overrides=larger, home=folder / "mlruns")

    # As earlier code kept it.
    study = optuna.load_study(study_name="colours", storage=again.storage)
    identity, data = study.user_attrs[IDENTITY], study.user_attrs[DATA]
    del identity["dataset"]["window"], data["memory_limit"]
    study.set_user_attr(IDENTITY, identity)
    study.set_user_attr(DATA, data)
    overrides = ["study.trials=3", "dataset.memory_limit=4e-6"]
    assert len(hpo.run(experiment, overrides=overrides, home=folder / "mlruns").trials) == 3


def test_ids_too_large_for_float32_are_refused_at_their_line(folder):
    x = np.array([[2**24 + 1, 3]] * 40)
    np.savez(folder / "ids.npz", x_train=x, y_train=np.arange(40) % 2)
    experiment = {**EXPERIMENT_FILE, "dataset": "ids.npz", "search_space": "mlp"}
    with pytest.raises(UserError, match=r"dataset.scaling: .*integers that are not scaled must be at most 16,777,216"):
        check(experiment)
