"""Samples as TensorFlow's graph takes them: over the memory that all workers share, or open to other samples."""

from dataclasses import dataclass

import numpy as np
import tensorflow as tf

from hpo.data.dataset import Array

# TensorFlow ends the process when a tensor's memory does not begin at a multiple of this many bytes.
_ALIGNMENT = 64


@dataclass(frozen=True)
class Tensors:
    """A part: unscaled x, y, and sample weights, if any."""

    x: tf.Tensor
    y: tf.Tensor
    weights: tf.Tensor | None

    def open(self) -> "Tensors":
        """The same in variables that take any number of samples."""
        return Tensors(*(None if one is None else _variable(one) for one in (self.x, self.y, self.weights)))

    def assign(self, *arrays: Array | None) -> None:
        """Other samples, for tensors that are open."""
        for variable, array in zip((self.x, self.y, self.weights), arrays, strict=True):
            if variable is not None:
                variable.assign(array)


def _variable(tensor: tf.Tensor) -> tf.Variable:
    return tf.Variable(tensor, shape=tf.TensorShape([None, *tensor.shape[1:]]), trainable=False)


def shared(array: Array) -> tf.Tensor:
    """An array as a tensor over the same memory: all workers map one prepared file, and none copies it."""
    if isinstance(array, np.memmap):
        # DLPack takes no read-only arrays. Mapped copy-on-write, the pages stay shared, since nobody writes.
        array = np.load(str(array.filename), mmap_mode="c", allow_pickle=False)
    array = np.ascontiguousarray(array)
    if array.ctypes.data % _ALIGNMENT:
        return tf.constant(array)
    return tf.experimental.dlpack.from_dlpack(array.__dlpack__())
