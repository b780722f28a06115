"""A study by k-fold cross-validation in which the preparation of the data varies: from its run to the exports."""

import io
import json
import shutil
import statistics
from pathlib import Path
from typing import Any

import pytest
from rich.console import Console
from tiny import tiny

import hpo
from hpo.cli.preview.check import check
from hpo.cli.reuse.log_again import log_again
from hpo.cli.study_output import print_study
from hpo.cli.trial_output import print_trial, trial_json
from hpo.confirm.confirming import Confirming
from hpo.confirm.owed_runs import Wanted
from hpo.errors import FileMistakes, UserError
from hpo.export.export import Targets, Which, export
from hpo.export.retrain import retrain_all, runs_of
from hpo.loop.definition import definition_of
from hpo.loop.jobs import variants_of
from hpo.plan.exported_file import read_exported
from hpo.plan.plan import load_plan
from hpo.report.page import report
from hpo.study.definition import Definition
from hpo.study.read import StudyView, read_study
from hpo.study.record import TrialRecord
from hpo.training.model_data import read_info

FOLDS = 2
EXPERIMENT = tiny(
    name="folded",
    dataset={"name": "iris", "validation": {"folds": FOLDS}},
    search_space={
        "model": "mlp",
        "parameters": {
            "depth": 1,
            "width": 8,
            "learning_rate": 0.05,
            "scaling": {"type": "categorical", "choices": ["standard", "none"], "sets": "dataset.scaling"},
            "split": {"type": "categorical", "choices": [1, 2], "sets": "dataset.validation.seed"},
            "limit": {
                "type": "categorical",
                "choices": [100],
                "sets": "dataset.limit",
                "when": {"scaling": "none", "split": 2},
            },
        },
    },
    objective="val_loss",
    training={"epochs": 2},
    study={"sampler": "grid", "pruner": "none"},
    engine={"workers": 1},
)


@pytest.fixture(scope="module")
def home(tmp_path_factory: pytest.TempPathFactory, empty_database: Path) -> Path:
    """The home folder of the finished study."""
    folder = tmp_path_factory.mktemp("folded")
    shutil.copy(empty_database, folder / "mlflow.db")
    hpo.run(EXPERIMENT, home=folder)
    return folder


@pytest.fixture
def view(home: Path) -> StudyView:
    return read_study(f"sqlite:///{home / 'optuna.db'}", "folded")


def best_of(view: StudyView) -> TrialRecord:
    return min((trial for trial in view.trials if trial.value is not None), key=lambda trial: trial.value or 0.0)


def test_each_configuration_is_trained_on_its_own_folds_and_scaling(view: StudyView) -> None:
    states = {(trial.params["scaling"], trial.params["split"]): trial for trial in view.trials}
    invalid = states.pop(("none", 2))
    assert (invalid.state, invalid.reason, invalid.curves) == ("failed", "invalid", {})
    assert str(invalid.failure).startswith("invalid: dataset.limit would change the test part")
    for trial in states.values():
        assert list(trial.fold_lengths) == [2, 2]
        losses = trial.curves["val_loss"]
        best = [min(losses[fold * 2 : fold * 2 + 2]) for fold in range(FOLDS)]
        assert trial.value == pytest.approx(statistics.fmean(best))
        assert trial.deviations["val_loss"] == pytest.approx(statistics.stdev(best))
    assert len({trial.value for trial in states.values()}) == 3
    assert view.data["folds"] == FOLDS


def test_the_study_goes_on_without_training_anything_again(home: Path, view: StudyView) -> None:
    again = hpo.run(EXPERIMENT, home=home)
    assert [trial.number for trial in again.trials] == [trial.number for trial in view.trials]


def test_mlflow_has_a_curve_for_each_fold_and_the_deviation(
    home: Path,
    view: StudyView,
    tmp_path: Path,
    empty_database: Path,
) -> None:
    shutil.copy(empty_database, tmp_path / "mlflow.db")
    whole = log_again("folded", f"sqlite:///{tmp_path / 'mlflow.db'}", home=home)
    assert (whole.trials, whole.repaired) == (4, 4)
    trial = best_of(view)
    for folder in (home, tmp_path):
        run, histories = _logged(folder, trial.number)
        assert run["best_val_loss"] == pytest.approx(trial.value)
        assert run["best_val_loss_std"] == pytest.approx(trial.deviations["val_loss"])
        assert run["test_accuracy"] == pytest.approx(trial.test["accuracy"])
        assert not {"fold", "val_loss", "fold_3_val_loss", "fold_1_fold"} & run.keys()
        for fold in range(FOLDS):
            expected = dict(enumerate(trial.curves["val_loss"][fold * 2 : fold * 2 + 2], 1))
            assert histories[f"fold_{fold + 1}_val_loss"] == pytest.approx(expected)


def _logged(folder: Path, trial: int) -> tuple[dict[str, float], dict[str, Any]]:
    from mlflow import MlflowClient

    client = MlflowClient(f"sqlite:///{folder / 'mlflow.db'}")
    experiment = client.get_experiment_by_name("folded")
    condition = f"tags.`hpo.trial` = '{trial}' and tags.`hpo.role` = 'trial'"
    (run,) = client.search_runs([experiment.experiment_id], condition)
    names = [name for name in run.data.metrics if name.endswith("_val_loss") and name.startswith("fold_")]
    points = {name: client.get_metric_history(run.info.run_id, name) for name in names}
    return run.data.metrics, {name: {one.step: one.value for one in history} for name, history in points.items()}


def test_the_tables_show_the_deviation(home: Path, view: StudyView) -> None:
    frame = hpo.compare("folded", home=home)
    trial = best_of(view)
    assert frame.columns[3:5].to_list() == ["val_loss", "val_loss_std"]
    assert frame["val_loss_std"][0] == pytest.approx(trial.deviations["val_loss"])
    assert "val_loss_std" in frame.to_csv()
    out = Console(file=io.StringIO(), width=200)
    print_study(out, view)
    print_trial(out, view, trial)
    text = out.file.getvalue()  # type: ignore[attr-defined]
    assert "val_loss_std" in text
    assert "fold" in text
    assert json.loads(json.dumps(trial_json(trial, "val_loss")))["fold_best_epochs"] == list(trial.fold_best_epochs)
    assert trial_json(trial, "val_loss")["curves"]["fold"] == [1, 1, 2, 2]


def test_the_report_draws_folds_and_judges_the_model_on_its_own_validation_part(home: Path, view: StudyView) -> None:
    text = report(["folded"], None, form="md", home=home).text
    trial = best_of(view)
    assert f"as mean of {FOLDS} folds, deviation {trial.deviations['val_loss']:.4f}" in text
    assert trial.best_fold is not None
    from hpo.report.predictions import predictions

    found = predictions(view, [trial])
    accuracy = trial.curves["val_accuracy"][(trial.best_epoch or 0) - 1]
    assert found.accuracy == pytest.approx(accuracy)
    assert found.samples == 60


def test_an_exported_trial_is_trained_again_with_its_own_folds_and_scaling(
    home: Path, view: StudyView, tmp_path: Path
) -> None:
    trial = next(one for one in view.trials if one.params["scaling"] == "none" and one.value is not None)
    assert list(export("folded", Targets(to=tmp_path / "one.yaml"), Which(trial=trial.number), home))
    exported = read_exported(tmp_path / "one.yaml")
    (again,) = retrain_all(exported.plan, exported.parameters, runs_of(exported, 1, tmp_path / "one.keras"))
    assert again.digest == exported.digest
    assert again.curves["val_loss"] == pytest.approx(trial.curves["val_loss"], rel=1e-6)
    assert again.value == pytest.approx(trial.value)
    assert again.test == pytest.approx(trial.test)
    info = read_info(tmp_path / "one.keras")
    assert info is not None
    assert info.scaling.method == "none"
    with pytest.raises(UserError, match=r"k-fold cross-validation, a model for each fold.*--to best\.yaml"):
        list(export("folded", Targets(to=tmp_path / "best.py"), home=home))
    assert not (tmp_path / "best.py").exists()


def test_finalists_are_confirmed_over_folds(home: Path, view: StudyView, tmp_path: Path) -> None:
    # The database is not all in one file while anybody has it open.
    copy = shutil.copytree(home, tmp_path / "home")
    found = hpo.confirm("folded", finalists=1, seeds=2, home=copy)
    assert found.trained == 2
    url = f"sqlite:///{copy / 'optuna.db'}"
    for run in Confirming(url, "folded", Wanted([best_of(view)], 2, 0)).trials():
        assert list(run.fold_lengths) == [2, 2]
        assert run.seed != best_of(view).seed


def defined(experiment: dict[str, Any], home: Path) -> Definition:
    plan = load_plan(experiment, home=home)
    return definition_of(plan, variants_of(plan).base.info)


def test_settings_beside_the_data_digest_identify_the_study_too(tmp_path: Path) -> None:
    dataset = {"name": "digits", "limit": 50}
    plain = defined(tiny(dataset=dataset), tmp_path)
    assert plain.identity["dataset"].keys() == {"name", "digest", "scaling"}
    more = {"augmentation": {"noise": 0.1}, "extra_tests": {"low": {"shift": [2, 0]}}, "validation": {"folds": 4}}
    other = defined(tiny(dataset=dataset | more), tmp_path)
    assert other.identity["dataset"]["augmentation"]["noise"] == 0.1
    assert other.identity["dataset"]["extra_tests"] == {"low": {"shift": [2, 0]}}
    assert other.identity["dataset"]["digest"] != plain.identity["dataset"]["digest"]
    assert (plain.epochs, other.epochs) == (2, 4)


def test_check_counts_the_folds_and_names_the_line_of_those_that_cannot_be(tmp_path: Path) -> None:
    lines = ["name: few", "dataset:", "  name: iris", "  validation:", "    folds: 121", "objective: val_accuracy"]
    path = tmp_path / "few.yaml"
    path.write_text("\n".join([*lines, "search_space: {model: mlp, parameters: {depth: 1, width: 4}}"]))
    with pytest.raises(
        FileMistakes, match=r"few\.yaml:5: dataset\.validation\.folds: .* 121 folds need as many samples"
    ):
        check(path)
    found = check(path, ["dataset.validation.folds=3", "study.trials=1", "engine.workers=1", "training.epochs=2"])
    cost = found.tried["largest"].cost
    assert cost is not None
    assert found.seconds is not None
    assert found.seconds[1] == pytest.approx(3 * (cost.start_seconds + 2 * cost.epoch_seconds))
    assert found.as_json()["dataset"]["folds"] == 3


def test_the_number_of_folds_does_not_vary(tmp_path: Path) -> None:
    space = {
        "model": "mlp",
        "parameters": {"folds": {"type": "int", "low": 2, "high": 3, "sets": "dataset.validation.folds"}},
    }
    with pytest.raises(FileMistakes, match=r"sets dataset\.validation\.folds, which is the same for all trials"):
        load_plan(tiny(search_space=space), home=tmp_path)
