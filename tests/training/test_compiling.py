"""Compiling as the training section says, and labels in the form that the loss takes."""

import keras
import numpy as np
import pytest

from hpo.config.experiment import DatasetSpec, TrainingSpec
from hpo.data import open_prepared
from hpo.data.prepare import prepare
from hpo.data.several import Several
from hpo.data.source_data import RawDataset, RawPart, Values
from hpo.models import InvalidModel
from hpo.training.compiling import compile_model, labels_for


@pytest.fixture(scope="module")
def digits(prepared):
    return open_prepared(prepared(name="digits", limit=200)).info


@pytest.fixture(scope="module")
def diabetes(prepared):
    return open_prepared(prepared(name="diabetes")).info


def compiled(info, **training):
    model = keras.Sequential([keras.Input((4,)), keras.layers.Dense(info.outputs, "softmax" if info.classes else None)])
    compile_model(model, TrainingSpec.model_validate(training), info)
    return model


@pytest.mark.parametrize("name", ["adam", "sgd", "rmsprop", "adamw", "adadelta", "Nadam", "lion"])
def test_optimizers_by_name(digits, name):
    optimizer = compiled(digits, optimizer=name, learning_rate=0.25, weight_decay=0.5).optimizer
    assert type(optimizer).__name__.lower() == name.lower()
    assert float(optimizer.learning_rate) == 0.25
    assert optimizer.weight_decay == 0.5


def test_an_optimizers_own_keys(digits):
    sgd = compiled(digits, optimizer="sgd", momentum=0.5, nesterov=True).optimizer
    assert (sgd.momentum, sgd.nesterov) == (0.5, True)
    assert compiled(digits, optimizer="adam", beta_1=0.5, epsilon=0.25).optimizer.get_config()["epsilon"] == 0.25


def test_a_task_chooses_loss_and_metrics(digits, diabetes):
    assert compiled(digits).loss == "sparse_categorical_crossentropy"
    assert compiled(diabetes).loss.loss == "mean_squared_error"
    assert compiled(diabetes, loss="huber").loss.loss == "huber"


@pytest.mark.parametrize("metric", ["accuracy", "acc", "sparse_top_k_categorical_accuracy"])
def test_metrics_that_keras_knows_are_reported(digits, metric):
    model = compiled(digits, metrics=[metric])
    scores = model.evaluate(np.zeros((2, 4)), np.zeros(2), verbose=0, return_dict=True)
    assert {"loss", "accuracy"} < set(scores) or metric in ("accuracy", "acc")


@pytest.mark.parametrize("activation", ["softmax", None])
def test_metrics_logged_by_another_name_are_the_same_figures(digits, activation):
    names = ["accuracy", "crossentropy", "sparse_top_k_categorical_accuracy", "sparse_categorical_crossentropy"]
    metrics = [*names, *({"name": name, "log_as": f"my_{name}"} for name in names)]
    keras.utils.set_random_seed(0)
    model = keras.Sequential([keras.Input((4,)), keras.layers.Dense(10, activation)])
    compile_model(model, TrainingSpec.model_validate({"metrics": metrics}), digits)
    x = np.random.default_rng(0).normal(size=(64, 4))
    scores = model.evaluate(x, np.arange(64) % 10, verbose=0, return_dict=True)
    assert 0 < scores["accuracy"] < 1
    for name in names:
        assert scores[f"my_{name}"] == pytest.approx(scores[name]), name


@pytest.mark.parametrize(
    ("training", "message"),
    [
        ({"loss": "hubert"}, "loss: Keras knows no 'hubert'; did you mean huber?"),
        ({"metrics": ["acuracy"]}, "metrics: Keras knows no 'acuracy'; did you mean binary_accuracy?"),
        (
            {"optimizer": "adam", "momentum": 0.5},
            "momentum: adam takes no momentum, got 0.5; give the parameter a condition, when: {optimizer: ...}",
        ),
    ],
)
def test_names_unknown_to_keras_make_the_model_invalid(digits, training, message):
    with pytest.raises(InvalidModel) as raised:
        compiled(digits, **training)
    assert str(raised.value) == message


def of_two_targets(y, training, listed, head, task=None):
    """The loss of a new model with two targets that are both `y`, and what each output says."""
    x, names = np.random.default_rng(0).normal(size=(len(y), 4)), ["target_1", "target_2"]
    both = Several(dict.fromkeys(names, y), listed)
    part = RawPart(Values(x, "x"), Values(both, "y"))
    info = prepare(RawDataset("s", part, part, part), DatasetSpec(name="d", scaling="none", task=task)).info
    keras.utils.set_random_seed(0)
    inputs = keras.Input((4,))
    outputs = {name: keras.layers.Dense(*head, name=name)(inputs) for name in names}
    model = keras.Model(inputs, [*outputs.values()] if listed else outputs)
    compile_model(model, TrainingSpec.model_validate(training), info)
    found = model.evaluate(x, labels_for(model, both, info), verbose=0, return_dict=True)
    raw = model.predict(x, verbose=0)
    return found["loss"], raw if listed else [raw[name] for name in names]


@pytest.mark.parametrize("listed", [False, True])
def test_each_of_several_targets_is_as_its_own_loss_takes_it(listed):
    y = np.arange(30) % 3
    smooth = keras.losses.CategoricalCrossentropy(label_smoothing=0.1)
    found, outputs = of_two_targets(y, {"label_smoothing": 0.1}, listed, (3, "softmax"))
    assert found == pytest.approx(sum(float(smooth(np.eye(3)[y], one)) for one in outputs), rel=1e-5)
    named = {"loss": {"target_2": "categorical_crossentropy"}}
    found, outputs = of_two_targets(y, named, listed, (3, "softmax"))
    plain = keras.losses.SparseCategoricalCrossentropy()
    assert found == pytest.approx(sum(float(plain(y, one)) for one in outputs), rel=1e-5)
    numbers = np.linspace(0, 1, 30)
    found, (_, second) = of_two_targets(numbers, {"loss": {"target_2": "mse"}}, listed, (1,), "custom")
    assert found == pytest.approx(float(np.mean((second[:, 0] - numbers) ** 2)), rel=1e-5)


@pytest.mark.parametrize("loss", ["categorical_crossentropy", keras.losses.CategoricalCrossentropy()])
def test_class_numbers_become_one_hot_for_a_loss_that_wants_them(digits, loss):
    model = compiled(digits)
    model.compile("sgd", loss)
    assert labels_for(model, np.array([1, 0]), digits)[:, :2].tolist() == [[0, 1], [1, 0]]


@pytest.mark.parametrize("loss", ["sparse_categorical_crossentropy", keras.losses.SparseCategoricalCrossentropy()])
def test_one_hot_labels_become_class_numbers_for_a_loss_that_wants_them(digits, loss):
    model = compiled(digits)
    model.compile("sgd", loss)
    assert labels_for(model, np.eye(10)[[3, 1]], digits).tolist() == [3, 1]


def test_numbers_to_predict_stay_as_they_are(diabetes):
    y = np.array([1.5, 2.5])
    assert labels_for(compiled(diabetes), y, diabetes) is y
