"""Makes the engine that an experiment's engine section names, by the table in `hpo.config.engines`."""

import os
from collections.abc import Callable
from importlib import import_module
from pathlib import Path

from hpo.config.engines import ENGINES
from hpo.config.experiment import EngineSpec
from hpo.engines import Engine


def make_engine(spec: EngineSpec, trials: int | None, log: Path) -> Engine:
    """Starts the engine of an experiment, with at most as many workers as trials; `log`: the file of their output."""
    engine = ENGINES[spec.name]
    options = {name: getattr(spec, name) for name in engine.options}
    if "workers" in options:
        workers = count_workers(spec)
        options["workers"] = min(workers, trials or workers)
    module, _, name = engine.import_path.partition(":")
    start: Callable[..., Engine] = getattr(import_module(module), name)
    return start(**options, log=log)


def count_workers(spec: EngineSpec) -> int:
    """The number of trials that an engine trains at a time."""
    if "workers" not in ENGINES[spec.name].options:
        return 1
    return max(1, _cores() // spec.threads_per_worker) if spec.workers == "auto" else spec.workers


def _cores() -> int:
    """The cores that this process may use, which in a container are fewer than the machine has."""
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
