"""A study knows where its experiment lay: every later command finds its data and code, from whatever folder."""

import shutil

import pytest

import hpo
from hpo.cli.reuse.log_again import log_again
from hpo.compare.compare import read_studies
from hpo.confirm.confirm import confirm
from hpo.errors import FileMistakes
from hpo.export.retrain import retrain
from hpo.export.script import script_of
from hpo.loop.jobs import variants_of
from hpo.plan.exported_file import exported_of, read_exported, write_exported
from hpo.plan.rebuilt import plan_of_study

OWN = """
import numpy as np

def line(x):
    return 2 * x

def network(params, dataset):
    import keras
    return keras.Sequential([keras.Input(dataset.input_shape), keras.layers.Dense(params["width"]),
                             keras.layers.Dense(dataset.outputs)])
"""

EXPERIMENT = """
name: elsewhere
dataset: {path: data/line.csv, target: y}
search_space: {model: "own_line:network", parameters: {width: {type: int, low: 2, high: 4}}}
objective: val_loss
training: {epochs: 1}
study: {trials: 2, sampler: random, pruner: none}
engine: serial
"""


@pytest.fixture
def project(tmp_path):
    """A project: the experiment and its code in one folder, the data found from its root."""
    (tmp_path / "project/experiments").mkdir(parents=True)
    (tmp_path / "project/data").mkdir()
    (tmp_path / "other").mkdir()
    (tmp_path / "project/experiments/own_line.py").write_text(OWN)
    (tmp_path / "project/experiments/exp.yaml").write_text(EXPERIMENT)
    rows = "".join(f"{number / 100},{number / 50}\n" for number in range(60))
    (tmp_path / "project/data/line.csv").write_text("x,y\n" + rows)
    return tmp_path / "project"


def test_later_commands_find_data_and_code_from_another_folder(project, tmp_path, monkeypatch):
    monkeypatch.chdir(project)
    hpo.run("experiments/exp.yaml", home=tmp_path / "home")
    monkeypatch.chdir(tmp_path / "other")
    (view,) = read_studies(["elsewhere"], tmp_path / "home")
    assert view.folders == [str(project), str(project / "experiments")]
    assert confirm("elsewhere", 1, 2, home=tmp_path / "home").trained == 2
    assert log_again("elsewhere", home=tmp_path / "home").trials == 2
    best = view.trials[0]
    assert str(project / "data/line.csv") in script_of(exported_of(view, best))
    write_exported(view, best, tmp_path / "best.yaml")
    again = retrain(read_exported(tmp_path / "best.yaml").plan, best.params, best.seed)
    assert again.value == best.value


def test_moved_files_are_found_from_the_working_directory_or_named_in_an_error(project, tmp_path, monkeypatch):
    monkeypatch.chdir(project)
    view = kept(project)
    moved = shutil.move(project, tmp_path / "moved")
    monkeypatch.chdir(tmp_path / "other")
    with pytest.raises(FileMistakes, match=r"data/line\.csv: no such file or folder in ") as caught:
        variants_of(plan_of_study(view))
    assert str(project / "experiments") in str(caught.value)
    assert str(tmp_path / "other") in str(caught.value)
    monkeypatch.chdir(moved)
    assert variants_of(plan_of_study(view)).base.info.name == "line"


def kept(project):
    """What a study of the project would keep, without training."""
    from hpo.plan.plan import load_plan
    from hpo.study.read import StudyView

    plan = load_plan(project / "experiments/exp.yaml")
    experiment = {**plan.experiment.model_dump(mode="json"), "search_space": plan.space.model_dump(mode="json")}
    return StudyView("elsewhere", {}, {}, experiment, {}, [], "sqlite://", folders=tuple(map(str, plan.folders)))


def test_folders_of_an_exported_file_that_are_none(tmp_path, project, monkeypatch):
    monkeypatch.chdir(project)
    view = kept(project)
    text = f"study: s\ntrial: 0\nexperiment: {dict(view.experiment)}\nparameters: {{}}\nseed: 0\nscores: {{}}\n"
    (tmp_path / "best.yaml").write_text(text.replace("None", "null").replace("True", "true") + "data: {}\nfolders: 3\n")
    with pytest.raises(FileMistakes, match=r"best\.yaml:8: folders: must be a list of folders, got 3"):
        read_exported(tmp_path / "best.yaml")
