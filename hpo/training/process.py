"""What a process does before and beside training: its compute threads, and asking a model what it declares."""

import logging
from collections.abc import Sequence

import tensorflow as tf

from hpo import models
from hpo.config.declared import Declared
from hpo.data import open_prepared
from hpo.data.dataset import DatasetInfo
from hpo.training.compiled_model import adopt_training
from hpo.training.compiling import compile_model
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


def discover(model: str, data: str, import_paths: Sequence[str], own_process: bool = False) -> Declared:
    """What a model declares, see `hpo.models.discover`; found as a trial is trained, see `run_fresh`.

    Raises:
        ModelError: the model cannot be found or built.
    """
    info = open_prepared(data).info
    return run_fresh([model], import_paths, own_process, lambda: models.discover(model, info, import_paths))


def examine_prepared(jobs: Sequence[Job], own_process: bool = False) -> None:
    """Examines jobs on their prepared data, as a trial is trained, see `run_fresh`; they differ in parameters alone.

    Raises:
        InvalidModel, NotApplied: see `examine`.
        ModelError: the model cannot be found.
    """
    first = jobs[0]
    info = open_prepared(first.data).info
    run_fresh([first.model], first.import_paths, own_process, lambda: examine(jobs, info))


def examine(jobs: Sequence[Job], info: DatasetInfo) -> None:
    """Builds and compiles the models of jobs, to find before any trial what no trial could do.

    Raises:
        InvalidModel: none of the jobs can be compiled as its training section says.
        NotApplied: a key of the training section has no effect.
    """
    refused: list[models.InvalidModel] = []
    idle: dict[str, None] = {}
    for job in jobs:
        try:
            built = models.build(job.model, job.params, info, job.import_paths, job.declared)
            if built.model.compiled:
                adopt_training(built, job.training)
            else:
                compile_model(built.model, job.training, info, job.plain_loss)
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
