"""The table of engines, by the names that experiment files use."""

import os
from pathlib import Path

from hpo.config.experiment import EngineSpec
from hpo.engines import Engine


def make_engine(spec: EngineSpec, trials: int | None, log: Path) -> Engine:
    """Starts the engine of an experiment; never more workers than trials. `log` takes what workers print."""
    if spec.name == "serial":
        from hpo.engines.serial import SerialEngine

        return SerialEngine(spec.threads_per_worker)
    from hpo.engines.local import LocalEngine

    workers = count_workers(spec)
    return LocalEngine(min(workers, trials or workers), spec.threads_per_worker, log)


def count_workers(spec: EngineSpec) -> int:
    """How many trials an engine trains at a time."""
    if spec.name == "serial":
        return 1
    return max(1, _cores() // spec.threads_per_worker) if spec.workers == "auto" else spec.workers


def _cores() -> int:
    """The cores that this process may use, which in a container are fewer than the machine has."""
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
