"""KerasTuner's models on the real HyperParameters: its documented examples and its own applications."""

import copy
import importlib
import json
import sys
from functools import partial

import numpy as np
import pytest

from hpo.config.declared import Declared
from hpo.errors import ModelError
from hpo.models import InvalidModel, build, discover

# Examples of the KerasTuner guides "Getting started with KerasTuner" and "Handling failed trials", and of the
# docstrings of HyperParameters, with small numbers.
CODE = """
import keras
import keras_tuner
from keras import layers

def build_model(hp):
    model = keras.Sequential()
    model.add(layers.Flatten())
    for i in range(hp.Int("num_layers", 1, 3)):
        units = hp.Int(f"units_{i}", min_value=4, max_value=12, step=4)
        model.add(layers.Dense(units=units, activation=hp.Choice("activation", ["relu", "tanh"])))
    if hp.Boolean("dropout"):
        model.add(layers.Dropout(rate=0.25))
    model.add(layers.Dense(10, activation="softmax"))
    learning_rate = hp.Float("lr", min_value=1e-4, max_value=1e-2, sampling="log")
    model.compile(
        optimizer=keras.optimizers.Adam(learning_rate=learning_rate),
        loss="sparse_categorical_crossentropy",
        metrics=["accuracy"],
    )
    return model

class Conditional(keras_tuner.HyperModel):
    def build(self, hp):
        model = keras.Sequential([keras.Input((8, 8, 1))])
        model_type = hp.Choice("model_type", ["mlp", "cnn"])
        with hp.conditional_scope("model_type", ["mlp"]):
            if model_type == "mlp":
                model.add(layers.Flatten())
                model.add(layers.Dense(hp.Int("units", 4, 8), activation="relu"))
        with hp.conditional_scope("model_type", ["cnn"]):
            if model_type == "cnn":
                model.add(layers.Conv2D(hp.Int("units", 2, 3), 3, activation="relu"))
                pooling = hp.Choice("pooling", ["max", "flat"])
                with hp.conditional_scope("pooling", ["flat"]):
                    if pooling == "flat":
                        model.add(layers.Flatten())
                        hp.Fixed("deep", 5)
                with hp.conditional_scope("pooling", ["max"]):
                    if pooling == "max":
                        model.add(layers.GlobalMaxPooling2D())
        hp.Int("extra", 1, 2, parent_name="model_type", parent_values=["cnn"])
        assert hp.values["model_type"] == model_type
        self.seen = dict(hp.values)
        model.add(layers.Dense(10, activation="softmax"))
        return model

conditional = Conditional()

class OwnFit(keras_tuner.HyperModel):
    def build(self, hp):
        model = keras.Sequential([layers.Dense(hp.Int("units", 2, 4), input_shape=(1,)), layers.Dense(1)])
        model.compile(loss="mse")
        return model

    def fit(self, hp, model, *args, **kwargs):
        if hp.get("units") == 4:
            raise keras_tuner.errors.FailedTrialError("four are too many")
        return model.fit(*args, batch_size=hp.Choice("batch_size", [16, 32]), **kwargs)

def too_large(hp):
    model = keras.Sequential([keras.Input((4,)), layers.Dense(hp.Int("units", 1, 8, default=8))])
    if model.count_params() > 20:
        raise keras_tuner.errors.FailedTrialError(f"Model too large! {model.count_params()}")
    hp.Float("rate", 0, 1, default=None)
    return model

def fails_when_mixed(hp):
    if hp.Boolean("a"):
        hp.Fixed("only_a", 1)
    if hp.Choice("b", ["x", "y"]) == "y":
        raise RuntimeError("y is broken")
    return keras.Sequential([layers.Dense(1)])

def broken(hp):
    hp.Int("n", 1, 2)
    return 1 / 0

class Declares(keras_tuner.HyperModel):
    def declare_hyperparameters(self, hp):
        hp.Int("before", 1, 3)

    def build(self, hp):
        return keras.Sequential([keras.Input((4,)), layers.Dense(hp.get("before"))])

class Needs(Declares):
    def __init__(self, width, num_classes):
        super().__init__()
        self.width = width

class Fixed(Declares):
    def __init__(self, num_classes, **kwargs):
        super().__init__(**kwargs)
        self.classes = num_classes

    def build(self, hp):
        return keras.Sequential([keras.Input((4,)), layers.Dense(self.classes)])
"""


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    folder = tmp_path_factory.mktemp("tuner")
    (folder / "tuner_examples.py").write_text(CODE)
    path = list(sys.path)
    yield [folder]
    sys.path[:] = path
    sys.modules.pop("tuner_examples", None)


@pytest.fixture
def info(info_of):
    return info_of((8, 8, 1))


def names(declared):
    return [entry["config"]["name"] for entry in declared.config["space"]]


def test_the_getting_started_example(folder, info):
    found = discover("tuner_examples:build_model", info, folder)
    assert names(found) == ["num_layers", "units_0", "activation", "dropout", "lr", "units_1", "units_2"]
    space = Declared(json.loads(json.dumps(found.config))).space("tuner_examples:build_model")
    assert list(space.parameters["units_2"].values()) == [4, 8, 12]
    assert space.parameters["lr"].log

    params = {"num_layers": 2, "units_0": 12, "units_1": 8, "activation": "tanh", "dropout": True, "lr": 0.005}
    before = copy.deepcopy(found)
    built = build("tuner_examples:build_model", {**params, "batch_size": 8}, info, folder, found)
    layers = [layer.get_config() for layer in built.model.layers]
    assert [layer.get("units") for layer in layers] == [None, 12, 8, None, 10]
    assert float(built.model.optimizer.learning_rate) == pytest.approx(0.005)
    assert (built.model.compiled, built.fit, built.declared()) == (True, None, None)
    assert found == before


def test_unknown_declarations_take_defaults_and_are_reported(folder, info):
    built = build("tuner_examples:build_model", {"num_layers": 2, "units_1": 8}, info, folder)
    assert [layer.units for layer in built.model.layers if hasattr(layer, "units")] == [4, 8, 10]
    assert names(built.declared()) == ["num_layers", "units_0", "activation", "units_1", "dropout", "lr"]


@pytest.mark.parametrize("name", ["Conditional", "conditional"])
def test_conditional_scopes(folder, info, name):
    found = discover(f"tuner_examples:{name}", info, folder)
    assert sorted(names(found)) == ["deep", "extra", "model_type", "pooling", "units", "units"]
    space = found.space("m:f")
    assert space.parameters["deep"].when == {"model_type": "cnn", "pooling": "flat"}
    assert space.parameters["units when model_type is cnn"].sets == "units"
    for smallest in space.configurations():
        build(f"tuner_examples:{name}", space.settings(smallest), info, folder, found)


def test_only_active_values_are_set(folder, info):
    conditional = importlib.import_module("tuner_examples").conditional

    found = discover("tuner_examples:conditional", info, folder)
    params = {"model_type": "mlp", "units": 7, "pooling": "flat", "extra": 2}
    model = build("tuner_examples:conditional", params, info, folder, found).model
    assert conditional.seen == {"model_type": "mlp", "units": 7}
    assert model.layers[1].units == 7
    build("tuner_examples:conditional", {"model_type": "cnn"}, info, folder, found)
    assert conditional.seen == {"model_type": "cnn", "units": 2, "pooling": "max", "extra": 1}


@pytest.mark.filterwarnings("ignore:Do not pass an `input_shape`:UserWarning")
def test_own_fit_declares_when_it_runs(folder, info):
    found = discover("tuner_examples:OwnFit", info, folder)
    assert names(found) == ["units"]
    built = build("tuner_examples:OwnFit", {"units": 3}, info, folder, found)
    assert built.declared() is None
    x = np.zeros((64, 1), np.float32)
    history = built.fit(built.model, x, x, epochs=2, verbose=0)
    assert len(history.history["loss"]) == 2
    assert history.params["steps"] == 4
    assert names(built.declared()) == ["units", "batch_size"]
    again = build("tuner_examples:OwnFit", {"units": 3, "batch_size": 32}, info, folder, built.declared())
    assert again.fit(again.model, x, x, verbose=0).params["steps"] == 2
    refused = build("tuner_examples:OwnFit", {"units": 4}, info, folder, found)
    with pytest.raises(InvalidModel, match="four are too many"):
        refused.fit(refused.model, x, x)


def test_a_failed_trial_is_an_invalid_model(folder, info):
    with pytest.raises(InvalidModel, match="Model too large! 40"):
        build("tuner_examples:too_large", {"units": 8}, info, folder)
    assert build("tuner_examples:too_large", {"units": 4}, info, folder).model.count_params() == 20


def test_discovery_goes_on_after_failed_builds(folder, info):
    assert names(discover("tuner_examples:too_large", info, folder)) == ["units", "rate"]
    assert names(discover("tuner_examples:fails_when_mixed", info, folder)) == ["a", "b", "only_a"]


def test_a_model_broken_at_its_defaults(folder, info):
    line = CODE.splitlines().index("def broken(hp):") + 3
    with pytest.raises(ModelError) as caught:
        discover("tuner_examples:broken", info, folder)
    assert str(caught.value) == (
        f"tuner_examples:broken: tuner_examples.py:{line}: cannot be built at its default values: "
        "ZeroDivisionError: division by zero"
    )
    with pytest.raises(ZeroDivisionError):
        build("tuner_examples:broken", {}, info, folder)


def test_declare_hyperparameters(folder, info):
    found = discover("tuner_examples:Declares", info, folder)
    assert names(found) == ["before"]
    assert build("tuner_examples:Declares", {"before": 3}, info, folder, found).model.output_shape == (None, 3)


def test_constructors(folder, info):
    assert build("tuner_examples:Fixed", {}, info, folder).model.output_shape == (None, 10)
    with pytest.raises(ModelError, match="Needs: its constructor needs width, and only input_shape, classes"):
        build("tuner_examples:Needs", {}, info, folder)


def test_hyper_xception(info_of):
    path, info = "keras_tuner.applications:HyperXception", info_of((32, 32, 3))
    found = discover(path, info)
    assert len(found.config["space"]) == 11
    smallest, _ = found.space(path).extremes()
    model = build(path, {**smallest, "num_residual_blocks": 3}, info, (), found).model
    assert (model.output_shape, model.loss) == ((None, 10), "categorical_crossentropy")
    assert sum("separable" in layer.name for layer in model.layers) == 2 * (3 + 1)


def test_hyper_resnet(info_of):
    path = "keras_tuner.applications:HyperResNet"
    model = build(path, {"version": "v1", "optimizer": "sgd", "pooling": "max"}, info_of((32, 32, 3))).model
    assert (model.output_shape, type(model.optimizer).__name__) == ((None, 10), "SGD")
    assert "max_pool" in [layer.name for layer in model.layers]


def test_hyper_efficientnet(info_of, monkeypatch):
    from keras_tuner.src.applications import efficientnet

    # Its pre-trained weights would be downloaded.
    untrained = {name: partial(make, weights=None) for name, make in efficientnet.EFFICIENTNET_MODELS.items()}
    monkeypatch.setattr(efficientnet, "EFFICIENTNET_MODELS", untrained)
    path = "keras_tuner.applications:HyperEfficientNet"
    built = build(path, {"learning_rate": 0.1}, info_of((32, 32, 3)))
    assert built.model.output_shape == (None, 10)
    assert float(built.model.optimizer.learning_rate) == pytest.approx(0.1)
    assert names(built.declared()) == ["version", "pooling", "top_dropout_rate", "learning_rate"]
