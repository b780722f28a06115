"""Projects that the real KerasTuner wrote; data_files/keras_tuner/make.py says how."""

from pathlib import Path

import pytest

from hpo.cli.reuse.keras_tuner_project import is_project, read_project
from hpo.config.experiment import Objective
from hpo.errors import NotFound, UserError

PROJECTS = Path(__file__).parents[2] / "data_files" / "keras_tuner"


def test_the_trials_of_a_random_search() -> None:
    trials = read_project(PROJECTS / "random")
    assert [trial.name for trial in trials] == [str(number) for number in range(8)]
    assert [trial.status for trial in trials] == ["COMPLETED"] * 7 + ["FAILED"]
    first = trials[0]
    assert first.values["optimizer"] == "sgd"
    assert {"depth", "width", "learning_rate", "momentum"} <= set(first.values)
    assert "momentum" not in trials[1].values
    accuracy = first.best(Objective(metric="val_accuracy"))
    loss = first.best(Objective(metric="val_loss"))
    assert accuracy is not None
    assert loss is not None
    assert 0 < accuracy < 1 < loss
    assert first.best(Objective(metric="val_mae")) is None
    assert first.epochs is None


def test_the_epochs_of_hyperband_trials_are_read() -> None:
    trials = read_project(PROJECTS / "hyperband")
    assert sorted({trial.epochs for trial in trials}) == [1, 2, 4]


def test_a_folder_that_is_no_project_gets_a_message(tmp_path: Path) -> None:
    with pytest.raises(NotFound, match=r"must be a KerasTuner project.*did you mean .*keras_tuner/hyperband"):
        read_project(PROJECTS)
    with pytest.raises(NotFound, match=r"a folder with oracle\.json$"):
        read_project(tmp_path / "none")
    (tmp_path / "oracle.json").write_text('{"start_order": []}')
    (tmp_path / "trial_0").mkdir()
    broken = tmp_path / "trial_0" / "trial.json"
    broken.write_text("{")
    with pytest.raises(UserError, match=r"trial\.json: must be a JSON file"):
        read_project(tmp_path)
    broken.write_text('{"trial_id": "0", "status": "COMPLETED", "metrics": {"metrics": {}}}')
    with pytest.raises(UserError, match=r"is no trial of KerasTuner: KeyError\('hyperparameters'\)"):
        read_project(tmp_path)


def test_a_name_is_no_folder() -> None:
    assert not is_project(Path("digits-mlp"))
    assert is_project(Path("projects/digits"))
    assert is_project(PROJECTS)
