"""cnn: what each of its parameters makes of the layers, and the shapes that do not go together."""

import itertools
import random

import keras
import numpy as np
import pytest

from hpo.models import InvalidModel, build, check


@pytest.fixture
def cnn(info_of):
    """Builds a cnn of images of 12 by 10 pixels, from seed 0."""

    def make(classes=3, shape=(12, 10, 1), **params):
        random.seed(0)  # from which Keras draws the seeds of layers
        return build("cnn", params, info_of(shape, classes=classes)).model

    return make


def layers_of(model, kind):
    return [layer for layer in model.layers if type(layer).__name__ == kind]


def kinds(model):
    return [type(layer).__name__ for layer in model.layers]


def test_without_new_keys_the_network_is_unchanged(cnn):
    keras.utils.clear_session()  # which numbers the names of layers anew
    model = cnn(blocks=2, filters=4, kernel=5, batch_normalization=True, pooling="average", dense=7, dropout=0.5)
    plain = cnn(blocks=1, activation="leaky_relu", dense=0, dropout=0.5)
    keras.utils.clear_session()
    random.seed(0)
    layers = [keras.Input((12, 10, 1), name="input")]
    for filters, number in ((4, ""), (8, "_1")):
        layers += [
            keras.layers.Conv2D(filters, 5, padding="same", use_bias=False, name=f"conv2d{number}"),
            keras.layers.BatchNormalization(name=f"batch_normalization{number}"),
            keras.layers.Activation("relu", name=f"activation{number}"),
            keras.layers.AveragePooling2D(2, padding="same", name=f"average_pooling2d{number}"),
        ]
    layers += [
        keras.layers.Flatten(name="flatten"),
        keras.layers.Dense(7, activation="relu", name="dense"),
        keras.layers.Dropout(0.5, name="dropout"),
        keras.layers.Dense(3, activation="softmax", dtype="float32", name="output"),
    ]
    by_hand = keras.Sequential(layers, name="cnn")
    assert model.get_config() == by_hand.get_config()
    for one, other in zip(model.get_weights(), by_hand.get_weights(), strict=True):
        np.testing.assert_array_equal(one, other)
    assert kinds(plain) == ["Conv2D", "Activation", "MaxPooling2D", "Flatten", "Dropout", "Dense"]
    assert layers_of(plain, "Conv2D")[0].use_bias


def test_a_list_of_blocks(cnn):
    model = cnn(
        blocks=[
            {"filters": 3, "kernel": 5, "padding": "valid", "activation": "tanh", "pooling": "none", "dropout": 0.25},
            {"kernel": 1, "convolutions": 2, "batch_normalization": True, "pooling": "average", "pool_size": 3},
            {"activation": "leaky_relu", "leaky_slope": 0.125},
        ],
        filters=6,
        dense=0,
    )
    assert kinds(model) == [
        *["Conv2D", "Activation", "Dropout"],
        *["Conv2D", "BatchNormalization", "Activation"] * 2,
        "AveragePooling2D",
        *["Conv2D", "LeakyReLU", "MaxPooling2D"],
        *["Flatten", "Dense"],
    ]
    convolutions = layers_of(model, "Conv2D")
    # Where a block does not say how many filters: `filters`, doubled with each block.
    assert [(one.filters, one.kernel_size, one.padding, one.use_bias) for one in convolutions] == [
        (3, (5, 5), "valid", True),
        (12, (1, 1), "same", False),
        (12, (1, 1), "same", False),
        (24, (3, 3), "same", True),
    ]
    assert [one.activation.__name__ for one in layers_of(model, "Activation")] == ["tanh", "relu", "relu"]
    assert layers_of(model, "Dropout")[0].rate == 0.25
    assert float(layers_of(model, "LeakyReLU")[0](np.array([[-8]], np.float32))[0, 0]) == -1
    assert layers_of(model, "AveragePooling2D")[0].pool_size == (3, 3)
    # 12 x 10, less 4, in threes, in twos.
    assert model.get_layer("flatten").output.shape == (None, 2 * 1 * 24)


def test_the_keys_of_a_block_win_over_the_list_and_the_list_over_those_of_all(cnn):
    model = cnn(
        blocks=[{"kernel": 5, "filters": 2}, {"kernel": 5, "dropout": 0.5}],
        kernel=1, kernel_2=3, filters=4, filters_2=5, block_dropout=0.1, pooling="none", pooling_2="max",
        activation="relu", activation_1="elu", l2=0.5, l2_1=0, l1_2=0.25, kernel_initializer_2="zeros", dense=6,
    )  # fmt: skip
    first, second = layers_of(model, "Conv2D")
    assert [(one.filters, one.kernel_size) for one in (first, second)] == [(2, (5, 5)), (5, (3, 3))]
    assert [one.rate for one in layers_of(model, "Dropout")] == [0.1, 0.5]
    assert kinds(model)[:3] == ["Conv2D", "Activation", "Dropout"]
    assert kinds(model)[3:7] == ["Conv2D", "Activation", "MaxPooling2D", "Dropout"]
    assert [one.activation.__name__ for one in layers_of(model, "Activation")] == ["elu", "relu"]
    assert first.get_weights()[0].any()
    assert not second.get_weights()[0].any()
    dense = model.get_layer("dense").get_weights()[0]
    assert [float(loss) for loss in model.losses] == pytest.approx([0, 0.5 * np.square(dense).sum()], rel=1e-5)


def test_filters_double_but_where_a_block_has_its_own(cnn):
    assert [one.filters for one in layers_of(cnn(blocks=3, filters=4, filters_2=5), "Conv2D")] == [4, 5, 16]


def test_dense_layers_behind_the_blocks(cnn):
    model = cnn(blocks=[], dense=[6, 4], dropout=0.5, activation="leaky_relu", leaky_slope=0.3, use_bias=False)
    assert kinds(model) == ["Flatten", *["Dense", "LeakyReLU", "Dropout"] * 2, "Dense"]
    assert [one.units for one in layers_of(model, "Dense")] == [6, 4, 3]
    assert [one.use_bias for one in layers_of(model, "Dense")] == [False, False, True]
    assert kinds(cnn(blocks=0, dense=[])) == ["Flatten", "Dense"]


def test_a_sigmoid_for_two_classes_is_one_unit(cnn):
    assert cnn(classes=2, output_activation="sigmoid").output_shape == (None, 1)
    assert cnn(classes=None, output_activation="softplus").get_layer("output").activation.__name__ == "softplus"


@pytest.mark.parametrize(
    ("params", "key", "message"),
    [
        (
            {"blocks": 4, "kernel": 5, "padding": "valid", "kernel_1": 1, "pooling": "none"},
            "kernel",
            "block 4: a kernel of 5 does not fit its input of 4 x 2; use padding same, a smaller kernel or fewer",
        ),
        (
            {"blocks": [{"kernel": 4, "convolutions": 4, "padding": "valid"}]},
            "blocks",
            "block 1: a kernel of 4 does not fit its input of 3 x 1;",
        ),
        (
            {"padding": "valid", "pool_size_2": 9},
            "pool_size_2",
            "block 2: a pool_size of 9 does not fit its input of 3 x 2; use padding same, a smaller pool_size",
        ),
        ({"blocks": 9, "padding": "valid"}, "padding", "block 3: a kernel of 3 does not fit its input of 1 x 1"),
        ({"blocks": [{"kernle": 3}]}, "blocks", "block 1: unknown key 'kernle'; did you mean kernel?"),
        ({"blocks": [{}, 3]}, "blocks", "block 2 must be a mapping, as {filters: 32, kernel: 3}, got 3"),
        ({"blocks": [{}, {"filters": 0}]}, "blocks", "filters of block 2 must be a whole number of at least 1, got 0"),
        ({"blocks": [{"dropout": 1}]}, "blocks", "dropout of block 1 must be a number from 0 to below 1, got 1"),
        ({"block_dropout_2": -1}, "block_dropout_2", "block_dropout_2 must be a number from 0 to below 1, got -1"),
        ({"blocks": -1}, "blocks", "blocks must be a whole number of at least 0, got -1"),
        ({"padding": "full"}, "padding", "padding must be same or valid, got 'full'"),
        ({"dense": [3, 0]}, "dense", "dense must be a list of whole numbers of at least 1, got [3, 0]"),
        ({"dense": "x"}, "dense", "dense must be a whole number of at least 0, got 'x'"),
        ({"convolutions_1": 0}, "convolutions_1", "convolutions_1 must be a whole number of at least 1, got 0"),
    ],
)
def test_impossible_networks_are_refused_before_they_are_built(info_of, params, key, message):
    for refuse in (check, build):
        with pytest.raises(InvalidModel) as caught:
            refuse("cnn", params, info_of((12, 10, 1)))
        assert str(caught.value).startswith(message)
        assert caught.value.key == key


def test_networks_that_pass_the_check_can_be_built(info_of):
    """Keras builds what the arithmetic lets pass, and puts out what it says, to the last pixel."""
    found = []
    for kernel, pool, convolutions, padding in itertools.product((1, 3, 4), (1, 2, 3), (1, 2), ("same", "valid")):
        params = {"kernel": kernel, "pool_size": pool, "convolutions": convolutions, "padding": padding, "filters": 1}
        try:
            check("cnn", params, info_of((9, 8, 1)))
        except InvalidModel:
            found.append(False)
            continue
        found.append(True)
        shape = build("cnn", {**params, "dense": 0}, info_of((9, 8, 1))).model.get_layer("flatten").output.shape
        assert shape[1] >= 1
    assert {True, False} == set(found)


def test_a_kernel_as_large_as_its_input_is_the_largest(info_of):
    def whole(kernel):
        return {"blocks": 1, "kernel": kernel, "padding": "valid", "pooling": "none", "dense": 0}

    model = build("cnn", whole(10), info_of((12, 10, 1))).model
    assert model.get_layer("flatten").output.shape == (None, 3 * 1 * 32)
    with pytest.raises(InvalidModel, match="a kernel of 11 does not fit its input of 12 x 10"):
        check("cnn", whole(11), info_of((12, 10, 1)))
