"""The models of benchmarks.gpu: one that tells what its worker has of a GPU, and one that takes memory of it."""

import json
import os
from collections.abc import Mapping
from typing import Any, NoReturn

import keras
import tensorflow as tf

from hpo.data.dataset import DatasetInfo

_PIECE = 256
"""MiB of a tensor: the kernels of larger ones may count with 32 bits."""


def reports(params: Mapping[str, Any], dataset: DatasetInfo) -> NoReturn:
    """Fails with what its process sees: CUDA_VISIBLE_DEVICES, its GPUs, and the MiB that it may take of each."""
    gpus = tf.config.list_physical_devices("GPU")
    limits = [
        device.memory_limit for gpu in gpus for device in tf.config.get_logical_device_configuration(gpu) or [None]
        if device is not None
    ]  # fmt: skip
    # The memory of a limit is taken with the first operation.
    float(tf.reduce_sum(tf.ones([8, 8]) @ tf.ones([8, 8])))
    seen = {"visible": os.environ.get("CUDA_VISIBLE_DEVICES"), "gpus": len(gpus), "limits": limits}
    raise RuntimeError(json.dumps(seen))


# Keras has no types.
class Hungry(keras.layers.Layer):  # type: ignore[misc]
    """Puts out what it was given, and on the way takes about `mib` MiB, which are kept for the gradient."""

    def __init__(self, mib: int, **more: Any) -> None:
        super().__init__(**more)
        self.mib = mib

    def build(self, shape: tuple[int | None, ...]) -> None:
        """Makes its only weight."""
        self.factor = self.add_weight(name="factor", shape=(), initializer="ones")

    def call(self, x: Any) -> Any:
        """Each hyperbolic tangent is needed until its own gradient is computed."""
        piece = min(self.mib, _PIECE)
        held = tf.fill([piece * 2**20 // 4], tf.reduce_mean(x))
        for _ in range(max(1, self.mib // piece)):
            held = tf.tanh(held * self.factor)
        return x + 1e-6 * tf.reduce_mean(held)


def hungry(params: Mapping[str, Any], dataset: DatasetInfo) -> keras.Model:
    """A small classifier whose training takes `params["mib"]` MiB."""
    model = keras.Sequential(
        [
            keras.Input(dataset.input_shape),
            keras.layers.Flatten(),
            Hungry(params["mib"]),
            keras.layers.Dense(dataset.classes, activation="softmax"),
        ]
    )
    model.compile("adam", "sparse_categorical_crossentropy", metrics=["accuracy"])
    return model
