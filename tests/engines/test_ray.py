"""Workers in a real Ray cluster, whose machines are this one: the contract, lost machines, and what travels."""

import os
import signal
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import psutil
import pytest

pytest.importorskip("ray", reason="the extra ray is not installed")

from engine_contract import *  # noqa: F403
from processes import start
from ray_machines import kill, start_cluster
from tiny import ROOT

from hpo.config.experiment import EngineSpec
from hpo.engines.ray import RayEngine
from hpo.engines.ray_cluster import _join, differences
from hpo.engines.ray_probe import probe
from hpo.engines.table import make_engine
from hpo.errors import UserError
from hpo.run import run
from hpo.training.messages import Checkpointed, Checkpoints, EpochDone, Lost, Started


@pytest.fixture(scope="module")
def cluster():
    with start_cluster() as cluster:
        yield cluster


@pytest.fixture(scope="module")
def make(cluster, tmp_path_factory):
    spec = EngineSpec(name="ray", workers=1, cpus_per_trial=0.1, address=cluster.address)
    return lambda: make_engine(spec, 1, tmp_path_factory.mktemp("log") / "workers.log")


def test_a_lost_machine_costs_the_epochs_since_the_last_checkpoint(
    cluster, job_of, await_event, drive, tmp_path, monkeypatch
):
    monkeypatch.setattr("hpo.engines.ray_machines._BEFORE_TOLD", 0.0)
    spec = EngineSpec(name="ray", workers=2, cpus_per_trial=0.6, address=cluster.address)
    engine = make_engine(spec, 9, tmp_path / "workers.log")
    notes = list(engine.notes())
    while engine.workers < 1 or "1 of 2 workers placed; waiting for 1 x 0.6 CPU" not in notes:
        engine.events(0.1)
        notes += engine.notes()
    job = job_of(1, "pausable", epochs=40, checkpoints=Checkpoints(str(tmp_path), seconds=0.0))
    engine.submit(job)
    whole = drive(engine)
    engine.submit(job_of(2, "slow", epochs=999))
    await_event(engine, Started)
    # A machine that joins is used, and gets its own copy of the data and the code.
    second = cluster.join()
    while engine.workers < 2 or "2 of 2 workers placed" not in notes or sum("Python 3" in note for note in notes) < 2:
        engine.events(0.1)
        notes += engine.notes()
    engine.submit(job)
    checkpoint = None
    while checkpoint is None:
        for event in await_event(engine, (EpochDone, Checkpointed)):
            if isinstance(event, EpochDone) and event.epoch < 40:
                engine.proceed(event.trial)
            elif isinstance(event, Checkpointed):
                checkpoint = event.checkpoint
    kill(second)
    (lost,) = [event for event in await_event(engine, Lost) if isinstance(event, Lost)]
    assert (lost.trial, lost.reason) == (1, "lost")
    assert lost.message.endswith("left the cluster")
    assert engine.workers == 1
    engine.kill(2)
    engine.submit(replace(job, resume=checkpoint))
    rest = drive(engine)
    assert rest[0].epochs_done == checkpoint.epochs >= 1
    assert rest[-1] == replace(whole[-1], model_file=None)
    assert isinstance(engine, RayEngine)
    # On the coordinator's machine the data stay where they are.
    here, there = (next(cluster.temporary(number).glob(f"hpo-node-{engine._setup.token}-*")) for number in (0, 1))
    for node, are_links in ((here, True), (there, False)):
        assert len([*node.glob("data-*")]) == len([*node.glob("code-*")]) == 1
        assert {file.is_symlink() for file in node.glob("data-*/*")} == {are_links}
    engine.close()
    assert not here.exists()


TINY = {
    "name": "tiny",
    "dataset": "iris",
    "search_space": {"model": "mlp", "parameters": {"width": {"type": "int", "low": 2, "high": 64}}},
    "objective": "val_loss",
    "training": {"epochs": 2, "batch_size": 32},
    "study": {"sampler": "random", "pruner": "none", "trials": 1},
}


def test_a_study_goes_on_with_any_engine_and_its_trials_are_the_same(cluster, tmp_path):
    serial = run({**TINY, "engine": "serial"}, overrides=["study.trials=2"], home=tmp_path / "serial")
    run({**TINY, "engine": {"address": cluster.address, "cpus_per_trial": 0.1}}, home=tmp_path / "mixed")
    mixed = run({**TINY, "engine": "local"}, overrides=["study.trials=2"], home=tmp_path / "mixed")

    def figures(result):
        return [(trial.params, trial.value, trial.curves["val_loss"], trial.test) for trial in result.trials]

    assert figures(mixed) == figures(serial)
    assert Path(mixed.best.model_file).is_file()


COORDINATOR = """
import sys, time
from pathlib import Path
from hpo.config.experiment import EngineSpec
from hpo.engines.table import make_engine

engine = make_engine(EngineSpec(name="ray", workers=1, cpus_per_trial=0.1, address=sys.argv[1]), 1, Path("log"))
while not engine.workers:
    engine.events(0.1)
print(engine._setup.token, flush=True)
time.sleep(60)
"""


def test_workers_leave_with_a_killed_coordinator(cluster, tmp_path):
    command = [sys.executable, "-c", COORDINATOR, cluster.address]
    process = start(
        command, cwd=tmp_path, env={**os.environ, "PYTHONPATH": str(ROOT)}, text=True, stdout=subprocess.PIPE
    )
    token = process.stdout.readline().strip()
    workers = [one for one in psutil.process_iter() if _is_of(one, token)]
    assert len(workers) >= 1
    os.kill(process.pid, signal.SIGKILL)
    process.wait()
    process.stdout.close()
    _, alive = psutil.wait_procs(workers, timeout=10)
    assert alive == []


def _is_of(process, token):
    """Whether a process has a file of a run's workers open."""
    try:
        return any(f"hpo-node-{token}" in file.path for file in process.open_files())
    except psutil.Error:
        return False


def test_machines_that_cannot_train_are_named():
    here = probe()
    assert differences(here) == []
    assert differences({**here, "TensorFlow": "2.19.0", "Python": "3.12.1", "hpo": "0123"}) == [
        f"Python 3.12.1, not {here['Python']}",
        f"TensorFlow 2.19.0, not {here['TensorFlow']}",
        "its hpo has other code than this one",
    ]
    assert differences({**here, "hpo": "missing", "Keras": "missing"}) == ["Keras is missing", "hpo is missing"]


@pytest.mark.parametrize(
    ("address", "message"),
    [
        ("127.0.0.1:1", r"no Ray cluster can be reached at 127\.0\.0\.1:1: .*refused"),
        ("ray://there:10001", "must be HOST:PORT or auto"),
        ("there", "must be HOST:PORT as `ray start` prints it, or auto, got 'there'"),
    ],
)
def test_an_address_without_a_cluster(address, message):
    with pytest.raises(UserError, match=message):
        _join(address, {})
