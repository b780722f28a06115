"""A worker or a coordinator is killed in the middle of a trial, which goes on from its checkpoint: the same curves."""

import json
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
from hpo.study.read import read_study
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


def wait_for_checkpoint(home: Path) -> None:
    end = time.monotonic() + 120
    while not checkpoint_file.found_in(home / "checkpoints" / "long"):
        assert time.monotonic() < end
        time.sleep(0.02)


def seconds_so_far(home: Path) -> list[float]:
    """What the epochs of the latest checkpoint took: no epoch that is trained again takes as long."""
    ((latest, *_),) = checkpoint_file.found_in(home / "checkpoints" / "long").values()
    found: list[float] = checkpoint_file.read_state(Path(latest.file))["curves"]["seconds"]
    return found


@pytest.fixture(scope="module")
def whole(tmp_path_factory):
    home = tmp_path_factory.mktemp("whole") / "home"
    hpo.run(EXPERIMENT, home=home)
    assert not (home / "checkpoints").exists()
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


def test_a_trial_goes_on_where_its_worker_was_killed(whole, tmp_path):
    home, before = tmp_path / "home", []

    def kill() -> None:
        wait_for_checkpoint(home)
        (worker,) = psutil.Process(forkserver._forkserver._forkserver_pid).children()  # type: ignore[attr-defined]
        worker.kill()
        before.extend(seconds_so_far(home))

    killer = threading.Thread(target=kill)
    killer.start()
    hpo.run(EXPERIMENT, home=home)
    killer.join()
    assert_whole(home, before, whole)


def assert_whole(home: Path, before: list[float], whole: dict[str, list[float]]) -> None:
    """What was trained before was not trained again, and nobody sees that the trial was interrupted."""
    assert before
    found = curves(home)
    assert found.pop("seconds")[: len(before)] == before
    assert found == whole
    assert not (home / "checkpoints").exists()
