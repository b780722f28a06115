"""mlp: what each of its parameters makes of the layers and their weights."""

import random

import keras
import numpy as np
import pytest

from hpo.models import build

FEATURES = np.linspace(-1, 1, 12, dtype=np.float32).reshape(3, 4)


@pytest.fixture
def mlp(info_of):
    """Builds an mlp of four features, from seed 0 unless told otherwise."""

    def make(classes=3, seed=0, **params):
        random.seed(seed)  # from which Keras draws the seeds of layers
        return build("mlp", params, info_of((4,), classes=classes)).model

    return make


def kinds(model):
    return [type(layer).__name__ for layer in model.layers]


def weights_of(model):
    """The weights of the dense layers, in order: a list (kernel, bias), or (kernel,), each."""
    return [layer.get_weights() for layer in model.layers if isinstance(layer, keras.layers.Dense)]


def test_without_new_keys_the_network_is_unchanged(mlp):
    keras.utils.clear_session()  # which numbers the names of layers anew
    model = mlp(depth=2, width=5, width_2=3, activation="tanh", activation_1="leaky_relu", dropout_1=0.25)
    keras.utils.clear_session()
    random.seed(0)
    by_hand = keras.Sequential(
        [
            keras.Input((4,), name="input"),
            keras.layers.Flatten(name="flatten"),
            keras.layers.Dense(5, activation="leaky_relu", name="hidden_1"),
            keras.layers.Dropout(0.25, name="dropout_1"),
            keras.layers.Dense(3, activation="tanh", name="hidden_2"),
            keras.layers.Dense(3, activation="softmax", dtype="float32", name="output"),
        ],
        name="mlp",
    )
    assert model.get_config() == by_hand.get_config()
    for one, other in zip(model.get_weights(), by_hand.get_weights(), strict=True):
        np.testing.assert_array_equal(one, other)


def test_units_list_the_width_of_each_layer(mlp):
    assert [kernel.shape for kernel, _ in weights_of(mlp(units=[7, 5, 2]))] == [(4, 7), (7, 5), (5, 2), (2, 3)]
    assert [kernel.shape for kernel, _ in weights_of(mlp(units=[]))] == [(4, 3)]


def test_activations_for_all_layers_and_for_one(mlp):
    model = mlp(depth=4, activation="swish", activation_2="leaky_relu", activation_3="leaky_relu", leaky_slope_3=0.5)
    silu, leaky = model.get_layer("hidden_1"), model.get_layer("hidden_2")
    steeper = model.layers[kinds(model).index("LeakyReLU")]
    one = keras.ops.convert_to_tensor([[-1.0]])
    assert silu.activation is keras.activations.silu
    assert float(leaky.activation(one)[0, 0]) == pytest.approx(-0.2)
    assert float(steeper(one)[0, 0]) == -0.5
    assert kinds(model)[:6] == ["Flatten", "Dense", "Dense", "Dense", "LeakyReLU", "Dense"]
    # The layer before it is linear: the slope is applied once.
    assert model.get_layer("hidden_3").activation is keras.activations.linear


def test_initializers_by_name_and_arguments(mlp):
    model = mlp(
        width=400,
        kernel_initializer={"name": "random_normal", "mean": 3.0, "stddev": 0.5},
        kernel_initializer_2="zeros",
        bias_initializer={"name": "constant", "value": 0.25},
        bias_initializer_2="ones",
    )
    (first, first_bias), (second, second_bias), (last, last_bias) = weights_of(model)
    assert first.mean() == pytest.approx(3, abs=0.1)
    assert first.std() == pytest.approx(0.5, abs=0.1)
    assert set(second.ravel()) == {0}
    assert (set(first_bias), set(second_bias)) == ({0.25}, {1})
    # The output layer's begin as those of all layers.
    assert last.mean() == pytest.approx(3, abs=0.1)
    assert set(last_bias) == {0.25}


def test_initializers_by_name_draw_from_the_seed(mlp):
    def first(seed):
        return mlp(seed=seed, kernel_initializer="he_normal").get_weights()[0]

    np.testing.assert_array_equal(first(1), first(1))
    assert not np.array_equal(first(1), first(2))
    one, other = (mlp(units=[4, 4], kernel_initializer="he_normal").get_layer(f"hidden_{n}") for n in (1, 2))
    assert not np.array_equal(one.get_weights()[0], other.get_weights()[0])


def test_bias_on_and_off(mlp):
    assert [len(layer) for layer in weights_of(mlp(use_bias=False))] == [1, 1, 2]
    assert [len(layer) for layer in weights_of(mlp(use_bias_2=False))] == [2, 1, 2]
    assert [len(layer) for layer in weights_of(mlp(output_use_bias=False))] == [2, 2, 1]


def test_normalization_stands_between_a_layer_and_its_activation(mlp):
    model = mlp(depth=3, normalization="batch", normalization_2="layer", normalization_3="none")
    assert kinds(model)[1:8] == [
        *["Dense", "BatchNormalization", "Activation"],
        *["Dense", "LayerNormalization", "Activation"],
        "Dense",
    ]
    # Batch normalization has a bias of its own.
    assert [len(layer) for layer in weights_of(model)] == [1, 2, 2, 2]
    assert [len(layer) for layer in weights_of(mlp(normalization="batch", use_bias=True))] == [2, 2, 2]
    normalized = keras.Model(model.inputs, model.get_layer("normalization_2").output).predict(FEATURES, verbose=0)
    assert normalized.mean(axis=1) == pytest.approx([0, 0, 0], abs=1e-5)


def test_penalties_of_the_weights_are_added_to_the_loss(mlp):
    model = mlp(depth=2, l1=0.01, l2=0.1, l1_2=0, l2_2=0.5)
    (first, _), (second, _), _ = weights_of(model)
    expected = [0.01 * np.abs(first).sum() + 0.1 * np.square(first).sum(), 0.5 * np.square(second).sum()]
    assert [float(loss) for loss in model.losses] == pytest.approx(expected, rel=1e-5)
    assert mlp(l1=0.0).losses == []


def test_an_input_of_ones(mlp):
    model = mlp(units=[5], activation="linear", use_bias=False, constant_input=True)
    kernel = weights_of(model)[0][0]
    assert kernel.shape == (5, 5)
    hidden = keras.Model(model.inputs, model.get_layer("hidden_1").output).predict(FEATURES, verbose=0)
    np.testing.assert_allclose(hidden, FEATURES @ kernel[:-1] + kernel[-1], atol=1e-6)


def test_heads(mlp):
    def head(**more):
        output = mlp(**more).get_layer("output")
        return output.units, output.activation.__name__

    assert head(classes=3) == (3, "softmax")
    assert head(classes=3, output_activation="sigmoid") == (3, "sigmoid")
    assert head(classes=2) == (2, "softmax")
    # The probability of the second class.
    assert head(classes=2, output_activation="sigmoid") == (1, "sigmoid")
    assert head(classes=None) == (1, "linear")
    assert head(classes=None, output_activation="tanh") == (1, "tanh")
