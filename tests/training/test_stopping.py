"""Early stopping on any metric, by the rules of Keras's own callback."""

from typing import Any

import keras
import pytest

from hpo.training.epoch_callback import Watch

FALLS = [0.9, 0.8, 0.75, 0.74, 0.735, 0.8, 0.7, 0.7, 0.72, 0.71, 0.69, 0.9]
WAYS: dict[str, dict[str, Any]] = {
    "the objective": {"patience": 2},
    "least change": {"patience": 2, "min_delta": 0.03},
    "a baseline never met": {"patience": 3, "baseline": 0.1},
    "a baseline met at once": {"patience": 2, "baseline": 0.95},
    "a baseline met late": {"patience": 5, "baseline": 0.75, "min_delta": 0.008},
    "another metric": {"patience": 3, "monitor": "accuracy"},
    "another metric, downwards": {"patience": 1, "monitor": {"metric": "accuracy", "direction": "minimize"}},
    "a training metric": {"patience": 2, "monitor": "loss", "baseline": 0.8},
}


@pytest.fixture(scope="module")
def model():
    model = keras.Sequential([keras.Input((2,)), keras.layers.Dense(1)])
    model.compile("sgd", "mse")
    return model


@pytest.mark.parametrize("curve", [FALLS, FALLS[::-1]], ids=["falling", "rising"])
@pytest.mark.parametrize("way", WAYS)
def test_trials_end_where_keras_would_end_them(job_of, recorder, model, way, curve):
    stopping = WAYS[way]
    watched = stopping.get("monitor", {"metric": "val_loss", "direction": "minimize"})
    metric = watched if isinstance(watched, str) else watched["metric"]
    rises = watched == "accuracy"
    theirs = keras.callbacks.EarlyStopping(
        monitor=metric, mode="max" if rises else "min", **{key: stopping[key] for key in stopping if key != "monitor"}
    )
    job = job_of(objective="val_loss", training={"epochs": len(curve), "early_stopping": stopping})
    ours = Watch(job, recorder())
    for callback in (theirs, ours):
        callback.set_model(model)
    theirs.on_train_begin()
    for epoch, value in enumerate(curve):
        logs = {"val_loss": value, "loss": value + 0.1, "accuracy": value}
        model.stop_training = False
        theirs.on_epoch_end(epoch, dict(logs))
        stops, model.stop_training = model.stop_training, False
        ours.on_epoch_end(epoch, dict(logs))
        if stops:
            break
    assert ours.ended == ("early_stopping" if stops else "epochs")
    # The weights are those of the best objective, whatever was watched.
    assert ours.best is not None
    assert ours.best.value == min(curve[: epoch + 1])


def test_a_metric_that_the_model_does_not_log_is_named(run_job):
    failed = run_job(training={"early_stopping": {"monitor": "val_auc"}}).last
    valid = "accuracy, learning_rate, loss, val_accuracy, val_loss"
    assert failed.message == f"early_stopping.monitor: the model has no metric val_auc; valid: {valid}"


def test_a_training_metric_ends_a_trial(run_job):
    """A loss that must fall by 100 in an epoch."""
    line = run_job(training={"epochs": 9, "early_stopping": {"monitor": "loss", "min_delta": 100, "patience": 2}})
    assert (line.last.ended_by, len(line.curves["loss"])) == ("early_stopping", 3)
