"""A trial whose model cannot be saved: its scores stand, and run, show and export say why there is no model."""

from io import StringIO
from pathlib import Path

import pytest
from rich.console import Console
from tiny import tiny

import hpo
from hpo.cli.study_output import print_study
from hpo.cli.train_output import print_retrained, require_saved, trained_again
from hpo.cli.trial_output import print_trial, trial_json
from hpo.compare.compare import read_studies
from hpo.errors import HpoError
from hpo.export.export import Targets, export
from hpo.plan.exported_file import read_exported
from hpo.study.read import StudyView
from hpo.tracking.entities import state_tags

MODEL = """
import keras

class Mine(keras.layers.Layer):
    def call(self, x):
        return 2 * x

    def get_config(self):
        raise NotImplementedError("Mine has no get_config")

def build(params, dataset):
    layers = [Mine(), keras.layers.Dense(dataset.classes, activation="softmax")]
    return keras.Sequential([keras.Input(dataset.input_shape), *layers])
"""
NOTE = "cannot be saved: NotImplementedError: Mine has no get_config"


@pytest.fixture(scope="module")
def home(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("unsavable")
    (folder / "unsavable_model.py").write_text(MODEL)
    with pytest.MonkeyPatch.context() as patched:
        patched.chdir(folder)
        experiment = tiny(
            search_space={"model": "unsavable_model:build", "parameters": {"width": 3}},
            study={"trials": 1},
            training={"epochs": 1},
            engine={"name": "serial"},
        )
        out = StringIO()
        result = hpo.run(experiment, home=folder, console=Console(file=out, width=300))
    assert result.trials[0].state == "complete"
    assert set(result.trials[0].test) == {"loss", "accuracy"}
    assert f"note: trial 0, model: {NOTE}\n" in out.getvalue()
    return folder


@pytest.fixture
def view(home: Path, monkeypatch: pytest.MonkeyPatch) -> StudyView:
    monkeypatch.chdir(home)
    return read_studies(["tiny"], home)[0]


def test_show_says_why_there_is_no_model(view: StudyView) -> None:
    trial = view.trials[0]
    out = StringIO()
    print_trial(Console(file=out, width=300), view, trial)
    print_study(Console(file=out, width=300), view)
    assert f"{NOTE}" in out.getvalue()
    assert f"Trial 0, model: {NOTE}\n" in out.getvalue()
    assert trial_json(trial, "val_accuracy")["model_note"] == NOTE
    tags = {tag.key: tag.value for tag in state_tags(trial, view.objective)}
    assert tags["hpo.model_note"] == NOTE
    assert tags["mlflow.note.content"].endswith(f"model: {NOTE}")


def test_its_configuration_is_exported_and_trained_and_its_model_is_not(
    view: StudyView, home: Path, tmp_path: Path
) -> None:
    lines = list(export("tiny", Targets(to=tmp_path / "best.yaml"), home=home))
    assert lines[1] == f"trial 0, model: {NOTE}"
    model = tmp_path / "best.keras"
    file = read_exported(tmp_path / "best.yaml")
    runs = trained_again(Console(quiet=True), file, 1, model)
    out = StringIO()
    print_retrained(Console(file=out, width=300), file, runs)
    assert f"model: {NOTE}\n" in out.getvalue()
    with pytest.raises(HpoError, match=f"best.keras: there is no model: {NOTE}\nThe scores are valid, .*") as raised:
        require_saved(runs, model)
    assert raised.value.exit_code == 1
    with pytest.raises(HpoError, match=r"hpo train best\.yaml --model best\.keras trains it again and saves it"):
        list(export("tiny", Targets(model=model), home=home))
    assert [path.name for path in tmp_path.iterdir()] == ["best.yaml"]
