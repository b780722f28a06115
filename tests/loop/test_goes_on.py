"""A worker or a coordinator is killed in the middle of a trial, which goes on from its checkpoint: the same curves."""

import json
import shutil
import signal
import subprocess
import sys
import threading
import time
from multiprocessing import forkserver
from pathlib import Path

import psutil
import pytest
from tiny import tiny

import hpo
from hpo.study.read import confirming_runs, read_study
from hpo.training import checkpoint_file

EXPERIMENT = tiny(
    name="long",
    dataset={"name": "digits", "limit": 400},
    search_space={"model": "mlp", "parameters": {"depth": 2, "width": 24, "dropout": 0.2}},
    training={"epochs": 25, "batch_size": 4, "early_stopping": False},
    study={"trials": 1, "sampler": "random", "checkpoints": {"seconds": 0.05}},
    engine={"workers": 1},
)


def curves(home: Path) -> dict[str, list[float]]:
    """The curves of the last trial, all of whose attempts before it have failed."""
    *failed, last = read_study(f"sqlite:///{home / 'optuna.db'}", "long").trials
    assert last.state == "complete"
    assert {trial.state for trial in failed} <= {"failed"}
    assert last.attempt == len(failed)
    return {name: list(curve) for name, curve in last.curves.items()}


def begun(home: Path) -> subprocess.Popen[str]:
    """A run of the experiment in a process of its own, once its trial has left a checkpoint."""
    file = home.with_suffix(".yaml")
    file.write_text(json.dumps(EXPERIMENT))
    command = [sys.executable, "-m", "hpo", "run", str(file), "--home", str(home)]
    process = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True)
    wait_for_checkpoint(home)
    return process


def wait_for_checkpoint(home: Path, study: str = "long") -> None:
    end = time.monotonic() + 300
    while not checkpoint_file.found_in(home / "checkpoints" / study):
        assert time.monotonic() < end
        time.sleep(0.02)


def seconds_so_far(home: Path) -> list[float]:
    """What the epochs of the latest checkpoint took: no epoch that is trained again takes as long."""
    ((latest, *_),) = checkpoint_file.found_in(home / "checkpoints" / "long").values()
    found: list[float] = checkpoint_file.read_state(Path(latest.file))["curves"]["seconds"]
    return found


@pytest.fixture(scope="module")
def searched(tmp_path_factory):
    home = tmp_path_factory.mktemp("whole") / "home"
    hpo.run(EXPERIMENT, home=home)
    assert_only_the_last_epoch_is_kept(home)
    return home


@pytest.fixture(scope="module")
def whole(searched):
    home = searched
    return {name: curve for name, curve in curves(home).items() if name != "seconds"}


@pytest.mark.parametrize("signum", [signal.SIGKILL, signal.SIGINT])
def test_a_trial_goes_on_where_its_coordinator_was_ended(whole, tmp_path, signum):
    home = tmp_path / "home"
    process = begun(home)
    process.send_signal(signum)
    process.communicate()
    before = seconds_so_far(home)
    hpo.run(EXPERIMENT, home=home)
    assert_whole(home, before, whole)


def kill_worker(home: Path, study: str = "long") -> None:
    wait_for_checkpoint(home, study)
    (worker,) = psutil.Process(forkserver._forkserver._forkserver_pid).children()  # type: ignore[attr-defined]
    worker.kill()


def test_a_trial_goes_on_where_its_worker_was_killed(whole, tmp_path):
    home, before = tmp_path / "home", []

    def kill() -> None:
        kill_worker(home)
        before.extend(seconds_so_far(home))

    killer = threading.Thread(target=kill)
    killer.start()
    hpo.run(EXPERIMENT, home=home)
    killer.join()
    assert_whole(home, before, whole)


def test_a_confirming_run_goes_on_where_its_worker_was_killed(searched, tmp_path):
    homes = [Path(shutil.copytree(searched, tmp_path / name)) for name in ("whole", "killed")]
    killer = threading.Thread(target=kill_worker, args=(homes[1], "long@confirm"))
    found = []
    for home in homes:
        if home is homes[1]:
            killer.start()
        # The seeds of one split might train as one program.
        hpo.confirm("long", 1, 2, splits=True, home=home)
        runs = confirming_runs(f"sqlite:///{home / 'optuna.db'}", "long")
        found.append({run.seed: {**run.curves, "seconds": ()} for run in runs if run.state == "complete"})
    killer.join()
    failed = [run for run in runs if run.state == "failed"]
    retried = next(run for run in runs if run.attempt)
    assert [run.reason for run in failed] == ["killed"]
    assert failed[0].curves["seconds"][:1] == retried.curves["seconds"][:1]
    assert found[0] == found[1]
    assert [folder.name for folder in (homes[1] / "checkpoints").iterdir()] == ["long"]


def assert_whole(home: Path, before: list[float], whole: dict[str, list[float]]) -> None:
    """What was trained before was not trained again, and nobody sees that the trial was interrupted."""
    assert before
    found = curves(home)
    assert found.pop("seconds")[: len(before)] == before
    assert found == whole
    assert_only_the_last_epoch_is_kept(home)


def assert_only_the_last_epoch_is_kept(home: Path) -> None:
    """From there the trial goes on if its study is given more epochs."""
    ((kept,),) = checkpoint_file.found_in(home / "checkpoints" / "long").values()
    assert kept.epochs == EXPERIMENT["training"]["epochs"]
