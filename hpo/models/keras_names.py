"""The names of Keras's activations and initializers, so that files can be checked without importing Keras."""

from collections.abc import Mapping

ACTIVATIONS = (
    "celu", "elu", "exponential", "gelu", "hard_shrink", "hard_sigmoid", "hard_silu", "hard_swish", "hard_tanh",
    "leaky_relu", "linear", "log_sigmoid", "log_softmax", "mish", "relu", "relu6", "selu", "sigmoid", "silu",
    "soft_shrink", "softmax", "softplus", "softsign", "sparse_plus", "sparse_sigmoid", "sparsemax", "squareplus",
    "swish", "tanh", "tanh_shrink",
)  # fmt: skip
"""The activations that need no arguments and keep the shape: not threshold, not glu."""

_FANS = ("fan_in", "fan_out", "fan_avg")
_DISTRIBUTIONS = ("uniform", "normal", "truncated_normal", "untruncated_normal")

INITIALIZERS: Mapping[str, Mapping[str, tuple[str, ...]]] = {
    "constant": {"value": ()},
    "glorot_normal": {},
    "glorot_uniform": {},
    "he_normal": {},
    "he_uniform": {},
    "identity": {},
    "lecun_normal": {},
    "lecun_uniform": {},
    "ones": {},
    "orthogonal": {"gain": ()},
    "random_normal": {"mean": (), "stddev": ()},
    "random_uniform": {"minval": (), "maxval": ()},
    "truncated_normal": {"mean": (), "stddev": ()},
    "variance_scaling": {"scale": (), "mode": _FANS, "distribution": _DISTRIBUTIONS},
    "zeros": {},
}
"""Name -> argument -> the words that it may be; empty for numbers. Seeds are left out: trials set them."""

OF_MATRICES = ("identity", "orthogonal")
"""Initializers that a bias, which is a vector, cannot have."""
