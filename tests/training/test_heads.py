"""The loss, the labels and the accuracy that go with a model's head; smoothed labels; clipped gradients."""

from typing import Any

import keras
import numpy as np
import pytest
from sklearn.metrics import accuracy_score, log_loss

from hpo.config.experiment import TrainingSpec
from hpo.config.loss_parts import PlainLoss
from hpo.data import open_prepared
from hpo.models import InvalidModel
from hpo.training.compiling import compile_model, labels_for
from hpo.training.heads import head_of, logits_of
from hpo.training.messages import Finished

# TensorFlow's tensors and NumPy 2: nothing that hpo could mend.
pytestmark = [
    pytest.mark.filterwarnings("ignore:Even though the `tf.config.experimental_run_functions_eagerly`:UserWarning"),
]


def network(*last):
    return keras.Sequential([keras.Input((4,)), keras.layers.Dense(3), *last])


def functional():
    x = keras.Input((4,))
    return keras.Model(x, keras.layers.Softmax()(keras.layers.Dense(5)(x)))


def nested():
    inner = keras.Sequential([keras.Input((3,)), keras.layers.Dense(5, "sigmoid")])
    return network(inner)


HEADS = {
    "softmax": (lambda: network(keras.layers.Dense(5, "softmax")), ("softmax", 5)),
    "one sigmoid": (lambda: network(keras.layers.Dense(1, "sigmoid")), ("sigmoid", 1)),
    "linear": (lambda: network(keras.layers.Dense(2)), ("linear", 2)),
    "an activation by itself": (lambda: network(keras.layers.Activation("sigmoid")), ("sigmoid", 3)),
    "within another": (nested, ("sigmoid", 5)),
    "functional": (functional, ("softmax", 5)),
    "not built": (lambda: keras.Sequential([keras.layers.Dense(7, "sigmoid")]), ("sigmoid", 7)),
}


@pytest.mark.parametrize("name", HEADS)
def test_heads(name):
    make, expected = HEADS[name]
    head = head_of(make())
    assert (head.activation, head.units) == expected


@pytest.fixture(scope="module")
def tumours(prepared):
    return open_prepared(prepared(name="breast_cancer")).info


@pytest.fixture(scope="module")
def irises(prepared):
    return open_prepared(prepared(name="iris")).info


def compiled(info, units, activation, **training):
    model = network(keras.layers.Dense(units, activation))
    compile_model(model, TrainingSpec.model_validate(training), info)
    return model


def test_the_head_chooses_the_loss_and_the_loss_the_labels(tumours, irises):
    two, three = np.array([0, 1]), np.array([0, 2])
    one_hot = np.eye(3)[three].tolist()
    softmax = compiled(irises, 3, "softmax")
    assert softmax.loss == "sparse_categorical_crossentropy"
    assert labels_for(softmax, three, irises).tolist() == [0, 2]
    single = compiled(tumours, 1, "sigmoid")
    assert single.loss == "binary_crossentropy"
    assert labels_for(single, two, tumours).tolist() == [0, 1]
    assert labels_for(single, np.eye(2)[two], tumours).tolist() == [0, 1]
    for model in (compiled(irises, 3, "sigmoid"), compiled(irises, 3, "sigmoid", loss="mean_squared_error")):
        assert labels_for(model, three, irises).tolist() == one_hot
    with pytest.raises(
        InvalidModel, match="1 unit with activation sigmoid, and iris has 3 classes, which needs 3 units"
    ):
        compiled(irises, 1, "sigmoid")


def with_head(make, info, **training):
    model = make()
    compile_model(model, TrainingSpec.model_validate(training), info)
    return model


def softmax_by_operation():
    x = keras.Input((4,))
    return keras.Model(x, keras.ops.softmax(keras.layers.Dense(3)(x)))


LOGITS = {
    "one unit": (lambda: network(keras.layers.Dense(1)), 2, "binary_crossentropy", True),
    "a unit a class": (lambda: network(keras.layers.Dense(3)), 3, "sparse_categorical_crossentropy", True),
    "behind a reshape": (lambda: network(keras.layers.Dense(3), keras.layers.Reshape((3,))), 3, "sparse", True),
    "softmax as an operation": (softmax_by_operation, 3, "sparse_categorical_crossentropy", False),
    "softmax as a layer": (lambda: network(keras.layers.Softmax()), 3, "sparse_categorical_crossentropy", False),
    "one sigmoid unit": (lambda: network(keras.layers.Dense(1, "sigmoid")), 2, "binary_crossentropy", False),
}


@pytest.mark.parametrize("name", LOGITS)
def test_heads_without_an_activation_put_out_logits(tumours, irises, name):
    make, classes, loss, logits = LOGITS[name]
    named: list[dict[str, Any]] = [{"loss": loss}] if hasattr(keras.losses, loss) else []
    for training in ({}, {"label_smoothing": 0.1}, *named):
        model = with_head(make, tumours if classes == 2 else irises, **training)
        assert logits_of(model) == (None if not logits else "sigmoid" if classes == 2 else "softmax")
        if not training:
            assert str(getattr(model.loss, "name", model.loss)).startswith(loss)


UNFIT = {
    "one unit": (lambda: network(keras.layers.Dense(1)), "1 unit with no activation, and iris has 3 classes"),
    "too few units": (lambda: network(keras.layers.Dense(2)), "2 units with no activation.*needs 3 units with softmax"),
    "another activation": (lambda: network(keras.layers.Dense(3, "relu")), "3 units with activation relu"),
    "sequences": (
        lambda: keras.Sequential([keras.Input((4,)), keras.layers.Reshape((4, 1)), keras.layers.Dense(3, "softmax")]),
        r"shape \(4, 3\) with activation softmax, and iris has 3 classes, one for each sample",
    ),
}


@pytest.mark.parametrize("name", UNFIT)
def test_heads_that_do_not_fit_the_classes_are_refused(irises, name):
    make, message = UNFIT[name]
    with pytest.raises(InvalidModel, match=f"the model's head does not fit the target: it has {message}"):
        with_head(make, irises)


def test_heads_that_keras_would_stretch_to_the_numbers_are_refused(tumours, prepared):
    with pytest.raises(InvalidModel, match=r"1 unit with activation softmax, and breast_cancer has 2 classes.*or"):
        with_head(lambda: network(keras.layers.Dense(1, "softmax")), tumours)
    with pytest.raises(InvalidModel, match="1 unit with activation sigmoid"):
        with_head(lambda: network(keras.layers.Dense(1, "sigmoid")), tumours, loss="sparse_categorical_crossentropy")
    diabetes = open_prepared(prepared(name="diabetes")).info
    with pytest.raises(InvalidModel, match="3 units with no activation, and the target of diabetes has 1 number"):
        with_head(lambda: network(keras.layers.Dense(3)), diabetes)


def test_metrics_of_logits_are_those_of_probabilities(tumours, irises):
    rng = np.random.default_rng(0)
    x = rng.normal(size=(60, 4)).astype("float32")
    for info, units, activation, metric in (
        (tumours, 1, "sigmoid", "mae"),
        (irises, 3, "softmax", "sparse_top_k_categorical_accuracy"),
    ):
        y = rng.integers(0, info.classes, 60)
        found = []
        for head in (None, activation):
            keras.utils.set_random_seed(1)
            model = network(keras.layers.Dense(units, head))
            compile_model(model, TrainingSpec.model_validate({"metrics": [metric]}), info, PlainLoss("mse"))
            found.append(model.evaluate(x, labels_for(model, y, info)[:, None], verbose=0, return_dict=True))
        assert found[0].keys() == found[1].keys() == {"loss", "accuracy", metric, "crossentropy"}
        assert list(found[0].values()) == pytest.approx(list(found[1].values()), abs=1e-5)
        assert found[0]["loss"] == pytest.approx(found[0]["crossentropy"], abs=1e-5)


def test_smoothing_goes_with_cross_entropy_alone(tumours, irises):
    softmax = compiled(irises, 3, "softmax", label_smoothing=0.3)
    assert softmax.loss.label_smoothing == 0.3
    assert labels_for(softmax, np.array([1]), irises).tolist() == [[0, 1, 0]]
    assert compiled(tumours, 1, "sigmoid", label_smoothing=0.3).loss.label_smoothing == 0.3
    assert compiled(irises, 3, "softmax", label_smoothing=0.0).loss == "sparse_categorical_crossentropy"
    with pytest.raises(
        InvalidModel, match="label_smoothing: huber takes no label smoothing; leave it out, or take another loss"
    ):
        compiled(irises, 3, "softmax", loss="huber", label_smoothing=0.3)


# One batch an epoch, whose order says nothing; smoothed labels, clipped gradients and weights of classes beside.
BATCH = {"epochs": 3, "batch_size": 1000, "label_smoothing": 0.2, "class_weight": {0: 3.0}, "clipvalue": 0.01}
TRAINED = {
    "one sigmoid unit": ("breast_cancer", {"units": 1, "activation": "sigmoid"}),
    "a sigmoid unit a class": ("wine", {"units": 3, "activation": "sigmoid"}),
    "softmax": ("wine", {"units": 3, "activation": "softmax"}),
}


@pytest.mark.parametrize("name", TRAINED)
def test_heads_score_as_scikit_learn_says(run_job, prepared, tmp_path, name):
    data, params = TRAINED[name]
    job = {"model": "own_code:headed", "params": params, "data": prepared(name=data)}
    line = run_job(training=BATCH, save_to=str(tmp_path / "model.keras"), **job)
    assert isinstance(line.last, Finished), line.last
    if name == "one sigmoid unit":
        by_fit = run_job(training={**BATCH, "callbacks": ["own_code:CountBatches"]}, **job)
        for metric, curve in line.curves.items():
            assert curve == pytest.approx(by_fit.curves[metric], rel=1e-3, abs=1e-5), metric

    test = open_prepared(job["data"]).test
    labels = test.y.argmax(axis=1) if test.y.ndim == 2 else test.y
    model = keras.saving.load_model(line.last.model_file)
    assert model.loss.label_smoothing == 0.2
    said = model.predict(test.x, verbose=0).astype("float64")
    classes = (said[:, 0] > 0.5).astype(int) if params["units"] == 1 else said.argmax(axis=1)
    assert line.last.test["accuracy"] == pytest.approx(accuracy_score(labels, classes))
    wanted = np.eye(3)[labels] if params["units"] == 3 else labels[:, None]
    smooth = 0.8 * wanted + 0.2 / (3 if name == "softmax" else 2)
    if name == "softmax":
        loss = -(smooth * np.log(said)).sum(axis=1).mean()
    else:
        loss = -(smooth * np.log(said) + (1 - smooth) * np.log(1 - said)).mean()
    assert line.last.test["loss"] == pytest.approx(loss, rel=1e-3)


@pytest.mark.usefixtures("without_graphs")
def test_weights_of_classes_count_with_one_sigmoid_unit(run_job, prepared):
    """The loss of the first batch is the weighted mean of scikit-learn's."""
    folder = prepared(name="breast_cancer")
    job = {"model": "own_code:headed", "params": {"units": 1, "activation": "sigmoid"}, "data": folder}
    line = run_job(training={"epochs": 1, "batch_size": 1000, "class_weight": {0: 3.0}, "learning_rate": 1e-9}, **job)
    keras.utils.clear_session()
    keras.utils.set_random_seed(3)
    layers = [keras.layers.Flatten(), keras.layers.Dense(16, "relu"), keras.layers.Dense(1, "sigmoid")]
    model = keras.Sequential([keras.Input((30,)), *layers])
    data = open_prepared(folder)
    said = model.predict(data.info.scaling.apply(data.training.x), verbose=0)[:, 0]
    weights = np.where(data.training.y == 0, 3.0, 1.0)
    # Keras divides by the number of samples, scikit-learn by the sum of the weights.
    expected = log_loss(data.training.y, said, sample_weight=weights) * weights.mean()
    assert line.curves["loss"] == [pytest.approx(expected, rel=1e-4)]


@pytest.mark.usefixtures("without_graphs")
def test_clipping_bounds_the_step(irises):
    x, y = np.full((8, 4), 100, np.float32), np.arange(8) % 3

    def steps(**training):
        """What one step of rate 1 adds to each weight."""
        keras.utils.set_random_seed(0)
        model = compiled(irises, 3, "softmax", optimizer="sgd", learning_rate=1.0, **training)
        before = model.get_weights()
        model.train_on_batch(x, y)
        return [after - was for after, was in zip(model.get_weights(), before, strict=True)]

    free = steps()
    assert max(np.abs(step).max() for step in free) > 1
    for mine, other in zip(steps(clipvalue=0.1), free, strict=True):
        np.testing.assert_allclose(mine, np.clip(other, -0.1, 0.1), rtol=1e-3, atol=1e-6)
    for mine, other in zip(steps(clipnorm=0.1), free, strict=True):
        np.testing.assert_allclose(mine, other * min(1, 0.1 / np.linalg.norm(other)), rtol=1e-3, atol=1e-6)
    norm = np.sqrt(sum(np.square(step).sum() for step in free))
    for mine, other in zip(steps(global_clipnorm=0.1), free, strict=True):
        np.testing.assert_allclose(mine, other * min(1, 0.1 / norm), rtol=1e-3, atol=1e-6)
