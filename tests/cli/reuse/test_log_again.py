"""A whole study logged to another MLflow: the same runs, once; real stores, scripted training."""

import json
import shutil
from pathlib import Path
from typing import Any

import optuna
import pytest
from tiny import Command
from told_study import EXPERIMENT, tell

from hpo.cli.reuse.extend import Options, extend
from hpo.cli.reuse.log_again import log_again
from hpo.errors import StudyBusy, UserError
from hpo.storage.lock import sole_coordinator
from hpo.study.attributes import CONFIRMS, DATA, JOB
from hpo.study.read import known_study, read_study
from hpo.tracking.lookup import find_study


@pytest.fixture(scope="module")
def store(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A home folder with the study, and no MLflow."""
    home = tmp_path_factory.mktemp("store")
    tell(home)
    return home


@pytest.fixture
def home(store: Path, tmp_path: Path, empty_database: Path) -> Path:
    shutil.copytree(store, tmp_path / "home")
    (tmp_path / "other").mkdir()
    for folder in ("home", "other"):
        shutil.copy(empty_database, tmp_path / folder / "mlflow.db")
    return tmp_path / "home"


def look(folder: Path) -> dict[str, Any]:
    """All that plain MLflow finds, run by run; without the moment at which the study's run ended."""
    from mlflow import MlflowClient

    client = MlflowClient(f"sqlite:///{folder}/mlflow.db")
    experiment = client.get_experiment_by_name("told")
    found = {}
    for one in client.search_runs([experiment.experiment_id]):
        points = {
            name: sorted(
                (point.step, point.value, point.timestamp) for point in client.get_metric_history(one.info.run_id, name)
            )
            for name in one.data.metrics
        }
        files = {file.path for file in client.list_artifacts(one.info.run_id)}
        data = [entry.dataset.digest for entry in one.inputs.dataset_inputs]
        found[one.info.run_name] = (
            one.info.run_id,
            one.info.status,
            one.data.params,
            one.data.tags,
            points,
            files,
            data,
        )
    return found


def test_twice_gives_the_same_as_once(home: Path, tmp_path: Path) -> None:
    uri = f"sqlite:///{tmp_path}/other/mlflow.db"
    told = log_again("told", uri, home=home)
    assert (told.trials, told.confirming_runs, told.repaired) == (5, 4, 9)
    once = look(tmp_path / "other")
    assert len(once) == 1 + 5 + 4
    again = log_again("told", uri, home=home)
    assert again.repaired == 0
    assert look(tmp_path / "other") == once
    found = find_study(uri, "told")
    assert found is not None
    assert (found.trials, found.confirmation) == ("hpo-trials-told", "hpo-confirmation-told")

    view = read_study(f"sqlite:///{home}/optuna.db", "told")
    _, status, params, tags, points, files, data = once["told"]
    assert (status, tags["hpo.role"], tags["hpo.version"]) == ("FINISHED", "study", view.versions["hpo"])
    assert "Best: trial" in tags["mlflow.note.content"]
    assert {"experiment.yaml", "search_space.yaml", "best.yaml"} <= files
    assert params["training.epochs"] == "3"
    assert len(data) == 3
    assert view.confirmation is not None
    assert points["noise_floor"][0][1] == view.confirmation.noise_floor
    for trial in view.trials:
        _, status, params, tags, points, files, _ = once[f"trial-{trial.number:04}"]
        assert tags["hpo.state"] == trial.state
        assert params["seed"] == str(trial.seed)
        assert params["width"] == str(trial.params["width"])
        for name, curve in trial.curves.items():
            assert [point[:2] for point in points[name]] == list(enumerate(curve, 1))
    assert once["trial-0001"][1] == "FAILED"
    assert sum(tags["hpo.role"] == "confirm" for _, _, _, tags, *_ in once.values()) == 4


def test_missing_runs_are_logged_and_the_rest_is_left_alone(home: Path) -> None:
    """By default in the study's own store; here as a server that died between two runs leaves it."""
    from mlflow import MlflowClient

    log_again("told", home=home)
    before = look(home)
    client = MlflowClient(f"sqlite:///{home}/mlflow.db")
    client.set_terminated(before["trial-0003"][0], "RUNNING")
    client.set_tag(before["trial-0003"][0], "hpo.state", "running")
    told = log_again("told", home=home)
    assert told.repaired == 1
    assert look(home) == before


def test_runs_that_a_kill_left_running_are_ended(home: Path) -> None:
    """A trial, a confirming run, and the study's own run."""
    from mlflow import MlflowClient

    url = f"sqlite:///{home}/optuna.db"
    for study, begin in (("told", {"config": {"width": 3}, "seed": 1}), ("told@confirm", {"config": {}, "seed": 2})):
        known = optuna.load_study(study_name=study, storage=url)
        number = known.ask().number
        storage = known._storage
        trial_id = storage.get_trial_id_from_study_id_trial_number(known._study_id, number)
        storage.set_trial_user_attr(trial_id, JOB, begin)
        if study != "told":
            storage.set_trial_user_attr(trial_id, CONFIRMS, {"trial": 3, "ordinal": 2})
    log_again("told", home=home)
    killed = look(home)
    assert (killed["told"][1], killed["trial-0005"][1], killed["confirm-0003-seed-2"][1]) == ("KILLED",) + (
        "FAILED",
    ) * 2
    assert killed["trial-0005"][3]["hpo.failure"] == "lost"
    client = MlflowClient(f"sqlite:///{home}/mlflow.db")
    ended = client.get_run(killed["told"][0]).info.end_time
    log_again("told", home=home)
    assert (look(home), client.get_run(killed["told"][0]).info.end_time) == (killed, ended)
    client.set_terminated(killed["told"][0], "FAILED", ended + 1)
    log_again("told", home=home)
    assert look(home)["told"][1] == "FAILED", "MLflow saw the end, and knows better"


def test_the_link_of_an_extended_study_is_logged_from_either_side(home: Path) -> None:
    log_again("told", home=home)
    extend("told", EXPERIMENT | {"name": "wider"}, Options(home=home))
    assert look(home)["told"][3]["hpo.extended_by"] == "wider"
    log_again("wider", home=home)
    from mlflow import MlflowClient

    client = MlflowClient(f"sqlite:///{home}/mlflow.db")
    experiment = client.get_experiment_by_name("wider").experiment_id
    tags = [one.data.tags for one in client.search_runs([experiment])]
    assert {one.get("hpo.extends") for one in tags if one["hpo.role"] == "study"} == {"told"}
    sources = {one.get("hpo.source") for one in tags if one["hpo.role"] == "trial"}
    assert sources == {f"trial {number} of told" for number in range(5)}


def test_a_study_that_cannot_be_logged_gets_a_message(home: Path, tmp_path: Path) -> None:
    url = f"sqlite:///{home}/optuna.db"
    with pytest.raises(UserError, match=r"MLflow store http://127\.0\.0\.1:9 cannot be opened"):
        log_again("told", "http://127.0.0.1:9", home=home)
    with pytest.raises(UserError, match=r"postgresql://me:\*\*\*@127\.0\.0\.1:9/x cannot be opened"):
        log_again("told", "postgresql://me:secret@127.0.0.1:9/x", home=home)
    with sole_coordinator(url, "told"), pytest.raises(StudyBusy):
        log_again("told", home=home)
    study = known_study(url, "told")
    study.set_user_attr(DATA, {})
    with pytest.raises(UserError, match="an older hpo began it; run its experiment once more with hpo run"):
        log_again("told", home=home)


def test_the_command_reports_how_many_runs_it_repaired(home: Path, tmp_path: Path, command: Command) -> None:
    told = command("log", "told", "--tracking-uri", f"sqlite:///{tmp_path}/other/mlflow.db", "--home", home, "--json")
    assert told.returncode == 0, told.stderr
    assert json.loads(told.stdout)["repaired"] == 9
    assert (tmp_path / "other" / "artifacts").is_dir()
    wrong = command("log", "tolt", "--home", home)
    assert (wrong.returncode, "no study 'tolt'" in wrong.stderr) == (2, True)
