"""Models as Keras code: what it builds is the same model."""

import keras
import numpy as np
import pytest
from tiny_info import info_of

from hpo.export.script.keras_code import layers_as_code
from hpo.models import build

MODELS = {
    "mlp": {
        "depth": 3, "width": 5, "activation": "leaky_relu", "leaky_slope_1": 0.1, "normalization_2": "layer",
        "kernel_initializer": {"name": "random_normal", "mean": 0, "stddev": 1.0}, "bias_initializer_2": "ones",
        "l1": 0.01, "l2_1": 0.5, "use_bias_3": False, "constant_input": True, "output_use_bias": False,
        "kernel_initializer_3": {"name": "variance_scaling", "scale": 0.5, "distribution": "uniform"},
    },
    "cnn": {
        "blocks": [{"filters": 3, "padding": "valid", "batch_normalization": True}, {"pooling": "none"}],
        "pool_size": 3, "dense": [4, 3], "l2": 0.1, "kernel_initializer_2": "he_uniform", "block_dropout_2": 0.5,
        "output_activation": "sigmoid",
    },
}  # fmt: skip


@pytest.mark.parametrize("name", MODELS)
def test_the_code_of_a_model_builds_it_again(name):
    keras.utils.set_random_seed(3)
    model = build(name, MODELS[name], info_of((8, 8, 1))).model
    code = layers_as_code(model)
    keras.utils.set_random_seed(3)
    again = keras.Sequential(eval(f"[{', '.join(code)}]", {"keras": keras, "layers": keras.layers}))
    for one, other in zip(model.get_weights(), again.get_weights(), strict=True):
        np.testing.assert_array_equal(one, other)
    x = np.random.default_rng(0).random((4, 8, 8, 1), np.float32)
    np.testing.assert_array_equal(model.predict(x, verbose=0), again.predict(x, verbose=0))
    assert [float(loss) for loss in model.losses] == [float(loss) for loss in again.losses]


def test_defaults_of_keras_are_left_out_and_long_lists_are_shortened():
    code = layers_as_code(build("mlp", MODELS["mlp"], info_of((8, 8, 1))).model)
    assert code[5] == "layers.Rescaling(1.0, offset=[0.0] * 64 + [1.0])"
    assert code[6] == (
        "layers.Dense(5, kernel_initializer=keras.initializers.RandomNormal(stddev=1.0), "
        "kernel_regularizer=keras.regularizers.L1L2(l1=0.01, l2=0.5))"
    )
    assert code[7] == "layers.LeakyReLU(negative_slope=0.1)"
    assert "layers.LayerNormalization()" in code
