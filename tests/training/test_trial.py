"""One trial: curves, early stopping, stops, failures, determinism, and the model that is saved."""

import os
import re
import subprocess
import sys

import keras
import numpy as np
import pytest

from hpo.config.score import Score
from hpo.data import open_prepared
from hpo.training.messages import NO_CHECKPOINTS, EpochDone, Failed, Finished, Started

# TensorFlow's tensors and NumPy 2: nothing that hpo could mend.
pytestmark = [
    pytest.mark.filterwarnings("ignore:Even though the `tf.config.experimental_run_functions_eagerly`:UserWarning"),
]

CURVES = {"loss", "accuracy", "val_loss", "val_accuracy", "learning_rate", "seconds"}


@pytest.fixture(scope="module")
def after_one_epoch(run_job):
    return run_job(training={"epochs": 1}).last


def test_a_trial_reports_its_start_each_epoch_with_all_curves_and_its_test_scores(run_job):
    started, *epochs, finished = run_job(training={"epochs": 3}).events
    assert started == Started(7, os.getpid(), 64 * 8 + 8 + 8 * 10 + 10, trains_through=NO_CHECKPOINTS)
    assert [epoch.epoch for epoch in epochs] == [1, 2, 3]
    assert all(set(epoch.metrics) == CURVES for epoch in epochs)
    assert [epoch.metrics["learning_rate"] for epoch in epochs] == pytest.approx([0.01] * 3)
    assert all(0 < epoch.metrics["seconds"] < 60 for epoch in epochs)
    assert finished.ended_by == "epochs"
    assert set(finished.test) == {"loss", "accuracy"}
    assert epochs[0].metrics["loss"] > epochs[2].metrics["loss"]


@pytest.mark.usefixtures("without_graphs")
def test_one_hot_labels(run_job, prepared):
    line = run_job(data=prepared(name="own_code:one_hot_data"))
    assert set(line.last.test) == {"loss", "accuracy"}
    assert len(line.curves["val_accuracy"]) == 2


@pytest.mark.parametrize("data", ["diabetes", "own_code:two_numbers"])
def test_regression_of_one_and_of_two_numbers(run_job, prepared, tmp_path, data):
    folder = prepared(name=data)
    line = run_job(data=folder, objective="val_mae", save_to=str(tmp_path / "model.keras"))
    assert set(line.curves) == {"loss", "mae", "val_loss", "val_mae", "learning_rate"}
    test = open_prepared(folder).test
    predicted = keras.saving.load_model(line.last.model_file).predict(test.x, verbose=0)
    error = predicted - test.y.reshape(predicted.shape)
    # Subtracting shapes (n,) and (n, 1) would give (n, n), and another mean.
    assert line.last.test["loss"] == pytest.approx(np.square(error).mean(), rel=1e-4)
    assert line.last.test["mae"] == pytest.approx(np.abs(error).mean(), rel=1e-4)


@pytest.mark.usefixtures("without_graphs")
def test_early_stopping_and_best_weights_are_those_of_plain_keras(run_job, prepared):
    training = {"epochs": 30, "early_stopping": {"patience": 2}, "learning_rate": 0.2, "batch_size": 16}
    line = run_job(objective="val_loss", training=training)

    data = open_prepared(prepared(name="digits", limit=200))
    x, x_validation, x_test = (data.info.scaling.apply(part.x) for part in (data.training, data.validation, data.test))
    keras.utils.clear_session()
    keras.utils.set_random_seed(3)
    model = keras.Sequential(
        [
            keras.Input((8, 8, 1)),
            keras.layers.Flatten(),
            keras.layers.Dense(8, activation="relu"),
            keras.layers.Dense(10, activation="softmax"),
        ]
    )
    model.compile(keras.optimizers.Adam(0.2), "sparse_categorical_crossentropy", metrics=["accuracy"])
    stopping = keras.callbacks.EarlyStopping("val_loss", patience=2, restore_best_weights=True)
    history = model.fit(
        x, data.training.y, batch_size=16, epochs=30, verbose=0, callbacks=[stopping],
        validation_data=(x_validation, data.validation.y), validation_batch_size=512,
    ).history  # fmt: skip

    assert {name: curve for name, curve in line.curves.items() if name != "learning_rate"} == history
    assert line.last.ended_by == "early_stopping"
    assert line.last.best_epoch == stopping.best_epoch + 1 == len(history["val_loss"]) - 2
    assert line.last.test == model.evaluate(x_test, data.test.y, batch_size=512, verbose=0, return_dict=True)


def test_a_pruned_trial_is_tested_too(run_job, recorder, after_one_epoch):
    line = run_job(line=recorder(stop_after_epoch=1), training={"epochs": 9})
    assert len(line.curves["loss"]) == 1
    assert (line.last.ended_by, line.last.best_epoch) == ("pruner", 1)
    assert line.last.test == after_one_epoch.test


@pytest.mark.usefixtures("without_graphs")
@pytest.mark.parametrize("batches", [9, 13])
def test_a_stop_within_an_epoch_or_its_validation_drops_the_epoch(run_job, recorder, batches):
    # An epoch asks as it begins and ends, after each of four batches, and after the one of validation.
    line = run_job(line=recorder(stop_after_batches=batches - 1, reason="deadline"), training={"epochs": 9})
    assert line.batches == batches
    assert [type(event) for event in line.events] == [Started, EpochDone, Finished]
    assert (line.last.ended_by, line.last.best_epoch) == ("deadline", 1)
    assert line.last.test == run_job(training={"epochs": 1}).last.test


@pytest.mark.usefixtures("without_graphs")
def test_a_stop_before_the_first_epoch_leaves_no_score(run_job, recorder, tmp_path):
    line = run_job(line=recorder(stop_after_batches=0, reason="interrupt"), save_to=str(tmp_path / "x.keras"))
    assert line.last == Finished(7, "interrupt", None)


@pytest.mark.parametrize(
    ("job", "message"),
    [
        ({"training": {"learning_rate": 1e30}}, "loss is (nan|inf) in epoch 1"),
        ({"model": "own_code:logarithm_of_negatives"}, "loss is nan in epoch 1"),
        ({"model": "own_code:lost_in_validation"}, "val_loss is nan after epoch 1"),
    ],
)
def test_nonfinite_values_fail_the_trial_and_are_not_reported_to_the_pruner(run_job, job, message):
    line = run_job(objective="val_loss", **job)
    assert (type(line.last), line.last.reason) == (Failed, "nonfinite")
    assert re.fullmatch(message, line.last.message)
    assert not any(isinstance(event, EpochDone) for event in line.events)


def test_the_same_job_gives_the_same_curves_bit_for_bit_whatever_ran_before(run_job):
    job = {"model": "own_code:random_draws"}
    first = run_job(**job)
    other = run_job(**job, seed=4)
    again = run_job(**job)
    assert first.events[0] == again.events[0]
    assert first.curves == again.curves
    assert first.last == again.last
    assert first.curves != other.curves


def test_global_settings_of_a_trial_do_not_reach_the_next(run_job):
    before = run_job(training={"epochs": 1})
    half = [run_job("own_code:half_precise", training={"epochs": 1}) for _ in range(2)]
    assert half[0].last == half[1].last
    assert half[0].curves == half[1].curves
    assert half[0].events[0].note == "a graph is traced for each trial: the optimizer is LossScaleOptimizer"
    after = run_job(training={"epochs": 1})
    assert (after.curves, after.last) == (before.curves, before.last)


LOAD = """
import sys, keras, numpy as np
model = keras.saving.load_model(sys.argv[1])
np.save(sys.argv[3], model.predict(np.load(sys.argv[2]), verbose=0))
print(model.evaluate(np.load(sys.argv[2]), np.load(sys.argv[4]), verbose=0, return_dict=True)["accuracy"])
"""


def test_the_saved_model_predicts_on_raw_features_in_a_process_of_its_own(run_job, prepared, tmp_path):
    folder = prepared(name="wine")
    line = run_job(data=folder, save_to=str(tmp_path / "models" / "best.keras"), training={"epochs": 4})
    assert [path.name for path in (tmp_path / "models").iterdir()] == ["best.keras"]
    command = [sys.executable, "-c", LOAD, line.last.model_file, f"{folder}/test_x.npy"]
    done = subprocess.run(
        [*command, str(tmp_path / "predicted.npy"), f"{folder}/test_y.npy"],
        check=True, capture_output=True, text=True, timeout=120,
    )  # fmt: skip
    assert float(done.stdout) == pytest.approx(line.last.test["accuracy"])
    predicted, labels = np.load(tmp_path / "predicted.npy"), open_prepared(folder).test.y
    loss = -np.log(predicted[np.arange(len(labels)), labels]).mean()
    assert loss == pytest.approx(line.last.test["loss"], rel=1e-4)


@pytest.mark.usefixtures("without_graphs")
def test_a_model_is_saved_only_if_it_is_better(run_job, tmp_path):
    path = tmp_path / "best.keras"
    once = {"epochs": 1}
    best, worst = Score(1.0, "maximize"), Score(0.0, "maximize")
    assert run_job(training=once, save_to=str(path), save_if_better_than=best).last.model_file is None
    assert not path.exists()
    assert run_job(training=once, save_to=str(path), save_if_better_than=worst).last.model_file == str(path)


def test_an_error_within_tensorflows_graph_is_reported_with_its_cause(run_job):
    failed = run_job("own_code:wrong_indices").last
    assert failed.message.startswith("InvalidArgumentError: indices[")


def test_parameters_that_make_no_model_are_invalid(run_job):
    failed = run_job(params={"width": 0}).last
    assert (failed.reason, failed.message) == ("invalid", "width must be a whole number of at least 1, got 0")
