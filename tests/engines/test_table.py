"""The table of engines."""

import os

from hpo.config.experiment import EngineSpec
from hpo.engines.local import LocalEngine
from hpo.engines.serial import SerialEngine
from hpo.engines.table import count_workers, make_engine


def test_workers_are_as_many_as_the_cores_allow():
    cores = len(os.sched_getaffinity(0))
    assert count_workers(EngineSpec()) == cores
    assert count_workers(EngineSpec(threads_per_worker=2 * cores)) == 1
    assert count_workers(EngineSpec(workers=5)) == 5
    assert count_workers(EngineSpec(name="serial", workers=5)) == 1


def test_there_are_never_more_workers_than_trials(tmp_path):
    engine = make_engine(EngineSpec(workers=3), 1, tmp_path / "workers.log")
    assert isinstance(engine, LocalEngine)
    assert engine.workers == len(engine.pids()) == 1
    engine.close()


def test_the_serial_engine_has_one_worker(tmp_path):
    engine = make_engine(EngineSpec(name="serial"), None, tmp_path / "workers.log")
    assert isinstance(engine, SerialEngine)
    assert engine.workers == 1
    engine.close()
