"""What mlp and cnn have in common: Keras's names without Keras, and values that are refused."""

import pickle
import subprocess
import sys

import keras
import pytest

from hpo.models import InvalidModel, build, check
from hpo.models.keras_names import ACTIVATIONS, INITIALIZERS

CHECKED = """
import sys
from types import SimpleNamespace
from hpo.models import InvalidModel, check

described = {"name": "tiny", "task": "classification", "input_shape": (8, 8, 1), "classes": 3, "outputs": 3}
info = SimpleNamespace(**described, inputs=(), is_text=False, target_shape=None)
check("mlp", {"activation": "gelu", "kernel_initializer": "he_normal"}, info)
for model, params in (("mlp", {"activation": "rleu"}), ("cnn", {"kernel": 9, "padding": "valid"})):
    try:
        check(model, params, info)
    except InvalidModel:
        continue
    sys.exit("not refused")
sys.exit(any(name in sys.modules for name in ("tensorflow", "keras", "numpy")))
"""


def test_models_are_checked_without_keras():
    assert subprocess.run([sys.executable, "-c", CHECKED], check=False).returncode == 0


def public(module):
    return {name for name in vars(module) if not name.startswith("_")} - {"deserialize", "get", "serialize"}


def test_the_names_are_keras_own():
    # threshold needs arguments, and glu puts out half of what comes in.
    assert set(ACTIVATIONS) == public(keras.activations) - {"threshold", "glu"}
    snake = {name for name in public(keras.initializers) if name.islower()}
    # stft makes the kernels of Fourier transforms.
    assert set(INITIALIZERS) == snake - {"stft"}


@pytest.mark.parametrize("name", INITIALIZERS)
def test_the_arguments_of_initializers_are_keras_own(name):
    taken = set(getattr(keras.initializers, name)().get_config()) - {"seed", "input_axes", "output_axes"}
    plain = name.startswith(("glorot", "he", "lecun"))
    assert set(INITIALIZERS[name]) == (set() if plain else taken)
    for argument, words in INITIALIZERS[name].items():
        for word in words:
            getattr(keras.initializers, name)(**{argument: word})


@pytest.mark.parametrize(
    ("params", "key", "message"),
    [
        ({"units": 400}, "units", "units must be a list of whole numbers of at least 1, got 400"),
        ({"units": [4, 0]}, "units", "units must be a list of whole numbers of at least 1, got [4, 0]"),
        ({"units": [4], "depth": 1}, "depth", "units lists the width of each layer, which leaves nothing to depth:"),
        ({"units": [4], "width_2": 1}, "width_2", "units lists the width of each layer, which leaves nothing to"),
        ({"width_2": 0}, "width_2", "width_2 must be a whole number of at least 1, got 0"),
        ({"activation": "glu"}, "activation", "activation must be an activation of Keras, got 'glu'; did you mean"),
        ({"activation": "leaky_relu", "leaky_slope": -1}, "leaky_slope", "leaky_slope must be a number of at least 0"),
        ({"l2": float("nan")}, "l2", "l2 must be a number of at least 0, got nan"),
        ({"normalization_1": True}, "normalization_1", "normalization_1 must be none, batch or layer, got True"),
        ({"use_bias": 0}, "use_bias", "use_bias must be true or false, got 0"),
        (
            {"kernel_initializer": "he_norml"},
            "kernel_initializer",
            "kernel_initializer must be an initializer of Keras, got 'he_norml'; did you mean he_normal?",
        ),
        ({"kernel_initializer": {"name": ["ones"]}}, "kernel_initializer", "kernel_initializer must be an initializer"),
        (
            {"kernel_initializer_1": {"stddev": 1}},
            "kernel_initializer_1",
            "kernel_initializer_1 must be an initializer of Keras, or a mapping of its name and arguments, got {",
        ),
        (
            {"kernel_initializer": {"name": "random_normal", "std": 1}},
            "kernel_initializer",
            "kernel_initializer: random_normal has no 'std'; did you mean stddev?",
        ),
        (
            {"kernel_initializer": {"name": "he_normal", "seed": 1}},
            "kernel_initializer",
            "kernel_initializer: he_normal has no 'seed'; it takes no arguments",
        ),
        (
            {"kernel_initializer": {"name": "random_normal", "stddev": "1"}},
            "kernel_initializer",
            "kernel_initializer: stddev must be a finite number, got '1'",
        ),
        (
            {"kernel_initializer": {"name": "variance_scaling", "mode": "fan"}},
            "kernel_initializer",
            "kernel_initializer: mode must be one of fan_in, fan_out, fan_avg, got 'fan'",
        ),
        (
            {"kernel_initializer": {"name": "variance_scaling", "scale": 0}},
            "kernel_initializer",
            "kernel_initializer: scale must be above 0, got 0",
        ),
        (
            {"bias_initializer": "orthogonal"},
            "bias_initializer",
            "bias_initializer: orthogonal makes matrices, and a bias is a vector",
        ),
        (
            {"output_activation": "relu"},
            "output_activation",
            "output_activation must be softmax or sigmoid, got",
        ),
        ({"output_use_bias": None}, "output_use_bias", "output_use_bias must be true or false, got None"),
    ],
)
def test_refused_values(info_of, params, key, message):
    for refuse in (check, build):
        with pytest.raises(InvalidModel) as caught:
            refuse("mlp", params, info_of((4,)))
        assert str(caught.value).startswith(message)
        assert caught.value.key == key
    # Engines may send errors from process to process.
    assert pickle.loads(pickle.dumps(caught.value)).key == key


def test_keys_of_models_by_import_path_are_unknown(info_of):
    check("package.module:function", {"depth": -1}, info_of((4,)))
