"""Samples as TensorFlow's graph takes them: over the memory that all workers share, or open to other samples."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

import keras
import numpy as np
import tensorflow as tf

from hpo.data.dataset import Array, DatasetInfo, Scaling
from hpo.data.mapped import Mapped
from hpo.data.several import Arrays, is_text

# TensorFlow ends the process when a tensor's memory does not begin at a multiple of this many bytes.
_ALIGNMENT = 64


NOTHING: tuple[()] = ()
"""What a part lacks, targets or weights: a structure without tensors."""


@dataclass(frozen=True)
class Tensors:
    """A part: unscaled x, y and sample weights; each a tensor, a structure of several, or NOTHING."""

    x: Any
    y: Any = NOTHING
    weights: Any = NOTHING

    def each(self, change: Callable[[tf.Tensor], Any]) -> "Tensors":
        """What is made of each tensor, some of its samples for one."""
        return Tensors(*tf.nest.map_structure(change, (self.x, self.y, self.weights)))

    def open(self) -> "Tensors":
        """The same in variables that take any number of samples."""
        return self.each(_variable)

    def assign(self, *arrays: Any) -> None:
        """Other samples, for tensors that are open."""
        for variables, values in zip((self.x, self.y, self.weights), arrays, strict=True):
            if variables is not NOTHING:
                tf.nest.map_structure(lambda variable, value: variable.assign(value), variables, values)

    def packed(self, x: Any) -> Any:
        """A batch as `model.fit` hands it to `train_step`, with these inputs in the place of the unscaled ones."""
        y, weights = (None if one is NOTHING else one for one in (self.y, self.weights))
        return keras.utils.pack_x_y_sample_weight(x, y, weights)


def _variable(tensor: tf.Tensor) -> tf.Variable:
    return tf.Variable(tensor, shape=tf.TensorShape([None, *tensor.shape[1:]]), trainable=False)


def shared(array: Array) -> tf.Tensor:
    """An array as a tensor over the same memory: all workers map one prepared file, and none copies it.

    Text, and images on disk, are copied.
    """
    if is_text(array) or isinstance(array, Mapped):
        return tf.constant(np.asarray(array))
    if isinstance(array, np.memmap):
        # DLPack takes no read-only arrays. Mapped copy-on-write, the pages stay shared, since nobody writes.
        array = np.load(str(array.filename), mmap_mode="c", allow_pickle=False)
    array = np.ascontiguousarray(array)
    if array.ctypes.data % _ALIGNMENT:
        return tf.constant(array)
    return tf.experimental.dlpack.from_dlpack(array.__dlpack__())


def tensors_of(info: DatasetInfo, x: Arrays) -> Any:
    """A few samples as a model gets them: scaled tensors, in the structure in which Keras takes them."""
    return tf.nest.map_structure(tf.constant, info.prepared(x))


def prepared(x: Any, info: DatasetInfo) -> Any:
    """`DatasetInfo.prepared` in the graph: a tensor, or a structure of several."""
    if not info.inputs:
        return x if info.is_text else scaled(x, info.scaling)
    of = {name: one for name, one in info.inputs.items() if one.dtype == "float32"}
    named = dict(x) if isinstance(x, Mapping) else dict(zip(info.inputs, x, strict=True))
    found = {name: scaled(one, of[name].scaling) if name in of else one for name, one in named.items()}
    return list(found.values()) if info.inputs_listed else found


def scaled(x: tf.Tensor, scaling: Scaling) -> tf.Tensor:
    """`Scaling.apply` in the graph."""
    if scaling.method == "none":
        return tf.cast(x, tf.float32)
    # As in `Scaling.apply`: the difference of large numbers is taken before the rounding.
    wide = x.dtype if x.dtype == tf.float64 else tf.float32
    offset, factor = tf.constant(scaling.offset, wide), tf.constant(scaling.factor, wide)
    return tf.cast((tf.cast(x, wide) - offset) * factor, tf.float32)


def order_of(seed: int, epoch: int, samples: int) -> Array:
    """The order of the training samples in an epoch, counted from 0; shape (samples,)."""
    return np.random.default_rng([seed, epoch]).permutation(samples)
