"""Callbacks: Keras's by name, and the user's own by import path, each with a folder for its trial."""

import inspect
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import keras

from hpo.config.named import Choice, choice_of
from hpo.errors import ModelError, nearest
from hpo.system.imports import load_object
from hpo.training.messages import Job

_OF_BATCHES = (
    "on_batch_begin", "on_batch_end", "on_train_batch_begin", "on_train_batch_end", "on_test_batch_begin",
    "on_test_batch_end",
)  # fmt: skip

_WRITTEN: Mapping[str, Mapping[str, str]] = {
    "TensorBoard": {"log_dir": "{folder}"},
    "CSVLogger": {"filename": "{folder}/log.csv"},
    "ModelCheckpoint": {"filepath": "{folder}/epoch_{epoch:03d}.keras"},
}
"""Where Keras's callbacks write, unless their options say otherwise."""


def own_callbacks(job: Job) -> list[keras.callbacks.Callback]:
    """The callbacks of a trial, made anew for it.

    TensorBoard writes the logs of a trial into a folder `trial-N` of its own: side by side their events would mix. So
    would those of a configuration's trainings, where there are several: each has a folder `execution-N` there.

    Raises:
        ModelError: a name or path names nothing, what it makes is no callback, or it does not take its options.
    """
    return [_made(choice_of(value), job) for value in job.training.callbacks or ()]


def _made(choice: Choice, job: Job) -> keras.callbacks.Callback:
    kind = load_object(choice.name, job.import_paths) if choice.is_own else _kerass(choice.name)
    options = {**_WRITTEN.get(choice.name, {}), **choice.options}
    folder = Path(job.callbacks_folder or ".") / f"trial-{job.trial:04d}" / _within(job.execution)
    told = {"trial": job.trial, "params": dict(job.params), "folder": str(folder)}
    takes = inspect.signature(kind).parameters if choice.is_own else {}
    asked = {name: value for name, value in told.items() if name in takes and name not in options}
    filled = {name: _filled(value, job.trial, folder) for name, value in options.items()}
    if "folder" in asked or any("{folder}" in value for value in options.values() if isinstance(value, str)):
        folder.mkdir(parents=True, exist_ok=True)
    try:
        callback = kind(**filled, **asked)
    except TypeError as error:
        if not options:
            raise
        raise ModelError(f"callbacks: {choice.name}: {error}") from error
    if not isinstance(callback, keras.callbacks.Callback):
        raise ModelError(f"{choice.name}: must make a keras.callbacks.Callback, made {callback!r}")
    if isinstance(callback, keras.callbacks.TensorBoard) and "folder" not in asked and filled == options:
        callback.log_dir = log_folder(callback.log_dir, job.trial, job.execution)
    return callback


def log_folder(log_dir: str, trial: int, execution: int | None) -> str:
    """Where a training writes TensorBoard's logs; `execution` is None where its trial trains once."""
    # A Path would spoil an address such as gs://bucket/logs.
    return "/".join(filter(None, (log_dir, f"trial-{trial}", _within(execution))))


def _within(execution: int | None) -> str:
    """The folder of a training within that of its trial; the same one, where the trial trains once."""
    return "" if execution is None else f"execution-{execution}"


def _kerass(name: str) -> Any:
    known = {name: kind for name, kind in vars(keras.callbacks).items() if inspect.isclass(kind)}
    if name not in known:
        rule = f"Keras knows no {name!r}; {nearest(name, known)} (one of your own: package.module:name)"
        raise ModelError(f"callbacks: {rule}")
    return known[name]


def _filled(value: Any, trial: int, folder: Path) -> Any:
    if not isinstance(value, str):
        return value
    return value.replace("{folder}", str(folder)).replace("{trial}", str(trial))


def sees_batches(callback: keras.callbacks.Callback) -> bool:
    """Whether a callback has something to do at each batch, and not at the ends of epochs alone."""
    plain = keras.callbacks.Callback
    return any(getattr(type(callback), name) is not getattr(plain, name) for name in _OF_BATCHES)
