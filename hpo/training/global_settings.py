"""What Python, TensorFlow and Keras keep for the whole process or for a thread: read as values, written back.

Keras keeps for each thread its dtype policy, the names of layers, the filtering of tracebacks and whatever else goes
through its global state; for the process its default float type, epsilon, image format, and the registered classes.
"""

import os
import sys
import warnings
from collections.abc import Callable, Mapping, MutableMapping
from typing import Any

import keras
import tensorflow as tf

from hpo.training.keras_compat import (
    SET_BY_USERS,
    is_deterministic,
    process_state,
    set_deterministic,
    set_optimizer_options,
    thread_state,
)

Values = Mapping[str, Any]


def set_by_users(state: Values) -> dict[str, Any]:
    """Of a thread's state, the settings, without names and scopes."""
    return {name: value for name, value in state.items() if name in SET_BY_USERS}


def write_thread(values: Values) -> None:
    """Sets Keras's global state of this thread, to copies of what there is to change in it."""
    state = thread_state()
    state.clear()
    state.update({name: _copy(value) for name, value in values.items()})


def read_thread() -> dict[str, Any]:
    """Keras's global state of this thread."""
    return {name: _copy(value) for name, value in thread_state().items()}


def _copy(value: Any) -> Any:
    return value.copy() if isinstance(value, dict | list | set) else value


class Settings:
    """The settings of the process as they were; `restore` writes back those that have changed."""

    def __init__(self, own_process: bool) -> None:
        """`own_process`: whether trials have the process to themselves, and not a coordinator or a user beside them."""
        self._mappings = [(live, dict(live)) for live in _mappings(own_process)]
        self._values = [(write, value, read) for read, write in _values(own_process) if (value := read()) is not None]

    def restore(self) -> None:
        """Writes back what has changed since."""
        for live, kept in self._mappings:
            _restore_mapping(live, kept)
        for write, value, read in self._values:
            if read() != value:
                write(value)


def _restore_mapping(live: MutableMapping[Any, Any], kept: Mapping[Any, Any]) -> None:
    for name in [name for name in live if name not in kept]:
        del live[name]
    for name, value in kept.items():
        if name not in live or not (live[name] is value or live[name] == value):
            live[name] = value


def _mappings(own_process: bool) -> list[MutableMapping[Any, Any]]:
    return [*process_state(), os.environ] if own_process else process_state()


_Value = tuple[Callable[[], Any], Callable[[Any], None]]


def _values(own_process: bool) -> list[_Value]:
    """Pairs of reading and writing; a value that reads as None is left alone."""
    found: list[_Value] = [
        (tf.config.functions_run_eagerly, tf.config.run_functions_eagerly),
        (
            tf.config.experimental.tensor_float_32_execution_enabled,
            tf.config.experimental.enable_tensor_float_32_execution,
        ),
        (is_deterministic, set_deterministic),
        (tf.config.optimizer.get_jit, lambda value: tf.config.optimizer.set_jit(value or False)),
        (tf.config.optimizer.get_experimental_options, set_optimizer_options),
        (tf.config.get_soft_device_placement, tf.config.set_soft_device_placement),
    ]
    if own_process:
        found += [
            (_working_directory, os.chdir),
            (lambda: list(sys.path), _set_path),
            (lambda: list(warnings.filters), _set_filters),
            (sys.getrecursionlimit, sys.setrecursionlimit),
        ]
    return found


def traced() -> str:
    """The settings that a traced graph was made under, and that its model's configuration does not name."""
    found = [keras.config.floatx(), keras.config.epsilon(), keras.config.image_data_format()]
    found += [tf.config.functions_run_eagerly(), is_deterministic()]
    found += [tf.config.experimental.tensor_float_32_execution_enabled(), keras.config.dtype_policy().name]
    return f"{found} {tf.config.optimizer.get_jit()} {tf.config.optimizer.get_experimental_options()}"


def _working_directory() -> str | None:
    try:
        return os.getcwd()
    except FileNotFoundError:  # it was removed
        return None


def _set_path(value: list[str]) -> None:
    sys.path[:] = value


def _set_filters(value: list[Any]) -> None:
    with warnings.catch_warnings():
        pass  # which, as it ends, has Python forget what it knows of the filters so far
    warnings.filters[:] = value  # type: ignore[index]
