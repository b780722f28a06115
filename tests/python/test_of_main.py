"""`__main__:NAME` in an experiment: what stands in the running script reaches workers, and whoever opens the study."""

import sys

import pytest

import hpo
from hpo.errors import ModelError, StudyMismatch
from hpo.export.export import write_model
from hpo.study.read import read_study
from hpo.system.imports import load_object

SCRIPT = """
import keras
import numpy as np

SCALE = 2.0

class Models:
    @staticmethod
    def build(params, dataset):
        return keras.Sequential([keras.Input(dataset.input_shape), keras.layers.Dense(1)])

def samples(count):
    x = np.random.default_rng(0).normal(size=(count, 3))
    return {"train": (x, x.sum(axis=1))}

def cost(y, outputs):
    return SCALE * keras.ops.mean(keras.ops.abs(y - outputs), axis=-1)
"""
EXPERIMENT = """
name: main
dataset: {function: __main__:samples, arguments: {count: 60}, target_scaling: none}
search_space: {model: "__main__:Models.build", parameters: {learning_rate: {type: float, low: 0.01, high: 0.1}}}
objective: val_loss
training: {epochs: 1, loss: "__main__:cost"}
study: {trials: 1, sampler: random}
engine: {name: serial}
"""


@pytest.fixture
def script(monkeypatch, tmp_path):
    """Runs the text of a script as one would stand in `__main__`, in a folder with an experiment."""
    monkeypatch.chdir(tmp_path)
    (tmp_path / "experiment.yaml").write_text(EXPERIMENT)

    def ran(text):
        # Its globals are not those of pytest, whose names would count as its own.
        scope = {"__name__": "__main__"}
        exec(text, scope)
        for name, one in scope.items():
            if not name.startswith("__"):
                monkeypatch.setattr(sys.modules["__main__"], name, one, raising=False)

    return ran


def test_what_stands_in_a_script_is_trained_and_kept(script, tmp_path) -> None:
    script(SCRIPT)
    (tmp_path / "written").mkdir()
    study = hpo.run("experiment.yaml", progress=False)
    assert study.best.test["loss"] == pytest.approx(2 * study.best.test["mae"])
    view = read_study(study.storage, "main")
    assert "__main__" not in view.files["experiment"] + view.files["search_space"]
    assert "SCALE = 2.0" in view.files["code"]
    # The data function is among what is copied beside the file.
    study.to_yaml(tmp_path / "written" / "main.yaml")
    assert list((tmp_path / "written").glob("*.pkl"))
    # Another program has another `__main__`, and trains the same.
    script("Models = samples = cost = None")
    write_model(view, view.trials[0], tmp_path / "again.keras")
    script(SCRIPT.replace("SCALE = 2.0", "SCALE = 3.0"))
    with pytest.raises(StudyMismatch, match=r"-SCALE = 2.0\n.*\+SCALE = 3.0") as refused:
        hpo.run("experiment.yaml", progress=False)
    # The module of the study's code has another name, which says nothing to anybody.
    assert "training.loss" not in str(refused.value)
    script(SCRIPT + "\ndear = cost\n")
    with pytest.raises(StudyMismatch, match=r'\n  training.loss: "cost" -> "dear"\n'):
        hpo.run("experiment.yaml", overrides=["training.loss=__main__:dear"], progress=False)


def test_a_name_that_is_not_there_is_told(script) -> None:
    script(SCRIPT)
    with pytest.raises(ModelError, match="running script or notebook has no 'costs'; did you mean cost"):
        hpo.run("experiment.yaml", overrides=["training.loss=__main__:costs"], progress=False)
    with pytest.raises(ModelError, match=r"name the file: of models.py models:build"):
        load_object("__main__:build", ())
