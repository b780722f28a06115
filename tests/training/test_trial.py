"""One trial: curves, early stopping, stops, failures, determinism, and the model that is saved."""

import math
import os
import subprocess
import sys

import keras
import numpy as np
import pytest

from hpo.data import open_prepared
from hpo.training.messages import EpochDone, Failed, Finished, Started

CURVES = {"loss", "accuracy", "val_loss", "val_accuracy", "learning_rate", "seconds"}


def test_a_trial_reports_its_start_each_epoch_with_all_curves_and_its_test_scores(run_job):
    started, *epochs, finished = run_job(training={"epochs": 3}).events
    assert started == Started(7, os.getpid(), 64 * 8 + 8 + 8 * 10 + 10)
    assert [epoch.epoch for epoch in epochs] == [1, 2, 3]
    assert all(set(epoch.metrics) == CURVES for epoch in epochs)
    assert [epoch.metrics["learning_rate"] for epoch in epochs] == pytest.approx([0.01] * 3)
    assert all(0 < epoch.metrics["seconds"] < 60 for epoch in epochs)
    assert finished.ended_by == "epochs"
    assert set(finished.test) == {"loss", "accuracy"}
    assert epochs[0].metrics["loss"] > epochs[2].metrics["loss"]


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


def test_early_stopping_and_best_weights_are_those_of_plain_keras(run_job, prepared):
    training = {"epochs": 30, "early_stopping": {"patience": 2}, "learning_rate": 0.05, "batch_size": 16}
    line = run_job(objective="val_loss", training=training)

    data = open_prepared(prepared(name="digits", limit=200))
    x, x_validation, x_test = (
        data.info.scaling.apply(part.x) for part in (data.training, data.validation, data.test)
    )
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
    model.compile(keras.optimizers.Adam(0.05), "sparse_categorical_crossentropy", metrics=["accuracy"])
    stopping = keras.callbacks.EarlyStopping("val_loss", patience=2, restore_best_weights=True)
    history = model.fit(
        x, data.training.y, batch_size=16, epochs=30, verbose=0, callbacks=[stopping],
        validation_data=(x_validation, data.validation.y), validation_batch_size=512,
    ).history  # fmt: skip

    assert {name: curve for name, curve in line.curves.items() if name != "learning_rate"} == history
    assert line.last.ended_by == "early_stopping"
    assert line.last.best_epoch == stopping.best_epoch + 1 == len(history["val_loss"]) - 2
    assert line.last.test == model.evaluate(x_test, data.test.y, batch_size=512, verbose=0, return_dict=True)


def test_the_test_scores_are_those_of_the_best_epoch(run_job):
    rising = {"learning_rate": 0.3, "early_stopping": False, "epochs": 8}
    line = run_job(objective="val_loss", training=rising)
    best = line.last.best_epoch
    assert best == 1 + int(np.argmin(line.curves["val_loss"])) < 8
    again = run_job(objective="val_loss", training={**rising, "epochs": best})
    assert line.last.test == again.last.test


def test_a_pruned_trial_is_tested_too(run_job, recorder):
    line = run_job(line=recorder(stop_after_epoch=2), training={"epochs": 9})
    assert len(line.curves["loss"]) == 2
    assert line.last.ended_by == "pruner"
    assert line.last.test == run_job(training={"epochs": 2}).last.test


@pytest.mark.parametrize("batches", [7, 10])
def test_a_stop_within_an_epoch_or_its_validation_drops_the_epoch(run_job, recorder, batches):
    # 128 training samples in batches of 32 and one of validation: an epoch asks five times.
    line = run_job(line=recorder(stop_after_batches=batches - 1, reason="deadline"), training={"epochs": 9})
    assert line.batches == batches
    assert [type(event) for event in line.events] == [Started, EpochDone, Finished]
    assert (line.last.ended_by, line.last.best_epoch) == ("deadline", 1)
    assert line.last.test == run_job(training={"epochs": 1}).last.test


def test_a_stop_before_the_first_epoch_leaves_no_score(run_job, recorder, tmp_path):
    line = run_job(line=recorder(stop_after_batches=0, reason="interrupt"), save_to=str(tmp_path / "x.keras"))
    assert line.last == Finished(7, "interrupt", None)


@pytest.mark.parametrize(
    ("job", "message"),
    [
        ({"training": {"learning_rate": 1e30}}, "loss is (nan|inf) in epoch 1, batch [23]"),
        ({"model": "own_code:logarithm_of_negatives"}, "loss is nan in epoch 1, batch 1"),
        ({"model": "own_code:lost_in_validation"}, "val_loss is nan after epoch 1"),
    ],
)
def test_what_is_not_finite_fails_the_trial_and_is_never_reported(run_job, job, message):
    line = run_job(objective="val_loss", **job)
    assert (type(line.last), line.last.reason) == (Failed, "nonfinite")
    pytest.importorskip("re").fullmatch(message, line.last.message) or pytest.fail(line.last.message)
    assert not any(isinstance(event, EpochDone) for event in line.events)


def test_every_reported_value_is_finite_until_the_loss_is_lost(run_job):
    # The loss of a step this large overflows after some epochs rather than at once.
    training = {"optimizer": "sgd", "learning_rate": 30.0, "epochs": 40, "early_stopping": False}
    line = run_job(data=None, objective="val_loss", training={**training, "loss": "mean_squared_error"} | training)
    values = [value for curve in line.curves.values() for value in curve]
    assert all(map(math.isfinite, values))


def test_the_same_job_gives_the_same_curves_bit_for_bit_whatever_ran_before(run_job):
    job = {"model": "own_code:random_draws", "training": {"epochs": 3}}
    first = run_job(**job)
    run_job(params={"depth": 2, "width": 5, "dropout": 0.3}, seed=99)
    run_job(model="own_code:division_by_zero", params={"width": 1})
    again = run_job(**job)
    assert first.events[0] == again.events[0]
    assert first.curves == again.curves
    assert first.last == again.last
    assert first.curves != run_job(**job, seed=4).curves


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


def test_a_model_is_saved_only_if_it_is_better(run_job, tmp_path):
    path = tmp_path / "best.keras"
    assert run_job(save_to=str(path), save_if_better_than=1.0).last.model_file is None
    assert not path.exists()
    assert run_job(save_to=str(path), save_if_better_than=0.0).last.model_file == str(path)
    assert run_job(objective="val_loss", save_to=str(path), save_if_better_than=0.0).last.model_file is None


def test_a_model_that_cannot_be_saved_keeps_its_scores(run_job, tmp_path):
    with pytest.warns(UserWarning, match=r"the model of trial 7 cannot be saved: NotImplementedError: Object Unsavable"):
        line = run_job("own_code:unsavable", save_to=str(tmp_path / "best.keras"))
    assert line.last.model_file is None
    assert set(line.last.test) == {"loss", "accuracy"}
    assert list(tmp_path.iterdir()) == []


def test_a_model_with_a_loss_of_the_users_own_is_saved_for_prediction(run_job, tmp_path):
    line = run_job("own_code:with_own_loss", save_to=str(tmp_path / "best.keras"))
    assert keras.saving.load_model(line.last.model_file).predict(np.zeros((1, 8, 8, 1)), verbose=0).shape == (1, 10)


def test_own_models_compiled_and_not(run_job):
    plain = run_job("own_code:uncompiled", params={"width": 3}, training={"learning_rate": 0.25})
    assert plain.events[0].model_parameters == 64 * 3 + 3 + 3 * 10 + 10
    assert plain.curves["learning_rate"] == [0.25, 0.25]
    # A compiled model keeps its own optimizer.
    assert run_job("own_code:compiled").curves["learning_rate"] == [0.125, 0.125]


def test_the_size_of_a_sequential_model_without_input_is_known(run_job):
    assert run_job("own_code:unbuilt").events[0].model_parameters == 64 * 10 + 10


def test_a_model_that_wants_one_hot_labels_gets_them(run_job):
    line = run_job("own_code:wants_one_hot", training={"epochs": 6})
    assert line.last.test["accuracy"] > 0.3


def test_a_metric_of_several_numbers_is_refused(run_job):
    line = run_job("own_code:wants_one_hot", params={"metrics": 2})
    assert line.last.message == "metric f1_score must be one number, got 10; give it an average"


def test_a_model_of_keras_tuner(run_job):
    line = run_job("own_code:tuned", params={"units": 3})
    assert line.events[0].model_parameters == 64 * 3 + 3 + 3 * 10 + 10
    # It was not known to declare anything.
    assert [one["config"]["name"] for one in line.events[0].declared["space"]] == ["units"]


def test_a_hypermodels_fit_may_pass_its_own_batch_size(run_job, recorder):
    line = recorder()
    run_job("own_code:TunesItsBatchSize", params={"units": 3, "batch_size": 80}, line=line, training={"epochs": 1})
    assert [one["config"]["name"] for one in line.last.declared["space"]] == ["units", "batch_size"]
    assert line.batches == 2 + 2  # 128 samples to train on and 32 to validate with, 80 and 32 a batch


def test_a_batch_size_of_the_search_space_reaches_a_hypermodels_fit(run_job, recorder):
    line = recorder()
    spec = {"epochs": 1, "batch_size": 16}
    run_job("own_code:PassesAllOn", params={"batch_size": 16}, line=line, training=spec)
    assert line.batches == 8 + 2


@pytest.mark.parametrize("model", ["TrainsTwice", "OwnLoop"])
def test_a_fit_of_the_users_own_ends_with_the_last_epoch(run_job, model):
    line = run_job(f"own_code:{model}", training={"epochs": 3, "early_stopping": False})
    assert [event.epoch for event in line.events if isinstance(event, EpochDone)] == [1, 2, 3]
    assert line.last.ended_by == "epochs"


def test_a_loop_of_the_users_own_is_stopped_early(run_job):
    line = run_job("own_code:OwnLoop", training={"epochs": 30, "early_stopping": {"patience": 2}})
    assert (line.last.ended_by, line.last.best_epoch) == ("early_stopping", 1)
    assert line.curves["val_accuracy"] == [0.5, 0.5, 0.5]


def test_pipelines_of_a_users_function_are_batched_and_scaled(run_job, prepared, tmp_path):
    folder = prepared(name="own_code:pipelines", scaling="standard")
    line = run_job(data=folder, save_to=str(tmp_path / "best.keras"), training={"epochs": 3, "batch_size": 16})
    assert set(line.curves) == CURVES - {"seconds"}
    test = open_prepared(folder).stream("test", 32)
    scores = keras.saving.load_model(line.last.model_file).evaluate(test, verbose=0, return_dict=True)
    assert scores == pytest.approx(line.last.test, rel=1e-4)


def test_an_objective_that_the_model_lacks_names_the_valid_ones(run_job):
    failed = run_job("own_code:without_metrics").last
    assert failed.reason == "error"
    assert failed.message == "objective: the model has no metric val_accuracy; valid: val_loss"


def test_a_mistake_in_the_users_code_is_reported_with_its_place(run_job):
    failed = run_job("own_code:division_by_zero", params={"width": 1}).last
    assert (failed.reason, failed.message) == ("error", "ZeroDivisionError: division by zero")
    assert 'own_code.py", line' in failed.traceback
    assert 'return params["width"] / 0' in failed.traceback


def test_out_of_memory_has_a_reason_of_its_own(run_job):
    failed = run_job("own_code:out_of_memory").last
    assert (failed.reason, failed.message) == ("out_of_memory", "MemoryError")


def test_a_call_of_exit_fails_the_trial_alone(run_job):
    failed = run_job("own_code:leaves").last
    assert (failed.reason, failed.message) == ("error", "SystemExit: enough")


def test_an_error_within_tensorflows_graph_is_reported_with_its_cause(run_job):
    failed = run_job("own_code:wrong_labels").last
    assert failed.message.startswith("InvalidArgumentError: Received a label value of")


def test_parameters_that_make_no_model_are_invalid(run_job):
    failed = run_job(params={"width": 0}).last
    assert (failed.reason, failed.message) == ("invalid", "width must be a whole number of at least 1, got 0")
