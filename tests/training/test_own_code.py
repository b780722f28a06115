"""Trials of the users' own models, fits and datasets."""

import re

import keras
import numpy as np
import own_code
import pytest

from hpo.data import open_prepared
from hpo.training.messages import EpochDone

pytestmark = [
    pytest.mark.usefixtures("without_graphs"),
    pytest.mark.filterwarnings("ignore:Even though the `tf.config.experimental_run_functions_eagerly`:UserWarning"),
]


def test_a_model_that_cannot_be_saved_keeps_its_scores(run_job, tmp_path):
    line = run_job("own_code:unsavable", save_to=str(tmp_path / "best.keras"))
    assert line.last.model_file is None
    assert line.last.model_note.startswith("cannot be saved: NotImplementedError: Object Unsavable")
    assert set(line.last.test) == {"loss", "accuracy"}
    assert list(tmp_path.iterdir()) == []


def test_what_a_fit_does_to_its_inputs_reaches_the_test(run_job, tmp_path):
    line = run_job("own_code:PreparesItsInputs", save_to=str(tmp_path / "best.keras"), training={"epochs": 1})
    assert (line.last.ended_by, line.last.best_epoch, set(line.last.test)) == ("epochs", 1, {"loss", "accuracy"})
    assert line.last.test_note is None
    assert line.last.model_note.startswith(
        "cannot be saved: the scaling cannot be put in front of it, since it does not"
    )


def test_a_model_with_a_loss_of_the_users_own_is_saved_for_prediction(run_job, tmp_path):
    line = run_job("own_code:with_own_loss", save_to=str(tmp_path / "best.keras"))
    assert keras.saving.load_model(line.last.model_file).predict(np.zeros((1, 8, 8, 1)), verbose=0).shape == (1, 10)


def test_own_models_compiled_and_not(run_job):
    plain = run_job("own_code:uncompiled", params={"width": 3}, training={"learning_rate": 0.25})
    assert plain.events[0].model_parameters == 64 * 3 + 3 + 3 * 10 + 10
    assert plain.curves["learning_rate"] == [0.25, 0.25]
    # A compiled model keeps its own optimizer, and takes a learning rate.
    assert run_job("own_code:compiled", training={"learning_rate": None}).curves["learning_rate"] == [0.125, 0.125]
    assert run_job("own_code:compiled").curves["learning_rate"] == pytest.approx([0.01, 0.01])


def test_the_size_of_a_sequential_model_without_input_is_known(run_job):
    assert run_job("own_code:unbuilt").events[0].model_parameters == 64 * 10 + 10


def test_a_model_that_wants_one_hot_labels_gets_them(run_job):
    line = run_job("own_code:wants_one_hot", training={"epochs": 2})
    assert line.curves["loss"][0] == pytest.approx(np.log(10), rel=0.2)


def test_a_metric_of_several_numbers_is_refused(run_job):
    line = run_job("own_code:wants_one_hot", params={"metrics": 2})
    assert line.last.message == "metric f1_score must be one number, got 10; give it an average"


def test_a_model_of_keras_tuner(run_job):
    line = run_job("own_code:tuned", params={"units": 3})
    assert line.events[0].model_parameters == 64 * 3 + 3 + 3 * 10 + 10
    assert [one["config"]["name"] for one in line.events[0].declared.config["space"]] == ["units"]


def test_a_hypermodels_fit_may_pass_its_own_batch_size(run_job, recorder):
    line = recorder()
    run_job("own_code:TunesItsBatchSize", params={"units": 3, "batch_size": 80}, line=line, training={"epochs": 1})
    assert [one["config"]["name"] for one in line.last.declared.config["space"]] == ["units", "batch_size"]
    # 128 samples to train on, 80 a batch; one batch of validation; the beginning and the end of the epoch.
    assert line.batches == 2 + 1 + 2


def test_a_batch_size_of_the_search_space_reaches_a_hypermodels_fit(run_job, recorder):
    line = recorder()
    spec = {"epochs": 1, "batch_size": 16}
    run_job("own_code:PassesAllOn", params={"batch_size": 16}, line=line, training=spec)
    assert line.batches == 8 + 1 + 2


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
    assert set(line.curves) == {"loss", "accuracy", "val_loss", "val_accuracy", "learning_rate"}
    test = open_prepared(folder).stream("test", 32)
    scores = keras.saving.load_model(line.last.model_file).evaluate(test, verbose=0, return_dict=True)
    assert scores == pytest.approx(line.last.test, rel=1e-4)


def test_an_objective_that_the_model_lacks_names_the_valid_ones(run_job):
    failed = run_job("own_code:without_metrics").last
    assert failed.reason == "error"
    assert failed.message == "objective: the model has no metric val_accuracy; valid: val_loss"


def test_a_mistake_in_the_users_code_is_reported_with_its_place(run_job):
    failed = run_job("own_code:division_by_zero", params={"width": 1}).last
    assert failed.reason == "error"
    assert re.fullmatch(r"own_code\.py:\d+: ZeroDivisionError: division by zero", failed.message)
    assert 'own_code.py", line' in failed.traceback
    assert 'return params["width"] / 0' in failed.traceback


def test_out_of_memory_has_a_reason_of_its_own(run_job):
    failed = run_job("own_code:out_of_memory").last
    assert failed.reason == "out_of_memory"
    assert re.fullmatch(r"own_code\.py:\d+: MemoryError", failed.message)


@pytest.mark.parametrize("error", [KeyboardInterrupt, GeneratorExit, own_code.OwnInterrupt])
def test_any_exception_of_the_users_code_fails_only_its_trial(run_job, error):
    failed = run_job("own_code:raises", params={"error": error}).last
    assert failed.reason == "error"
    assert failed.message.endswith(error.__name__)


def test_a_call_of_exit_fails_the_trial_alone(run_job):
    failed = run_job("own_code:leaves").last
    assert failed.reason == "error"
    assert re.fullmatch(r"own_code\.py:\d+: SystemExit: enough", failed.message)
