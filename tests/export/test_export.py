"""Exporting: which trial and why, files that come back as they were, and what is refused before anything is made."""

from dataclasses import replace
from io import StringIO
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from rich.console import Console
from studies import Log
from tiny import Command

from hpo.cli.train_output import print_retrained, retrained_json, trained_again
from hpo.errors import NotFound, UserError
from hpo.export.export import Targets, Which, choose, export
from hpo.export.predict import predict
from hpo.export.retrain import Retrained, retrain_all, runs_of
from hpo.plan.exported_file import exported_of, read_exported, write_exported
from hpo.study.confirmation import Confirmation, Estimate, Finalist
from hpo.study.failure import Failure
from hpo.study.read import StudyView, read_study


@pytest.fixture
def view(finished: Path) -> StudyView:
    return read_study(f"sqlite:///{finished / 'optuna.db'}", "tiny")


def finalist(trial: int, mean: float) -> Finalist:
    estimate = Estimate(mean=mean, deviation=0.01, low=mean - 0.01, high=mean + 0.01, seeds=3)
    return Finalist(
        trial=trial, searched=0.9, values={1: mean, 2: mean + 0.01, 3: mean - 0.01}, validation=estimate, p_value=None,
        tied=True, model_parameters=100, seconds=1.0,
    )  # fmt: skip


@pytest.fixture
def confirmed(view: StudyView) -> StudyView:
    """The study with trial 4 as the confirmed choice."""
    test = {"accuracy": Estimate(mean=0.7, deviation=0.02, low=0.65, high=0.75, seeds=3)}
    finalists = (finalist(2, 0.81), finalist(4, 0.8))
    found = Confirmation(metric="val_accuracy", finalists=finalists, chosen=4, noise_floor=0.012, test=test)
    return replace(view, confirmation=found)


def test_the_confirmed_choice_is_the_default_once_there_is_one(view: StudyView, confirmed: StudyView) -> None:
    best = max(view.trials, key=lambda trial: trial.value or 0)
    trial, why = choose(view, Which())
    assert trial.number == best.number
    assert f"trial {best.number}, the best single run of 6: val_accuracy" in why
    assert "hpo confirm tiny says how much of that is luck" in why
    trial, why = choose(confirmed, Which())
    assert trial.number == 4
    assert why == "trial 4, the confirmed choice: val_accuracy 0.8000 (0.7900 to 0.8100 at 95%)"
    trial, why = choose(confirmed, Which(confirmed=False))
    assert trial.number == best.number
    assert why.endswith("; the confirmed choice is trial 4")
    assert choose(confirmed, Which(trial=1))[0].number == 1


def test_a_choice_that_cannot_be_made(view: StudyView) -> None:
    with pytest.raises(UserError, match="study tiny was not confirmed: hpo confirm tiny, or leave out --confirmed"):
        choose(view, Which(confirmed=True))
    with pytest.raises(UserError, match="--trial and --confirmed exclude each other"):
        choose(view, Which(trial=1, confirmed=True))
    with pytest.raises(NotFound, match="has no trial 99; its trials are 0 to 5"):
        choose(view, Which(trial=99))
    failed = replace(view.trials[0], state="failed", value=None, failure=Failure("nonfinite"))
    with pytest.raises(UserError, match="trial 0 of study tiny has no score: it is nonfinite"):
        choose(replace(view, trials=[failed]), Which(trial=0))


@pytest.mark.parametrize("name", ["best.yaml", "best.json"])
def test_an_exported_file_has_the_confirmation_and_is_read_back_unchanged(
    confirmed: StudyView, tmp_path: Path, name: str
) -> None:
    trial = choose(confirmed, Which())[0]
    write_exported(confirmed, trial, tmp_path / name)
    file = read_exported(tmp_path / name)
    # Where user code and relative paths are looked for is the file's own folder as well.
    assert replace(file, plan=exported_of(confirmed, trial).plan) == exported_of(confirmed, trial)
    assert (file.study, file.trial, file.parameters, file.seed) == ("tiny", 4, trial.params, trial.seed)
    assert file.confirmed is not None
    assert (file.confirmed.chosen, file.confirmed.noise_floor) == (True, 0.012)
    assert file.confirmed.validation == finalist(4, 0.8).validation
    assert file.confirmed.test["accuracy"].mean == 0.7
    assert [path.name for path in tmp_path.iterdir()] == [name]


def test_the_test_score_of_those_that_were_not_chosen_stays_unseen(confirmed: StudyView) -> None:
    other = exported_of(confirmed, confirmed.trials[2]).confirmed
    assert other is not None
    assert (other.chosen, other.test) == (False, {})
    assert other.validation == finalist(2, 0.81).validation


@pytest.mark.parametrize(
    ("targets", "message"),
    [
        (Targets(), "nothing to export: name --to best.yaml, best.json or best.py"),
        (Targets(to=Path("best.txt")), r"best\.txt: must end in \.yaml or \.yml or \.json or \.py"),
        (Targets(model=Path("best.h5")), r"best\.h5: must end in \.keras"),
        (Targets(to=Path("no/such/best.yaml")), "there is no folder .*no/such; create it first"),
    ],
)
def test_unwritable_targets_are_refused_before_anything_is_written(
    finished: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, targets: Targets, message: str
) -> None:
    monkeypatch.chdir(tmp_path)
    with pytest.raises(UserError, match=message):
        list(export("tiny", targets, home=finished))
    assert list(tmp_path.iterdir()) == []


def test_further_seeds_stand_beside_the_same_curve_again(view: StudyView, tmp_path: Path) -> None:
    trial = choose(view, Which())[0]
    write_exported(view, trial, tmp_path / "best.json")
    file = read_exported(tmp_path / "best.json")
    log = Log([], [])
    runs = retrain_all(file.plan, file.parameters, runs_of(file, 3), [log])
    assert len({run.seed for run in runs}) == 3
    assert sorted(run.seed for run in log.ended) == sorted(run.seed for run in runs)
    own, *others = runs
    assert own.seed == trial.seed
    # Bit for bit, but for the time that it took.
    assert {name: curve for name, curve in own.curves.items() if name != "seconds"} == {
        name: list(curve) for name, curve in trial.curves.items() if name != "seconds"
    }
    assert own.test == trial.test
    assert all(run.curves["loss"] != own.curves["loss"] for run in others)

    told = retrained_json(file, runs)
    values = [run.value for run in runs]
    assert told["mean"]["val_accuracy"] == pytest.approx(np.mean(values))
    assert told["deviation"]["val_accuracy"] == pytest.approx(np.std(values, ddof=1))
    assert told["scores"]["val_accuracy"] == {"exported": trial.value, "trained_again": trial.value}
    assert (told["same_data"], len(told["runs"])) == (True, 3)
    with StringIO() as out:
        print_retrained(Console(file=out, width=150), file, runs)
        lines = [line.split() for line in out.getvalue().splitlines()[2:8]]
    assert [line[0] for line in lines] == ["exported", "trained", "trained", "trained", "mean", "deviation"]


def test_a_stopped_trial_that_was_confirmed_is_no_part_of_the_mean(confirmed: StudyView) -> None:
    trial = replace(confirmed.trials[2], ended_by="pruner")
    file = exported_of(confirmed, trial)
    assert (file.stopped_after, file.limit) == (trial.epochs, None)
    assert [run.epochs for run in runs_of(file, 3)] == [trial.epochs, None, None]
    runs = [Retrained("d", seed, 1, value) for seed, value in enumerate((0.1, 0.7, 0.9))]
    assert retrained_json(file, runs)["mean"]["val_accuracy"] == pytest.approx(0.8)
    other = exported_of(replace(confirmed, confirmation=None), trial)
    assert [run.epochs for run in runs_of(other, 2)] == [trial.epochs, trial.epochs]
    assert retrained_json(other, runs)["mean"]["val_accuracy"] == pytest.approx(0.5666667)


def test_a_model_of_another_kind_is_refused_before_training(view: StudyView, tmp_path: Path) -> None:
    file = exported_of(view, view.trials[0])
    with pytest.raises(UserError, match=r"again\.h5: must end in \.keras"):
        trained_again(Console(), file, 1, tmp_path / "again.h5")
    with pytest.raises(UserError, match="there is no folder"):
        trained_again(Console(), file, 1, tmp_path / "none" / "again.keras")


def test_a_registered_model_predicts_and_leads_back(command: Command, finished: Path, tmp_path: Path) -> None:
    from mlflow import MlflowClient
    from mlflow.models import Model
    from sklearn.datasets import load_digits

    lines = list(export("tiny", Targets(register="digits"), home=finished))
    assert "models:/digits@champion: version 1, the model of trial" in lines[1]
    digits = load_digits()
    np.save(tmp_path / "some.npy", digits.images[:50].astype(np.uint8))
    told = command("predict", "models:/digits@champion", "some.npy", "-o", "out.csv", "--home", finished)
    assert (told.returncode, told.stdout, told.stderr) == (0, "", "")
    table = pd.read_csv(tmp_path / "out.csv")
    assert list(table) == ["class", *(f"probability_{digit}" for digit in range(10))]
    np.testing.assert_allclose(table.drop(columns="class").sum(axis=1), 1, atol=1e-4)
    best = max(
        read_study(f"sqlite:///{finished / 'optuna.db'}", "tiny").trials,
        key=lambda trial: (trial.value or 0, -trial.number),
    )
    assert (table["class"] == digits.target[:50]).mean() > (best.value or 0) - 0.3

    client = MlflowClient(f"sqlite:///{finished / 'mlflow.db'}")
    version = client.get_model_version_by_alias("digits", "champion")
    assert version.tags["hpo.trial"] == str(best.number)
    assert version.tags["hpo.data_digest"] == best_digest(finished)
    run = client.get_run(version.run_id)
    assert run.info.run_name == f"trial-{best.number:04}"
    place = client.get_model_version_download_uri("digits", version.version).removeprefix("file://")
    info = Model.load(str(Path(place, "MLmodel")))
    assert [(spec.type.name, spec.shape) for spec in info.signature.inputs] == [("float32", (-1, 8, 8, 1))]
    assert info.saved_input_example_info["type"] == "ndarray"
    requirements = Path(place, "requirements.txt").read_text()
    assert "keras==" in requirements

    with pytest.raises(NotFound, match=r"models:/nothing@champion: not found in .*; registered models: digits"):
        predict("models:/nothing@champion", tmp_path / "some.npy", home=finished)


def best_digest(home: Path) -> str:
    view = read_study(f"sqlite:///{home / 'optuna.db'}", "tiny")
    return str(view.identity["dataset"]["digest"])
