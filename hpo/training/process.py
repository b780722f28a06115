"""What a process does before and beside training: its compute threads, and asking a model what it declares."""

import logging
from collections.abc import Sequence
from pathlib import Path

import tensorflow as tf

from hpo import models
from hpo.config.declared import Declared
from hpo.data import open_prepared
from hpo.data.adapting import adapting
from hpo.data.dataset import Dataset
from hpo.training.building import compiled_for, uncompiled
from hpo.training.fresh_process import run_fresh
from hpo.training.messages import Job

_LOG = logging.getLogger("hpo")


def limit_threads(count: int) -> None:
    """Sets TensorFlow's compute threads; once TensorFlow has run an operation they stay as they are, which is said."""
    try:
        tf.config.threading.set_intra_op_parallelism_threads(count)
        tf.config.threading.set_inter_op_parallelism_threads(count)
    except RuntimeError:
        # Of sums over other numbers of threads the last bits may differ.
        _LOG.warning(
            "TensorFlow has run in this process before, and keeps its compute threads (%s within an operation, %s "
            "across; 0: as many as cores), not %s as wanted: figures may differ in their last digits",
            tf.config.threading.get_intra_op_parallelism_threads(),
            tf.config.threading.get_inter_op_parallelism_threads(),
            count,
        )


def limit_gpu_memory(limit: int | None) -> None:
    """Has TensorFlow take the memory of GPUs as it comes to need it, or at once a limit in MiB of each, and no more.

    Without this a process takes nearly all memory of every card that it sees.
    """
    for gpu in tf.config.list_physical_devices("GPU"):
        if limit is None:
            tf.config.experimental.set_memory_growth(gpu, True)
        else:
            tf.config.set_logical_device_configuration(gpu, [tf.config.LogicalDeviceConfiguration(memory_limit=limit)])


def discover(model: str, data: str, import_paths: Sequence[str], own_process: bool = False) -> Declared:
    """What a model declares, see `hpo.models.discover`; found as a trial is trained, see `run_fresh`.

    Raises:
        ModelError: the model cannot be found or built.
    """
    dataset = open_prepared(data)

    def explore() -> Declared:
        with adapting(dataset, Path(data)):
            return models.discover(model, dataset.info, import_paths)

    return run_fresh([model], import_paths, own_process, explore)


def examine_prepared(jobs: Sequence[Job], own_process: bool = False) -> None:
    """Examines jobs on their prepared data, as a trial is trained, see `run_fresh`; they differ in parameters alone.

    Raises:
        InvalidModel, NotApplied: see `examine`.
        ModelError: the model cannot be found.
    """
    first = jobs[0]
    dataset, folder = open_prepared(first.data), Path(first.data)
    run_fresh([first.model], first.import_paths, own_process, lambda: examine(jobs, dataset, folder))


def examine(jobs: Sequence[Job], dataset: Dataset, folder: Path | None = None) -> None:
    """Builds and compiles the models of jobs, to find before any trial what no trial could do.

    `folder`: that of the prepared dataset, if it is in one.

    Raises:
        InvalidModel: none of the jobs can be compiled as its training section says.
        NotApplied: a key of the training section has no effect.
    """
    refused: list[models.InvalidModel] = []
    idle: dict[str, None] = {}
    for job in jobs:
        try:
            compiled_for(job, uncompiled(job, dataset, folder), dataset)
        except models.NotApplied as error:
            idle |= dict.fromkeys(str(error).splitlines())
        except models.InvalidModel as error:
            refused.append(error)
        except (Exception, SystemExit):
            # Whatever the user's code raises, a trial says with its traceback.
            continue
    if idle:
        raise models.NotApplied("\n".join(idle))
    if refused and len(refused) == len(jobs):
        raise refused[0]
