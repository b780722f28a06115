"""Data that travel to another machine of a real Ray cluster: images that stay on disk, machines without room."""

import os
import re
import shutil
import time
from pathlib import Path

import pytest

pytest.importorskip("ray", reason="the extra ray is not installed")

from image_folders import write_parts
from ray._private.internal_api import memory_summary
from ray_machines import start_cluster

from hpo.config.experiment import DatasetSpec, EngineSpec
from hpo.data import load, save
from hpo.engines.table import make_engine
from hpo.errors import HpoError
from hpo.run import run


@pytest.fixture(scope="module")
def cluster():
    """The coordinator's machine has one CPU, the other one two."""
    with start_cluster() as cluster:
        cluster.join(cpus=2)
        yield cluster


@pytest.fixture
def images(tmp_path, monkeypatch):
    """Images that stay on disk, in a folder whose file of them can be made larger."""
    monkeypatch.setenv("HPO_CACHE", str(tmp_path / "cache"))
    return {"path": str(write_parts(tmp_path / "parts")), "memory_limit": 1e-6, "shuffle_window": 24}


def grow(tmp_path, size):
    """Makes the files of images larger, by what none of them needs and no disk holds."""
    for file in (tmp_path / "cache").rglob("images.npy"):
        os.truncate(file, size)


@pytest.fixture
def prepared(images, tmp_path):
    folder = tmp_path / "data"
    save(load(DatasetSpec(**images), []), folder)
    return str(folder)


def engine_of(cluster, cpus, workers=1):
    spec = EngineSpec(name="ray", workers=workers, cpus_per_trial=cpus, address=cluster.address)
    return make_engine(spec, None, Path("workers.log"))


def folders(cluster, number):
    """The folders of runs on a machine."""
    return [*cluster.temporary(number).glob("hpo-node-*")]


def await_none_left(cluster):
    """Fails if folders of runs stay on the other machine."""
    deadline = time.monotonic() + 20
    while folders(cluster, 1):
        assert time.monotonic() < deadline
        time.sleep(0.1)


def test_images_that_stay_on_disk_travel_in_pieces_and_train_as_here(cluster, images, tmp_path):
    experiment = {
        "name": "images",
        "dataset": images,
        "search_space": {"model": "cnn", "parameters": {"filters": {"type": "int", "low": 2, "high": 4}}},
        "objective": "val_loss",
        "training": {"epochs": 2, "batch_size": 20},
        "study": {"sampler": "random", "pruner": "none", "trials": 1},
    }
    serial = run({**experiment, "engine": "serial"}, home=tmp_path / "serial")
    grow(tmp_path, 150_000_000)
    # Two CPUs has only the other machine.
    engine = {"name": "ray", "address": cluster.address, "workers": 1, "cpus_per_trial": 2}
    ray = run({**experiment, "engine": engine}, home=tmp_path / "ray")

    def figures(result):
        return [(trial.value, trial.curves["val_loss"], trial.test) for trial in result.trials]

    assert figures(ray) == figures(serial)
    used = memory_summary(address=cluster.address, stats_only=True)
    assert "Spilled" not in used, used
    await_none_left(cluster)


def test_variants_of_a_dataset_share_one_copy_of_its_images(cluster, prepared, tmp_path):
    shutil.copytree(prepared, other := tmp_path / "other", symlinks=True)
    engine = engine_of(cluster, 2)
    try:
        for data in (prepared, str(other)):
            engine.expect(data, [])
            while engine.workers < 1:
                engine.events(0.1)
        (node,) = folders(cluster, 1)
        copies = [node / f"data-{number}" for number in (0, 1)]
        for names in zip(*(sorted(copy.iterdir()) for copy in copies), strict=True):
            assert names[0].samefile(names[1]) == names[0].name.startswith("images_")
    finally:
        engine.close()


def test_a_machine_without_room_for_the_data_is_left_out(cluster, prepared, tmp_path):
    grow(tmp_path, shutil.disk_usage(tmp_path).free + 10**12)
    engine = engine_of(cluster, 0.6, workers=3)
    try:
        engine.expect(prepared, [])
        notes: list[str] = []
        while engine.workers < 1 or not any("cannot train" in note for note in notes):
            engine.events(0.1)
            notes += engine.notes()
        (note,) = [note for note in notes if "cannot train" in note]
        assert re.match(r"a machine of the cluster cannot train: [\d.]+ \(.+\): the data need 1", note)
        assert f"GB are free in {cluster.temporary(1)}; engine.runtime_env: {{env_vars: {{TMPDIR: FOLDER}}}}" in note
        await_none_left(cluster)
    finally:
        engine.close()
    engine = engine_of(cluster, 2)
    try:
        engine.expect(prepared, [])
        with pytest.raises(
            HpoError, match=r"^no machine of the cluster can train; once one can, .*:\n  .* the data need"
        ):
            all(engine.events(0.1) == [] for _ in range(600))
    finally:
        engine.close()


def test_a_run_that_ends_while_data_are_on_their_way_deletes_them(cluster, prepared, tmp_path):
    grow(tmp_path, shutil.disk_usage(tmp_path).free // 2)
    engine = engine_of(cluster, 1, workers=3)
    try:
        engine.expect(prepared, [])
        # A worker that is not known to be placed is not asked to leave.
        while engine._placed < 3 or not on_their_way(cluster):
            engine.events(0.1)
    finally:
        engine.close()
    assert not on_their_way(cluster)


def on_their_way(cluster):
    return [*cluster.temporary(1).glob("hpo-node-*/.new-*/**/*.part")]
