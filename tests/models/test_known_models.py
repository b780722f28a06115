"""The models that hpo knows: what their parameters make, and what is refused."""

import subprocess
import sys
from dataclasses import replace

import numpy as np
import pytest

from hpo.data.adapting import adapting
from hpo.data.dataset import Dataset, Part
from hpo.errors import ModelError
from hpo.models import KNOWN, InvalidModel, build, check, keys, unknown_keys


def described(model):
    return [(type(layer).__name__, layer.get_config()) for layer in model.layers]


def dense(model):
    return [(config["units"], config["activation"]) for kind, config in described(model) if kind == "Dense"]


def test_importing_the_package_imports_no_tensorflow():
    code = "import hpo.models, sys; sys.exit(any(m in sys.modules for m in ('tensorflow', 'keras', 'numpy')))"
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0


def test_every_known_model_has_a_line_and_keys():
    assert set(KNOWN) == {"mlp", "cnn", "rnn", "conv1d", "text", "application"}
    assert all(line.endswith(".") and "\n" not in line for line in KNOWN.values())
    assert "width_N" in keys("mlp")
    assert keys("package.module:function") is None


def test_unknown_keys():
    names = ["depth", "width_12", "batch_size", "training.loss", "widht", "width_0", "filters"]
    found = unknown_keys("mlp", names)
    assert set(found) == {"widht", "width_0", "filters"}
    assert found["widht"] == "mlp reads no such parameter; did you mean width?"
    assert unknown_keys("package.module:function", ["anything"]) == {}


def test_keys_of_one_layer_and_keys_within_training():
    names = ["kernel_2", "block_dropout_1", "kernel_initializer_3", "leaky_slope", "early_stopping.patience"]
    assert unknown_keys("cnn", names) == {}
    assert set(unknown_keys("cnn", ["dense_1", "filters.low", "dropout_3", "units"])) == {
        "dense_1",
        "filters.low",
        "dropout_3",
        "units",
    }


def test_unknown_model(info_of):
    with pytest.raises(ModelError, match=r"unknown model 'mpl'; did you mean mlp\?"):
        build("mpl", {}, info_of((4,)))
    with pytest.raises(
        ModelError, match="unknown model 'transformer'; valid: mlp, cnn, rnn, conv1d, text, application"
    ):
        unknown_keys("transformer", [])


def test_mlp_defaults(info_of):
    built = build("mlp", {}, info_of((8, 8, 1)))
    assert dense(built.model) == [(128, "relu"), (128, "relu"), (10, "softmax")]
    assert (built.model.output_shape, built.model.compiled, built.fit) == ((None, 10), False, None)
    assert built.declared() is None


def test_mlp_layers_of_their_own(info_of):
    params = {"depth": 3, "width": 16, "width_2": 8, "activation": "tanh", "activation_3": "leaky_relu"}
    model = build("mlp", {**params, "dropout": 0.1, "dropout_2": 0.4, "dropout_3": 0.0}, info_of((64,))).model
    assert dense(model)[:-1] == [(16, "tanh"), (8, "tanh"), (16, "leaky_relu")]
    rates = {config["name"]: config["rate"] for kind, config in described(model) if kind == "Dropout"}
    assert rates == {"dropout_1": 0.1, "dropout_2": 0.4}


def test_mlp_without_hidden_layers_for_regression(info_of):
    assert dense(build("mlp", {"depth": 0}, info_of((4,), classes=None, outputs=2)).model) == [(2, "linear")]


def test_mlp_trains_and_keeps_to_probabilities(info_of):
    model = build("mlp", {"width": 4}, info_of((3,), classes=3)).model
    model.compile("adam", "sparse_categorical_crossentropy")
    model.fit(np.ones((8, 3), np.float32), np.zeros(8), verbose=0)
    assert np.allclose(model.predict(np.ones((2, 3), np.float32), verbose=0).sum(axis=1), 1, atol=1e-6)


def test_cnn_doubles_filters_and_orders_its_layers(info_of):
    params = {"blocks": 2, "filters": 4, "kernel": 5, "batch_normalization": True, "dense": 7, "dropout": 0.5}
    model = build("cnn", {**params, "pooling": "average", "activation": "silu"}, info_of((8, 8, 3))).model
    assert [kind for kind, _ in described(model)] == [
        *["Conv2D", "BatchNormalization", "Activation", "AveragePooling2D"] * 2,
        *["Flatten", "Dense", "Dropout", "Dense"],
    ]
    convolutions = [config for kind, config in described(model) if kind == "Conv2D"]
    assert [(one["filters"], one["kernel_size"], one["use_bias"]) for one in convolutions] == [
        (4, (5, 5), False),
        (8, (5, 5), False),
    ]
    assert dense(model) == [(7, "silu"), (10, "softmax")]


def test_cnn_never_shrinks_an_image_below_one_pixel(info_of):
    model = build("cnn", {"blocks": 5, "filters": 2, "dense": 0}, info_of((3, 5, 1))).model
    assert model.get_layer("flatten").output.shape == (None, 2 * 2**4)


def test_cnn_needs_images(info_of):
    with pytest.raises(ModelError, match=r"cnn needs images .* a sample of tiny has shape \(64,\)") as caught:
        build("cnn", {}, info_of((64,)))
    assert not isinstance(caught.value, InvalidModel)


def test_rnn_layers_of_their_own(info_of):
    params = {"layers": 3, "units": 4, "units_2": 6, "dropout_2": 0.25, "cell": "gru"}
    model = build("rnn", params, info_of((8, 2), classes=None)).model
    recurrent = [(config["units"], config["return_sequences"]) for kind, config in described(model) if kind == "GRU"]
    assert recurrent == [(4, True), (6, True), (4, False)]
    assert [kind for kind, _ in described(model)] == ["GRU", "GRU", "Dropout", "GRU", "Dense"]
    assert build("rnn", {**params, "bidirectional": True}, info_of((8, 2))).model.layers[-2].output.shape == (None, 8)
    assert [kind for kind, _ in described(build("rnn", {}, info_of((8, 2))).model)] == ["LSTM", "Dense"]


def test_sequences_are_the_rows_of_an_image_or_single_numbers(info_of):
    for shape, steps in (((6, 4, 3), (6, 12)), ((9,), (9, 1)), ((9, 2), (9, 2))):
        for name in ("rnn", "conv1d"):
            layer = next(one for one in build(name, {}, info_of(shape)).model.layers if one.name != "steps")
            assert layer.input.shape == (None, *steps)
        with pytest.raises(ModelError, match="rnn needs samples of several steps"):
            check("rnn", {}, info_of(()))


def test_a_text_model_has_a_vocabulary_of_the_training_part(info_of):
    texts, no_targets = np.array(["a b", "a c", "b"], dtype=object), np.zeros(3)
    info = replace(info_of((), classes=2), input_type="str")
    part = Part(texts, no_targets)
    params = {"vocabulary": 4, "length": 5, "embedding": 3, "units": 2, "layers": 2, "dropout": 0.25}
    kinds = {}
    with adapting(Dataset(info, part, part, part)):
        for pooling in ("average", "max", "recurrent"):
            model = build("text", {**params, "pooling": pooling}, info).model
            kinds[pooling] = [kind for kind, _ in described(model)][2:]
    assert kinds["average"] == ["GlobalAveragePooling1D", "Dropout", "Dense"]
    assert kinds["max"] == ["GlobalMaxPooling1D", "Dropout", "Dense"]
    assert kinds["recurrent"] == ["LSTM", "Dropout", "LSTM", "Dropout", "Dense"]
    assert model.layers[0].get_vocabulary() == ["", "[UNK]", "b", "a"]
    with pytest.raises(ModelError, match=r"text needs a text for each sample, and tiny has numbers of shape \(4,\)"):
        check("text", {}, info_of((4,)))
    with pytest.raises(ModelError, match="mlp takes numbers, and the input of tiny is text; model: text takes it"):
        check("mlp", {}, info)


def test_conv1d_has_the_blocks_of_cnn_over_steps(info_of):
    params = {
        "filters": 4,
        "kernel_2": 5,
        "padding": "valid",
        "pooling": "average",
        "dense": 7,
        "batch_normalization": True,
    }
    model = build("conv1d", params, info_of((20, 3), classes=None, outputs=2)).model
    assert [kind for kind, _ in described(model)] == [
        *["Conv1D", "BatchNormalization", "Activation", "AveragePooling1D"] * 2,
        *["Flatten", "Dense", "Dense"],
    ]
    convolutions = [config for kind, config in described(model) if kind == "Conv1D"]
    assert [(one["filters"], one["kernel_size"]) for one in convolutions] == [(4, (3,)), (8, (5,))]
    with pytest.raises(InvalidModel, match="block 2: a kernel of 5 does not fit its input of 4; use padding same"):
        check("conv1d", params, info_of((10, 3)))


@pytest.mark.parametrize(
    ("model", "params", "message"),
    [
        ("mlp", {"activation": "rleu"}, "activation must be an activation of Keras, got 'rleu'; did you mean relu?"),
        ("mlp", {"activation_2": 3}, "activation_2 must be an activation of Keras, got 3; valid: celu, elu"),
        ("mlp", {"depth": -1}, "depth must be a whole number of at least 0, got -1"),
        ("mlp", {"width_1": 2.5}, "width_1 must be a whole number of at least 1, got 2.5"),
        ("mlp", {"width": True}, "width must be a whole number of at least 1, got True"),
        ("mlp", {"dropout": 1.0}, "dropout must be a number from 0 to below 1, got 1.0"),
        ("cnn", {"pooling": "maxx"}, "pooling must be max, average or none, got 'maxx'; did you mean max?"),
        ("cnn", {"batch_normalization": 1}, "batch_normalization must be true or false, got 1"),
        ("rnn", {"cell": "lsmt"}, "cell must be lstm or gru, got 'lsmt'; did you mean lstm?"),
        ("rnn", {"units_1": 0}, "units_1 must be a whole number of at least 1, got 0"),
        ("rnn", {"layers": 0}, "layers must be a whole number of at least 1, got 0"),
        ("rnn", {"bidirectional": "yes"}, "bidirectional must be true or false, got 'yes'"),
        ("conv1d", {"pooling": "mean"}, "pooling must be max, average or none, got 'mean'"),
        ("cnn", {"filters": 0}, "filters must be a whole number of at least 1, got 0"),
    ],
)
def test_refused_values(info_of, model, params, message):
    with pytest.raises(InvalidModel) as caught:
        build(model, params, info_of((8, 8, 1)))
    assert str(caught.value).startswith(message)
