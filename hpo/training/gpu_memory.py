"""What a process takes of its GPU's memory, as TensorFlow counts it."""

from contextlib import suppress

import tensorflow as tf


def peak() -> int | None:
    """Bytes that were in use at once since the last `forget`, on the GPU with most; None where none tells."""
    found: list[int] = []
    for gpu in _gpus():
        # Not all makers' GPUs are counted.
        with suppress(ValueError):
            found.append(tf.config.experimental.get_memory_info(gpu)["peak"])
    return max(found, default=None)


def forget() -> None:
    """Begins to count anew, with what is in use now."""
    for gpu in _gpus():
        with suppress(ValueError):
            tf.config.experimental.reset_memory_stats(gpu)


def _gpus() -> list[str]:
    # Where there is none, TensorFlow need not start for this.
    return [one.name for one in tf.config.list_logical_devices("GPU")] if tf.config.list_physical_devices("GPU") else []
