"""`hpo init`: what it writes runs, fits the data and the model that it was told of, and replaces nothing."""

import json
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

import hpo
from hpo.errors import DataError, ModelError, UserError
from hpo.plan.plan import load_plan
from hpo.project.create import Created, Wanted, create_project, no_experiment

SMALL = ["study.trials=2", "training.epochs=1", "engine=serial", "study.pruner=none"]


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    return tmp_path


def table(folder: Path, target: list[object]) -> Path:
    rng = np.random.default_rng(0)
    path = folder / "my table.csv"
    columns = {"height": rng.normal(size=len(target)), "weight": rng.normal(size=len(target)), "y": target}
    pd.DataFrame(columns).to_csv(path, index=False)
    return path


def names(created: Created) -> set[str]:
    return {str(path.relative_to(created.folder)) for path in created.files if path.suffix != ".json"}


def test_an_empty_folder_becomes_a_project_that_runs(folder: Path) -> None:
    created = create_project(folder / "first", Wanted())
    assert names(created) == {"experiment.yaml", "search_space.yaml", "models.py", "study.ipynb"}
    result = hpo.run(created.folder / "experiment.yaml", overrides=SMALL, home=folder / "home")
    assert [trial.state for trial in result.trials] == ["complete", "complete"]
    assert result.name == "first"


@pytest.mark.parametrize(
    ("target", "objective"),
    [(["cat", "dog"] * 30, "val_accuracy"), ([float(number) / 7 for number in range(60)], "val_mae")],
)
def test_a_table(folder: Path, target: list[object], objective: str) -> None:
    created = create_project(folder, Wanted(data=table(folder, target), target="y"))
    assert names(created) == {"experiment.yaml", "search_space.yaml", "study.ipynb"}
    plan = load_plan(created.folder / "experiment.yaml")
    assert (plan.experiment.name, plan.experiment.objective.metric) == ("my-table", objective)
    # Beside the experiment, so that the folder can be moved.
    assert plan.experiment.dataset.path == "my table.csv"
    assert plan.space.model == "mlp"


def test_a_table_without_a_target_lists_its_columns(folder: Path) -> None:
    with pytest.raises(UserError, match="needs --target COLUMN; its columns: height, weight, y"):
        create_project(folder, Wanted(data=table(folder, [1, 2])))
    assert [path.name for path in folder.iterdir()] == ["my table.csv"]


def test_a_target_that_is_no_column(folder: Path) -> None:
    with pytest.raises(DataError, match="wieght"):
        create_project(folder, Wanted(data=table(folder, ["a", "b"] * 20), target="wieght"))
    assert [path.name for path in folder.iterdir()] == ["my table.csv"]


MODEL = """
import keras
from keras_tuner import HyperModel

def build(params, dataset):
    layers = [keras.Input(dataset.input_shape), keras.layers.Flatten()]
    layers += [keras.layers.Dense(params["units"], activation=params.get("activation", "relu"))]
    return keras.Sequential([*layers, keras.layers.Dropout(params["rate_of_dropout"]), keras.layers.Dense(10)])

def mystery(params, dataset):
    return params["zeta"]

def tuned(hp):
    hp.Int("units", 4, 8)

class Tuned(HyperModel):
    pass
"""


@pytest.fixture
def with_model(folder: Path) -> Path:
    (folder / "mine.py").write_text(MODEL)
    return folder


def test_a_model_function_has_ranges_for_what_it_looks_up(with_model: Path) -> None:
    created = create_project(with_model, Wanted(model="mine:build"))
    space = load_plan(created.folder / "experiment.yaml").space
    assert set(space.parameters) == {"units", "activation", "rate_of_dropout", "batch_size", "learning_rate"}
    assert created.guessed == ()
    assert "models.py" not in names(created)


def test_a_guessed_range_is_marked(with_model: Path) -> None:
    created = create_project(with_model, Wanted(model="mine:mystery"))
    assert created.guessed == ("zeta",)
    assert "# a guess" in (with_model / "search_space.yaml").read_text()


@pytest.mark.parametrize("model", ["mine:tuned", "mine:Tuned"])
def test_a_kerastuner_model_declares_itself(with_model: Path, model: str) -> None:
    created = create_project(with_model, Wanted(model=model))
    assert load_plan(created.folder / "experiment.yaml").space.parameters == {}


@pytest.mark.parametrize(
    ("model", "message"),
    [
        ("mine.build", "must be module:name"),
        ("mien:build", "no module 'mien' in .*; did you mean mine?"),
        ("mine:built", "has no built; did you mean build?"),
    ],
)
def test_a_model_that_is_not_there(with_model: Path, model: str, message: str) -> None:
    with pytest.raises(ModelError, match=message):
        create_project(with_model, Wanted(model=model))
    assert [path.name for path in with_model.iterdir()] == ["mine.py"]


def test_existing_files_are_kept(folder: Path) -> None:
    (folder / "models.py").write_text("mine = 1\n")
    with pytest.raises(UserError, match=r"has models.py already; name another folder: hpo init FOLDER"):
        create_project(folder, Wanted())
    assert [path.name for path in folder.iterdir()] == ["models.py"]


def test_a_run_without_a_file_names_the_files_that_are_there(folder: Path) -> None:
    assert str(no_experiment()) == (
        "hpo run needs an experiment's file: hpo run EXPERIMENT; hpo init writes one to start from"
    )
    create_project(folder, Wanted())
    assert str(no_experiment()).endswith("here are: experiment.yaml")


def test_the_first_lines_name_schemas_that_are_there(folder: Path) -> None:
    create_project(folder, Wanted())
    for file in ("experiment.yaml", "search_space.yaml"):
        _, _, schema = (folder / file).read_text().splitlines()[0].partition("$schema=")
        assert json.loads((folder / schema).read_text())["$schema"].endswith("2020-12/schema")
