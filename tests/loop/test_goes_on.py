"""A worker or a coordinator is killed in the middle of a trial, which goes on from its checkpoint: the same curves."""

import json
import os
import signal
import subprocess
import sys
import time
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
    while not checkpoint_file.found_in(home / "checkpoints" / "long"):
        assert process.poll() is None, process.stdout and process.stdout.read()
        time.sleep(0.02)
    return process


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


@pytest.mark.parametrize("ending", ["worker", "coordinator", "ctrl-c"])
def test_a_trial_goes_on_where_it_was_killed(whole, tmp_path, ending):
    home = tmp_path / "home"
    process = begun(home)
    if ending == "worker":
        server = next(child for child in psutil.Process(process.pid).children() if child.children())
        os.kill(server.children()[0].pid, signal.SIGKILL)
        before = seconds_so_far(home)
        process.communicate()
    else:
        os.kill(process.pid, signal.SIGKILL if ending == "coordinator" else signal.SIGINT)
        process.communicate()
        before = seconds_so_far(home)
        hpo.run(EXPERIMENT, home=home)
    found = curves(home)
    assert found.pop("seconds")[: len(before)] == before
    assert found == whole
    assert not (home / "checkpoints").exists()
