"""The cross-entropy without penalties and smoothing, beside scikit-learn's `log_loss` on whole parts."""

import json
import zipfile

import keras
import numpy as np
import pytest
from sklearn.metrics import log_loss

from hpo.config.loss_parts import PlainLoss
from hpo.data import open_prepared
from hpo.training.crossentropy import Crossentropy

PLAIN = PlainLoss("mse")
PENALIZED = {"depth": 1, "width": 8, "l2": 0.05}
TRAINING = {"epochs": 2, "label_smoothing": 0.2, "learning_rate": 0.01, "class_weight": {0: 3.0}}


@pytest.mark.parametrize(
    ("outputs", "one_hot"),
    [
        ("softmax", False), ("softmax", True), ("one sigmoid", False), ("a sigmoid for each", False),
        ("a sigmoid for each", True),
    ],
)  # fmt: skip
def test_it_is_scikit_learns_log_loss_on_all_samples(outputs, one_hot):
    random = np.random.default_rng(0)
    classes = 2 if outputs == "one sigmoid" else 4
    y = random.integers(classes, size=700)
    # Saturated predictions among them: some probabilities are exactly 0.
    scores = 40 * random.standard_normal((700, classes)).astype("float32")
    if outputs == "softmax":
        predicted = np.asarray(keras.ops.softmax(scores))
        probabilities = predicted
    else:
        predicted = np.asarray(keras.ops.sigmoid(scores))
        probabilities = predicted / predicted.sum(axis=1, keepdims=True)
    if outputs == "one sigmoid":
        predicted = predicted[:, 1:]
        probabilities = np.hstack([1 - predicted, predicted])
    metric = Crossentropy()
    for rows in (slice(0, 512), slice(512, None)):
        metric.update_state(np.eye(classes)[y][rows] if one_hot else y[rows], predicted[rows])
    expected = log_loss(y, probabilities.astype("float32"), labels=range(classes))
    assert float(metric.result()) == pytest.approx(expected, rel=1e-5)


@pytest.mark.parametrize("way", ["in the graph", "by fit"])
def test_a_trial_logs_it_without_penalty_smoothing_and_weights(run_job, prepared, tmp_path, monkeypatch, way):
    if way == "by fit":
        monkeypatch.setattr("hpo.training.trainers.needs_fit", lambda model: "for this test")
    data = prepared(name="digits", limit=900)
    line = run_job(
        data=data, objective="val_crossentropy", params=PENALIZED, training=TRAINING, plain_loss=PLAIN,
        save_to=str(tmp_path / "model.keras"),
    )  # fmt: skip
    note = line.events[0].note
    assert note is None if way == "in the graph" else "for this test" in note
    dataset, model = open_prepared(data), keras.saving.load_model(line.last.model_file)
    for part, found in (
        (dataset.validation, min(line.curves["val_crossentropy"])), (dataset.test, line.last.test["crossentropy"]),
    ):  # fmt: skip
        predicted = model.predict(part.x, verbose=0)
        assert found == pytest.approx(log_loss(part.y, predicted, labels=range(10)), rel=1e-4)
    assert min(line.curves["val_loss"]) > min(line.curves["val_crossentropy"]) + 0.1


def test_saved_models_name_nothing_of_hpo(run_job, prepared, tmp_path):
    for data in (prepared(name="digits", limit=900), prepared(name="digits", limit=900, scaling="none")):
        line = run_job(data=data, training=TRAINING, plain_loss=PLAIN, save_to=str(tmp_path / "model.keras"))
        with zipfile.ZipFile(line.last.model_file) as archive:
            config = archive.read("config.json").decode()
        assert "hpo" not in config
        assert json.loads(config)["compile_config"]["metrics"] == ["accuracy"]
        assert line.last.model_note is None


def test_regression_logs_the_plain_loss(run_job, prepared):
    line = run_job(
        data=prepared(name="diabetes", target_scaling="none"), objective="val_mse", params=PENALIZED, plain_loss=PLAIN
    )
    assert line.last.test["loss"] > line.last.test["mse"]
    assert {"mse", "val_mse"} < set(line.curves)


def test_folds_have_its_mean(run_job, prepared):
    data = prepared(name="iris", validation={"folds": 2, "seed": 1})
    line = run_job(data=data, objective="val_crossentropy", params=PENALIZED, training=TRAINING, plain_loss=PLAIN)
    assert len(line.curves["val_crossentropy"]) == 4
    assert 0 < line.last.test["crossentropy"] < line.last.test["loss"]
