"""What an error of a trial was, in a word and in a line."""

import tensorflow as tf

from hpo import models
from hpo.errors import HpoError
from hpo.training.messages import FailureReason
from hpo.training.watch import Nonfinite


def reason_of(error: BaseException) -> FailureReason:
    """Why a trial failed."""
    if isinstance(error, Nonfinite):
        return "nonfinite"
    if isinstance(error, models.InvalidModel):
        return "invalid"
    if isinstance(error, MemoryError | tf.errors.ResourceExhaustedError):
        return "out_of_memory"
    return "error"


def one_line(error: BaseException) -> str:
    """The kind of an error, and the first line of its message."""
    lines = [line.strip() for line in str(error).splitlines() if line.strip()]
    if isinstance(error, tf.errors.OpError):
        # TensorFlow says what went wrong below the trace of its graph.
        trace = [number for number, line in enumerate(lines) if line.startswith('File "')]
        lines = lines[trace[-1] + 1 :] if trace else lines
    first = lines[0] if lines else ""
    if isinstance(error, Nonfinite | HpoError):
        return first
    return f"{type(error).__name__}: {first}" if first else type(error).__name__
