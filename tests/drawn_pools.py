"""What models are drawn from: Keras's layers, optimizers, losses and metrics, with their options."""

from typing import Any

import keras
from hypothesis import strategies as st

WIDTH, RATE = "width", "rate"


def weighted(*keys: str) -> dict[str, Any]:
    """Options of layers with weights."""
    regularizers = [None, None, keras.regularizers.L2(0.01), keras.regularizers.L1(0.01)]
    options = {f"{key}_regularizer": st.sampled_from([*regularizers, "orthogonal_regularizer"]) for key in keys}
    constraints = [None, None, None, keras.constraints.MaxNorm(1.0), keras.constraints.UnitNorm(), "non_neg"]
    return options | {f"{keys[0]}_constraint": st.sampled_from(constraints)}


ACTIVATION = st.sampled_from(["relu", "tanh", "sigmoid", "silu", "gelu", "elu", "linear", "softplus", "selu"])
PADDING = st.sampled_from(["same", "valid"])
KERNEL = {"activation": ACTIVATION, "use_bias": st.booleans(), **weighted("kernel")}
SEEN = {"return_sequences": st.booleans(), "dropout": st.sampled_from([0.0, 0.3])}
FEW = st.integers(1, 3)

Pool = dict[str, dict[str, Any]]
ANYWHERE: Pool = {
    "Activation": {"activation": ACTIVATION}, "ReLU": {"max_value": st.sampled_from([None, 2.0])},
    "LeakyReLU": {}, "ELU": {}, "PReLU": {}, "Softmax": {}, "Identity": {},
    "Dropout": {"rate": RATE}, "Dropout of rows": {"rate": RATE, "noise_shape": "rows"},
    "GaussianNoise": {"stddev": RATE}, "GaussianDropout": {"rate": RATE}, "AlphaDropout": {"rate": RATE},
    "BatchNormalization": {"momentum": st.sampled_from([0.9, 0.99]), **weighted("gamma")},
    "LayerNormalization": {}, "RMSNormalization": {}, "UnitNormalization": {}, "GroupNormalization": {"groups": 1},
    "ActivityRegularization": {"l2": 0.01}, "Rescaling": {"scale": 0.5},
    "Dense": {"units": WIDTH, "activity_regularizer": st.sampled_from([None, None, "l2"]), **KERNEL},
    "Flatten": {}, "nested": {}, "normalized": {}, "shared": {}, "arithmetic": {}, "own": {}, "lambda": {},
    **{name: {} for name in ("Add", "Average", "Concatenate", "Maximum", "Minimum", "Multiply", "Subtract", "Dot")},
}  # fmt: skip
POOLS: dict[int, Pool] = {
    1: {
        "RepeatVector": {"n": 3}, "Dense": {"units": WIDTH, **KERNEL},
        "dense again": {"units": WIDTH, "activation": ACTIVATION}, "Reshape": {"target_shape": (-1, 1)},
    },
    2: {
        "Conv1D": {"filters": WIDTH, "kernel_size": 2, "padding": PADDING, **KERNEL},
        "Conv1DTranspose": {"filters": 2, "kernel_size": 2},
        "DepthwiseConv1D": {"kernel_size": 2, "padding": "same"},
        "SeparableConv1D": {"filters": 3, "kernel_size": 2, "padding": "same"},
        "LSTM": {"units": WIDTH, "recurrent_dropout": st.sampled_from([0.0, 0.2]), **SEEN},
        "GRU": {"units": WIDTH, "reset_after": st.booleans(), **SEEN}, "SimpleRNN": {"units": 3, **SEEN},
        "MaxPooling1D": {"pool_size": 2, "padding": "same"}, "AveragePooling1D": {"pool_size": 2, "padding": "same"},
        "SpatialDropout1D": {"rate": RATE}, "ZeroPadding1D": {}, "UpSampling1D": {}, "Permute": {"dims": (2, 1)},
        "GlobalAveragePooling1D": {}, "GlobalMaxPooling1D": {}, "Bidirectional": {}, "TimeDistributed": {},
        "MultiHeadAttention": {}, "Attention": {}, "Cropping1D": {"cropping": (0, 1)}, "Masking": {},
    },
    3: {
        "Conv2D": {"filters": WIDTH, "kernel_size": 2, "padding": PADDING, **KERNEL},
        "Conv2DTranspose": {"filters": 2, "kernel_size": 2},
        "DepthwiseConv2D": {"kernel_size": 2, "padding": "same"},
        "SeparableConv2D": {"filters": 3, "kernel_size": 2, "padding": "same"},
        "MaxPooling2D": {"padding": "same"}, "AveragePooling2D": {"padding": "same"},
        "SpatialDropout2D": {"rate": RATE}, "ZeroPadding2D": {}, "UpSampling2D": {}, "GlobalAveragePooling2D": {},
        "GlobalMaxPooling2D": {}, "RandomFlip": {}, "RandomRotation": {"factor": 0.1}, "RandomZoom": {
        "height_factor": 0.1}, "RandomTranslation": {"height_factor": 0.1, "width_factor": 0.1}, "Cropping2D": {
        "cropping": ((0, 1), (0, 1))}, "RandomContrast": {"factor": 0.2},
    },
    4: {
        "Conv3D": {"filters": 2, "kernel_size": 2, "padding": "same"}, "MaxPooling3D": {"padding": "same"},
        "Conv3DTranspose": {"filters": 2, "kernel_size": 2}, "AveragePooling3D": {"padding": "same"},
        "SpatialDropout3D": {"rate": RATE}, "ZeroPadding3D": {}, "GlobalAveragePooling3D": {}, "GlobalMaxPooling3D": {},
        "UpSampling3D": {}, "Cropping3D": {"cropping": ((0, 1), (0, 0), (0, 0))},
    },
}  # fmt: skip

# Where a gradient is near zero, its sign is rounding, which these would make a step of full length.
_DAMPED = {"epsilon": 0.01}
OPTIMIZERS: Pool = {
    "SGD": {"momentum": st.sampled_from([0.0, 0.5, 0.9]), "nesterov": st.booleans()},
    "RMSprop": {"momentum": st.sampled_from([0.0, 0.5]), "centered": st.booleans(), **_DAMPED},
    "Adam": {"amsgrad": st.booleans(), "beta_1": st.sampled_from([0.9, 0.5]), **_DAMPED},
    "AdamW": {"amsgrad": st.booleans(), **_DAMPED}, "Adadelta": _DAMPED, "Adamax": _DAMPED, "Nadam": _DAMPED,
    "Adagrad": {"initial_accumulator_value": 0.1, **_DAMPED}, "Ftrl": {"l1_regularization_strength": 0.001},
    "Lamb": _DAMPED, "Lion": {}, "Adafactor": {}, "Muon": {"rms_rate": 0.1}, "ScheduleFreeAdamW": _DAMPED,
}  # fmt: skip
OPTIONS: dict[str, Any] = {
    "weight_decay": st.sampled_from([0.01]), "clip": st.sampled_from(["clipnorm", "clipvalue", "global_clipnorm"]),
    "use_ema": st.sampled_from([True]), "gradient_accumulation_steps": st.sampled_from([2]),
    "loss_scale_factor": st.sampled_from([8.0]), "ema_overwrite_frequency": st.sampled_from([2]),
    "scheduled": st.sampled_from([True]), "around": st.sampled_from(["scaled"]),
}  # fmt: skip

LOSSES: dict[str, tuple[str, ...]] = {
    "classes": ("sparse_categorical_crossentropy",),
    "one-hot": ("categorical_crossentropy", "kl_divergence", "categorical_focal_crossentropy", "mean_squared_error",
                "binary_crossentropy", "categorical_hinge", "poisson", "smoothed", "own"),
    "numbers": ("mean_squared_error", "mean_absolute_error", "huber", "log_cosh", "own"),
}  # fmt: skip
METRICS: dict[str, tuple[str, ...]] = {
    "classes": ("accuracy", "sparse_top_k_categorical_accuracy", "sparse_categorical_crossentropy"),
    "one-hot": ("accuracy", "AUC", "F1Score", "Precision", "Recall", "mse", "TopKCategoricalAccuracy", "own"),
    "numbers": ("mae", "RootMeanSquaredError", "R2Score", "mse", "own"),
}  # fmt: skip
