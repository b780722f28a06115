"""Makes the engine that an experiment's engine section names, by the table in `hpo.config.engines`."""

from collections.abc import Callable
from importlib import import_module
from pathlib import Path

from hpo.config.engines import ENGINES
from hpo.config.experiment import EngineSpec
from hpo.engines import Engine
from hpo.engines.gpus import gpus_of_machine, shares
from hpo.errors import UserError
from hpo.system.cores import usable_cores


def make_engine(spec: EngineSpec, trials: int | None, log: Path) -> Engine:
    """Starts the engine of an experiment, with at most as many workers as trials; `log`: the file of their output.

    Raises:
        UserError: what the engine needs is not installed, or there are too few GPUs.
    """
    known = ENGINES[spec.name]
    options = {name: getattr(spec, name) for name in known.options}
    if not known.counts_cores:
        options["trials"] = trials
    elif "workers" in options:
        workers = count_workers(spec)
        options["workers"] = min(workers, trials or workers)
    module, _, name = known.import_path.partition(":")
    try:
        start: Callable[..., Engine] = getattr(import_module(module), name)
    except ModuleNotFoundError as error:
        if known.extra is None:
            raise
        raise UserError(
            f"engine: {spec.name} needs {error.name}, which is not installed: pip install 'keras-hpo[{known.extra}]'"
        ) from None
    return start(**options, log=log)


def count_workers(spec: EngineSpec) -> int:
    """The number of trials that an engine trains at a time; 1 where only a cluster knows.

    Raises:
        UserError: it wants GPUs, and there are none.
    """
    known = ENGINES[spec.name]
    if "workers" not in known.options:
        return 1
    if spec.workers != "auto":
        return spec.workers
    if not known.counts_cores:
        return 1
    cores = max(1, usable_cores() // spec.threads_per_worker)
    # Where there is no card to be used, all cores train.
    return len(shares(gpus_of_machine(), None, spec.gpus_per_trial)) or cores
