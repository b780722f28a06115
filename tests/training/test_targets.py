"""Targets are scaled for training alone: what is predicted, saved and logged is in their own unit."""

import zipfile
from typing import Any

import keras
import numpy as np
import pytest

from hpo.config.dataset import DatasetSpec
from hpo.config.training import TrainingSpec
from hpo.data import load, open_prepared
from hpo.training.compiling import compile_model
from hpo.training.messages import Finished
from hpo.training.targets import OwnUnitLoss

ONE_BATCH = {"epochs": 5, "batch_size": 1000, "learning_rate": 0.05}


@pytest.fixture
def priced(tmp_path, prepared):
    """The folder of data of which only the unit of the target differs: `unit`, `offset`."""
    rng = np.random.default_rng(0)
    x = rng.normal(size=(150, 3))
    y = x[:, 0] + 0.5 * x[:, 1] ** 2

    def folder(unit=1.0, offset=0.0, **section):
        file = tmp_path / f"{unit}_{offset}.npz"
        if not file.exists():
            np.savez(file, x_train=x, y_train=unit * y + offset)
        return prepared(path=str(file), task="regression", **section)

    return folder


@pytest.mark.parametrize("optimizer", ["sgd", "adam"])
def test_the_unit_of_a_target_changes_nothing_but_the_unit_of_scores(optimizer, priced, run_job):
    training = {**ONE_BATCH, "optimizer": optimizer}
    small, large = (
        run_job(data=priced(*unit), objective="val_mae", training=training) for unit in ((1.0,), (1e5, 4e5))
    )
    assert small.events[0].note is large.events[0].note is None
    for name, power in (("loss", 2), ("val_loss", 2), ("mae", 1), ("val_mae", 1)):
        assert large.curves[name] == pytest.approx([1e5**power * one for one in small.curves[name]], rel=2e-3), name
    # Left as they are, such targets are out of reach.
    far = run_job(data=priced(1e5, 4e5, target_scaling="none"), objective="val_mae", training=training)
    assert not isinstance(far.last, Finished) or min(far.curves["val_mae"]) > 2 * min(large.curves["val_mae"])


CASES: dict[str, tuple[dict[str, Any], ...]] = {
    "in the graph": ({"name": "diabetes", "limit": 100}, {}, {}),
    "through fit": ({"name": "diabetes", "limit": 100}, {}, {"callbacks": ["own_code:CountBatches"]}),
    "two targets": ({"function": "own_code:two_numbers"}, {}, {}),
    "huber": ({"name": "diabetes", "limit": 100}, {}, {"loss": "huber"}),
    "minmax and sigmoid": (
        {"name": "diabetes", "limit": 100, "target_scaling": "minmax"},
        {"output_activation": "sigmoid"},
        {},
    ),
    "none": ({"name": "diabetes", "limit": 100, "target_scaling": "none"}, {}, {}),
}


@pytest.mark.parametrize("case", CASES)
def test_a_saved_model_predicts_in_the_targets_own_unit(case, prepared, run_job, tmp_path):
    section, params, training = CASES[case]
    folder, file = prepared(**section), tmp_path / "model.keras"
    line = run_job(
        data=folder, objective="val_mae", save_to=str(file), training={"epochs": 3, **training},
        params={"depth": 1, "width": 8, **params},
    )  # fmt: skip
    assert isinstance(line.last, Finished), line.last
    assert line.last.model_note is None
    assert "hpo" not in zipfile.ZipFile(file).read("config.json").decode()
    model = keras.saving.load_model(file, safe_mode=True)
    test = open_prepared(folder).test
    predicted = np.asarray(model(np.asarray(test.x, "float64")))
    assert np.abs(predicted - test.y.reshape(predicted.shape)).mean() == pytest.approx(line.last.test["mae"], rel=1e-4)
    evaluated = model.evaluate(test.x, test.y, verbose=0, return_dict=True)
    assert evaluated == pytest.approx({name: line.last.test[name] for name in evaluated}, rel=1e-3)
    layers = [type(layer).__name__ for layer in model.layers[-1].layers]
    assert (layers[-1] == "Rescaling") == (case != "none")


def test_both_ways_of_training_log_the_same(prepared, run_job):
    folder = prepared(name="diabetes", limit=100)
    ways = [{}, {"callbacks": ["own_code:CountBatches"]}]
    graph, fit = (run_job(data=folder, objective="val_loss", training={**ONE_BATCH, **way}) for way in ways)
    for name in ("loss", "mae", "val_loss", "val_mae"):
        assert graph.curves[name] == pytest.approx(fit.curves[name], rel=1e-3), name


def test_a_target_that_does_not_vary(tmp_path, prepared, run_job):
    x = np.random.default_rng(0).normal(size=(80, 2))
    np.savez(tmp_path / "constant.npz", x_train=x, y_train=np.stack([x[:, 0], np.full(80, 5.0)], axis=1))
    folder = prepared(path=str(tmp_path / "constant.npz"), task="regression")
    scaling = open_prepared(folder).info.target_scaling
    assert scaling.factor[1] == 1
    assert scaling.offset[1] == 5
    assert isinstance(run_job(data=folder, objective="val_mae").last, Finished)


def chain(*layers):
    return keras.Sequential([keras.Input((10,)), *layers])


def graph(*layers):
    inputs = keras.Input((10,))
    outputs = inputs
    for layer in layers:
        outputs = layer(outputs)
    return keras.Model(inputs, outputs)


class OwnClass(keras.Model):
    def __init__(self):
        super().__init__()
        self.dense = keras.layers.Dense(1)

    def call(self, x):
        return self.dense(x)


@pytest.fixture(scope="module")
def infos():
    specs = {method: DatasetSpec(name="diabetes", target_scaling=method) for method in ("standard", "minmax", "none")}
    return {method: load(spec, []).info for method, spec in specs.items()}


@pytest.mark.parametrize(
    ("make", "method", "loss", "scaled"),
    [
        (lambda: chain(keras.layers.Dense(1)), "standard", None, True),
        (lambda: graph(keras.layers.Dense(4), keras.layers.Dense(1)), "standard", "mae", True),
        (lambda: graph(keras.layers.Dense(1)), "none", None, False),
        (lambda: chain(keras.layers.Dense(1, activation="relu")), "standard", None, False),
        (lambda: chain(keras.layers.Dense(1, activation="relu")), "minmax", None, True),
        # Losses of relations need the targets as they are.
        (lambda: chain(keras.layers.Dense(1)), "standard", "mape", False),
        (lambda: chain(keras.layers.Dense(1)), "minmax", "poisson", False),
        # What comes after its last layer is not known.
        (OwnClass, "standard", None, False),
        # It turns its outputs into a unit itself.
        (lambda: chain(keras.layers.Dense(1), keras.layers.Rescaling(9.0)), "standard", None, False),
    ],
)
def test_which_models_train_on_scaled_targets(make, method, loss, scaled, infos):
    model = compile_model(make(), TrainingSpec(loss=loss), infos[method])
    assert isinstance(model.loss, OwnUnitLoss) == scaled
    if scaled:
        assert model.layers[-1].name == "own_unit"
        x = np.zeros((3, 10), "float32")
        plain = keras.Model(model.inputs[0], model.layers[-2].output)
        unit = infos[method].target_scaling
        assert np.asarray(model(x)) == pytest.approx(np.asarray(plain(x)) / unit.factor + unit.offset, rel=1e-5)


def test_the_loss_has_the_value_of_one_unit_and_the_gradient_of_the_other():
    loss = OwnUnitLoss("mean_squared_error", [0.5, 0.01])
    y, predicted = np.array([[1.0, 200.0], [3.0, 0.0]]), keras.Variable([[2.0, 100.0], [0.0, 50.0]])
    assert float(loss(y, predicted)) == pytest.approx(np.mean((y - predicted.numpy()) ** 2))
    import tensorflow as tf

    with tf.GradientTape() as tape:
        value = loss(y, predicted)
    factor = np.array([0.5, 0.01])
    wanted = 2 * (predicted.numpy() - y) * factor**2 / y.size
    assert np.asarray(tape.gradient(value, predicted.value)) == pytest.approx(wanted, rel=1e-5)
    assert OwnUnitLoss.from_config(loss.get_config()).get_config() == loss.get_config()
