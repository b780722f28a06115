"""What an error of a trial was, in a word and in a line."""

import re
import sys
from collections.abc import Sequence

import tensorflow as tf

from hpo import models
from hpo.errors import HpoError
from hpo.system.imports import own_place
from hpo.training.epoch_callback import Nonfinite
from hpo.training.messages import FailureReason

_KERAS_CALLING = re.compile(r"Exception encountered when calling (?:layer )?(.*?)\.?$")
_ANSI = re.compile(r"\x1b\[[0-9;]*m")


def reason_of(error: BaseException) -> FailureReason:
    """Why a trial failed."""
    if isinstance(error, Nonfinite):
        return "nonfinite"
    if _is_fatal(error):
        return "fatal"
    if isinstance(error, models.InvalidModel):
        return "invalid"
    if isinstance(error, MemoryError | tf.errors.ResourceExhaustedError):
        return "out_of_memory"
    return "error"


def _is_fatal(error: BaseException) -> bool:
    # Whatever raised one has imported it.
    module = sys.modules.get("keras_tuner.errors")
    return module is not None and isinstance(error, module.FatalError)


def one_line(error: BaseException, folders: Sequence[str] = ()) -> str:
    """Where in the user's own code, below `folders`, an error arose, its kind, and the first line of its message."""
    try:
        str(error)
    except Exception:  # an error of the user's own class, whose message fails in its turn
        return type(error).__name__
    if isinstance(error, Nonfinite | HpoError):
        return next(iter(str(error).strip().splitlines()), "")
    place = own_place(error, folders)
    said = f"{type(error).__name__}: {message}" if (message := _first_line(error)) else type(error).__name__
    return f"{place}: {said}" if place else said


def _first_line(error: BaseException) -> str:
    lines = [line.strip() for line in str(error).splitlines() if line.strip()]
    if isinstance(error, tf.errors.OpError):
        # TensorFlow says what went wrong below the trace of its graph.
        trace = [number for number, line in enumerate(lines) if line.startswith('File "')]
        lines = lines[trace[-1] + 1 :] if trace else lines
    elif lines and lines[0].startswith("in user code"):
        # What AutoGraph raised: the lines of code first.
        lines = [line for line in lines[1:] if not line.startswith('File "') and not line.endswith("  *")][-1:]
    if len(lines) > 1 and (calling := _KERAS_CALLING.match(lines[0])):
        # Keras says which layer it called, and then what went wrong, or a longer story with that at its end.
        told = [number for number, line in enumerate(lines[:-1]) if line.endswith("Error encountered:")]
        if told:
            return f"{_ANSI.sub('', lines[told[0] + 1])} (in {calling[1]})"
        return f"{_ANSI.sub('', lines[1])} (in {calling[1]})"
    return _ANSI.sub("", lines[0]) if lines else ""
