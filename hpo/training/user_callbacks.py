"""The user's own Keras callbacks, by import path."""

from collections.abc import Sequence
from pathlib import Path

import keras

from hpo.errors import ModelError
from hpo.system.imports import load_object

_OF_BATCHES = (
    "on_batch_begin", "on_batch_end", "on_train_batch_begin", "on_train_batch_end", "on_test_batch_begin",
    "on_test_batch_end",
)  # fmt: skip


def own_callbacks(paths: Sequence[str], folders: Sequence[str], trial: int) -> list[keras.callbacks.Callback]:
    """A callback for each import path of a class, or of a function that returns one.

    TensorBoard writes the logs of a trial into a folder `trial-N` of its own: side by side their events would mix.

    Raises:
        ModelError: a path names nothing, or what it makes is no callback.
    """
    made = [load_object(path, folders)() for path in paths]
    for path, callback in zip(paths, made, strict=True):
        if not isinstance(callback, keras.callbacks.Callback):
            raise ModelError(f"{path}: must make a keras.callbacks.Callback, made {callback!r}")
        if isinstance(callback, keras.callbacks.TensorBoard):
            callback.log_dir = str(Path(callback.log_dir) / f"trial-{trial}")
    return made


def sees_batches(callback: keras.callbacks.Callback) -> bool:
    """Whether a callback has something to do at each batch, and not at the ends of epochs alone."""
    plain = keras.callbacks.Callback
    return any(getattr(type(callback), name) is not getattr(plain, name) for name in _OF_BATCHES)
