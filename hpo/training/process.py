"""What a process does before and beside training: its compute threads, and asking a model what it declares."""

import logging
from collections.abc import Sequence

import tensorflow as tf

from hpo import models
from hpo.config.declared import Declared
from hpo.data import open_prepared
from hpo.training.fresh_process import run_fresh

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
