"""What a process does before and beside training: its compute threads, and asking a model what it declares."""

from collections.abc import Mapping, Sequence
from typing import Any

import tensorflow as tf

from hpo import models
from hpo.data import open_prepared
from hpo.training.fresh import run_fresh


def limit_threads(count: int) -> None:
    """Sets TensorFlow's compute threads; without effect once TensorFlow has run an operation."""
    try:
        tf.config.threading.set_intra_op_parallelism_threads(count)
        tf.config.threading.set_inter_op_parallelism_threads(count)
    except RuntimeError:
        return


def discover(model: str, data: str, import_paths: Sequence[str], own_process: bool = False) -> Mapping[str, Any]:
    """`HyperParameters.get_config()` of a KerasTuner model after exploring its conditions; see `run_fresh`.

    Raises:
        ModelError: the model cannot be found or built.
    """
    info = open_prepared(data).info
    return run_fresh([model], import_paths, own_process, lambda: models.discover(model, info, import_paths))
