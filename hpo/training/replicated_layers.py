"""The layers of k models of one kind as one: what each of them computes, for all k at once.

A stacked variable has an axis more, the first, for the models; a batch has one more too, shape (k, n, ...).
"""

from collections.abc import Callable, Sequence
from typing import Any

import keras
import numpy as np
import tensorflow as tf

from hpo.training.keras_compat import is_kerass_own, open_shape
from hpo.training.shareable import NotShareable
from hpo.training.template import Penalty, VariableDropout

# Layers without weights that treat each sample by itself.
_WITHOUT_WEIGHTS = (
    "Activation", "AveragePooling1D", "AveragePooling2D", "AveragePooling3D", "Cropping1D", "Cropping2D", "Cropping3D",
    "ELU", "Flatten", "GlobalAveragePooling1D", "GlobalAveragePooling2D", "GlobalAveragePooling3D",
    "GlobalMaxPooling1D", "GlobalMaxPooling2D", "GlobalMaxPooling3D", "Identity", "LeakyReLU", "MaxPooling1D",
    "MaxPooling2D", "MaxPooling3D", "Permute", "ReLU", "RepeatVector", "Rescaling", "Reshape", "Softmax",
    "UnitNormalization", "UpSampling1D", "UpSampling2D", "UpSampling3D", "ZeroPadding1D", "ZeroPadding2D",
    "ZeroPadding3D",
)  # fmt: skip


class Replicated:
    """A layer of k models. Without weights: Keras's own, which sees the samples of all models as one batch."""

    def __init__(self, layer: Any, is_open: bool) -> None:
        """`is_open`: whether the width of the layer may be another for other models."""
        _refuse_extras(layer)
        self.layer = layer
        self.variables = [_stacked(one, is_open) for one in layer.variables]
        """In the order of the layer's own."""

    def open_inputs(self) -> None:
        """Lets the layer take inputs of other widths."""
        for mine in self.variables:
            if mine.name == "kernel":
                open_shape(mine, [None, None, *mine.value.shape[2:]])

    def __call__(self, x: tf.Tensor, training: bool) -> tf.Tensor:
        """Of a batch of shape (k, n, ...), or (1, n, ...) where all models see the same samples."""
        return unfolded(self.flat(x, training), x)

    def flat(self, x: tf.Tensor, training: bool) -> tf.Tensor:
        """The same as one batch of k * n samples."""
        return self.layer(folded(x))

    def penalties(self) -> Sequence[tf.Tensor]:
        """What the weights of each model add to its loss: tensors of shape (k,)."""
        return []

    def _named(self, name: str) -> Any:
        """The value of a stacked variable; None where the layer has none of that name."""
        found = [mine for mine, one in zip(self.variables, self.layer.variables, strict=True) if one.name == name]
        return found[0].value if found else None


class _Unfolded(Replicated):
    """What keeps the models apart while it computes."""

    def flat(self, x: tf.Tensor, training: bool) -> tf.Tensor:
        return folded(self(x, training))


class _Linear(Replicated):
    """What multiplies by a kernel, adds a bias and has an activation."""

    def __init__(self, layer: Any, is_open: bool) -> None:
        super().__init__(layer, is_open)
        self._penalty = _penalty_of(layer.kernel_regularizer)

    def __call__(self, x: tf.Tensor, training: bool) -> tf.Tensor:
        y = self._linear(x)
        if self.layer.activation is keras.activations.linear:
            return y
        return unfolded(self.layer.activation(folded(y)), y)

    def flat(self, x: tf.Tensor, training: bool) -> tf.Tensor:
        # Losses look for the softmax that their input comes from.
        return self.layer.activation(folded(self._linear(x)))

    def penalties(self) -> Sequence[tf.Tensor]:
        return [] if self._penalty is None else [self._penalty(self._named("kernel"))]

    def _linear(self, x: tf.Tensor) -> tf.Tensor:
        y = self._product(x)
        bias = self._named("bias")
        return y if bias is None else y + _beside(bias, y)

    def _product(self, x: tf.Tensor) -> tf.Tensor:
        raise NotImplementedError


class _Dense(_Linear):
    def _product(self, x: tf.Tensor) -> tf.Tensor:
        kernel = self._named("kernel")
        if x.shape.rank == 3:
            return tf.matmul(x, kernel)
        rows = tf.reshape(x, [tf.shape(x)[0], -1, tf.shape(x)[-1]])
        return _shaped_like(tf.matmul(rows, kernel), x)


class _Conv2D(_Linear):
    """A convolution as a product of patches and kernels: TensorFlow's own takes one kernel at a time."""

    def __init__(self, layer: Any, is_open: bool) -> None:
        super().__init__(layer, is_open)
        if layer.groups != 1 or layer.data_format != "channels_last" or {*layer.dilation_rate} != {1}:
            raise NotShareable("a convolution has groups, dilation or channels first")

    def _product(self, x: tf.Tensor) -> tf.Tensor:
        (high, wide), (down, right), kernel = self.layer.kernel_size, self.layer.strides, self._named("kernel")
        rows, columns = x.shape[2:4]
        if self.layer.padding == "same":
            x = tf.pad(x, [[0, 0], [0, 0], _around(rows, high, down), _around(columns, wide, right), [0, 0]])
            rows, columns = -(-rows // down), -(-columns // right)
        else:
            rows, columns = (rows - high) // down + 1, (columns - wide) // right + 1
        patches = [
            x[:, :, i : i + down * (rows - 1) + 1 : down, j : j + right * (columns - 1) + 1 : right]
            for i in range(high)
            for j in range(wide)
        ]
        of_each = tf.concat(patches, -1)
        flat = tf.reshape(of_each, [tf.shape(x)[0], -1, tf.shape(of_each)[-1]])
        product = tf.matmul(flat, tf.reshape(kernel, [tf.shape(kernel)[0], -1, tf.shape(kernel)[-1]]))
        filters = kernel.shape[-1]
        shaped = tf.reshape(product, [tf.shape(product)[0], tf.shape(x)[1], rows, columns, tf.shape(kernel)[-1]])
        return tf.ensure_shape(shaped, [None, None, rows, columns, filters])


def _around(length: int, kernel: int, stride: int) -> list[int]:
    """What `same` adds before and after."""
    total = max((-(-length // stride) - 1) * stride + kernel - length, 0)
    return [total // 2, total - total // 2]


class _BatchNormalization(_Unfolded):
    def __init__(self, layer: Any, is_open: bool) -> None:
        super().__init__(layer, is_open)
        last = layer.axis in (-1, len(layer.input.shape) - 1)
        if layer.renorm or layer.synchronized or not last or not layer.trainable:
            raise NotShareable("a batch normalization has options of its own")

    def __call__(self, x: tf.Tensor, training: bool) -> tf.Tensor:
        mean, variance = self._named("moving_mean"), self._named("moving_variance")
        if training:
            now = tf.nn.moments(x, list(range(1, x.shape.rank - 1)))
            momentum = self.layer.momentum
            for kept, one in zip((mean, variance), now, strict=True):
                kept.assign(kept * momentum + one * (1.0 - momentum))
            mean, variance = now
        return _normalized(x, mean, variance, self._named("gamma"), self._named("beta"), self.layer.epsilon)


class _LayerNormalization(_Unfolded):
    def __init__(self, layer: Any, is_open: bool) -> None:
        super().__init__(layer, is_open)
        axes = layer.axis if isinstance(layer.axis, list | tuple) else [layer.axis]
        if getattr(layer, "rms_scaling", False) or [*axes] != [-1]:
            raise NotShareable("a layer normalization has options of its own")

    def __call__(self, x: tf.Tensor, training: bool) -> tf.Tensor:
        mean, variance = tf.nn.moments(x, [-1], keepdims=True)
        y = (x - mean) * tf.math.rsqrt(variance + self.layer.epsilon)
        gamma, beta = self._named("gamma"), self._named("beta")
        y = y if gamma is None else y * _beside(gamma, y)
        return y if beta is None else y + _beside(beta, y)


class _Dropout(_Unfolded):
    """Each model drops what it would drop alone: by the same numbers of the same seed."""

    def __init__(self, layer: Any, is_open: bool) -> None:
        super().__init__(layer, is_open)
        if layer.noise_shape is not None:
            raise NotShareable("a dropout has a noise_shape")

    def __call__(self, x: tf.Tensor, training: bool) -> tf.Tensor:
        if not training or not self.layer.rate:
            return x
        (state,) = [one.value for one in self.variables]
        seeds = tf.cast(tf.math.floormod(state.read_value(), tf.int32.max - 1), tf.int32)
        state.assign_add(tf.tile(tf.constant([[0, 1]], state.dtype), [tf.shape(seeds)[0], 1]))
        rate = self.layer.chosen.read_value() if isinstance(self.layer, VariableDropout) else self.layer.rate
        shape = tf.shape(x)[1:]
        kept = tf.map_fn(
            lambda seed: tf.random.stateless_uniform(shape, seed=seed) >= rate,
            seeds,
            fn_output_signature=tf.TensorSpec(x.shape[1:], tf.bool),
            parallel_iterations=1,
        )
        return tf.where(kept, x / (1 - rate), 0.0)


_WITH_WEIGHTS: dict[str, type[Replicated]] = {
    "Dense": _Dense,
    "Conv2D": _Conv2D,
    "BatchNormalization": _BatchNormalization,
    "LayerNormalization": _LayerNormalization,
    "Dropout": _Dropout,
}


def replicated(layer: Any, is_open: bool) -> Replicated:
    """A layer of a template's model, for k models.

    Raises:
        NotShareable: it is of another kind.
    """
    if isinstance(layer, VariableDropout):
        return _Dropout(layer, is_open)
    name = type(layer).__name__
    if not is_kerass_own(type(layer)) or name not in (*_WITHOUT_WEIGHTS, *_WITH_WEIGHTS):
        raise NotShareable(f"a layer is a {name}")
    return _WITH_WEIGHTS.get(name, Replicated)(layer, is_open)


def folded(x: tf.Tensor) -> tf.Tensor:
    """A batch of shape (k, n, ...) as one of shape (k * n, ...)."""
    flat = tf.reshape(x, tf.concat([[-1], tf.shape(x)[2:]], 0))
    return tf.ensure_shape(flat, [None, *x.shape[2:]])


def unfolded(flat: tf.Tensor, like: tf.Tensor) -> tf.Tensor:
    """The same back: (k * n, ...) as (k, n, ...), k and n being those of another batch."""
    x = tf.reshape(flat, tf.concat([tf.shape(like)[:2], tf.shape(flat)[1:]], 0))
    return tf.ensure_shape(x, [None, None, *flat.shape[1:]])


def _stacked(variable: Any, is_open: bool) -> keras.Variable:
    value = np.zeros((1, *variable.shape), variable.dtype)
    stacked = keras.Variable(value, dtype=variable.dtype, trainable=variable.trainable, name=variable.name)
    open_shape(stacked, [None] * value.ndim if is_open else [None, *variable.shape])
    return stacked


def _beside(of_model: tf.Tensor, x: tf.Tensor) -> tf.Tensor:
    """Numbers of each model's last axis, shape (k, c), to be broadcast over a batch of shape (k, n, ..., c)."""
    for _ in range(x.shape.rank - 2):
        of_model = of_model[:, None]
    return of_model


def _normalized(x: tf.Tensor, mean: tf.Tensor, variance: tf.Tensor, gamma: Any, beta: Any, epsilon: float) -> tf.Tensor:
    """As Keras normalizes: each channel of each model, by one factor and one offset."""
    factor = tf.math.rsqrt(variance + epsilon)
    factor = factor if gamma is None else factor * gamma
    offset = -mean * factor if beta is None else beta - mean * factor
    return x * _beside(factor, x) + _beside(offset, x)


def _shaped_like(rows: tf.Tensor, x: tf.Tensor) -> tf.Tensor:
    shape = tf.concat([tf.shape(rows)[:1], tf.shape(x)[1:-1], tf.shape(rows)[-1:]], 0)
    return tf.ensure_shape(tf.reshape(rows, shape), [None, *x.shape[1:-1], rows.shape[-1]])


def _refuse_extras(layer: Any) -> None:
    if getattr(layer, "activity_regularizer", None) is not None:
        raise NotShareable("a layer has a penalty of its outputs")
    for variable in layer.trainable_variables:
        if variable.constraint is not None:
            raise NotShareable("a weight has a constraint")
        if variable.regularizer is not None and variable.name != "kernel":
            raise NotShareable("a weight other than a kernel has a penalty")


def _penalty_of(regularizer: Any) -> Callable[[tf.Tensor], tf.Tensor] | None:
    """The penalty of stacked kernels, for each model."""
    if regularizer is None:
        return None
    if not isinstance(regularizer, keras.regularizers.L1 | keras.regularizers.L2 | keras.regularizers.L1L2):
        raise NotShareable(f"a kernel has a penalty of the kind {type(regularizer).__name__}")
    l1, l2 = getattr(regularizer, "l1", 0.0), getattr(regularizer, "l2", 0.0)

    def of(kernels: tf.Tensor) -> tf.Tensor:
        factors = regularizer.chosen if isinstance(regularizer, Penalty) else (l1, l2)
        axes, total = list(range(1, kernels.shape.rank)), tf.zeros(tf.shape(kernels)[:1])
        if l1:
            total += factors[0] * tf.reduce_sum(tf.abs(kernels), axes)
        if l2:
            total += factors[1] * tf.reduce_sum(tf.square(kernels), axes)
        return total

    return of
