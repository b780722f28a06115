"""A trial that pauses and goes on: the same figures, bit for bit, as one that never paused."""

from dataclasses import replace

import keras
import pytest

from hpo.config.experiment import Augmentation
from hpo.training import trainers
from hpo.training.messages import Checkpoints, EpochDone, Finished, Paused, Started
from hpo.training.template import Templates

DIGITS = {"name": "digits", "limit": 200}
WIDE = {"depth": 2, "width": 16, "dropout": 0.3}
BLOCKS = {"blocks": 1, "filters": 4, "dense_width": 8, "dropout": 0.2}


def training(optimizer="adam", epochs=5, **more):
    return {"optimizer": optimizer, "epochs": epochs, **more}


PLATEAU = {"factor": 0.5, "patience": 1, "min_delta": 0.2, "cooldown": 1}
CASES = {
    "mlp, adam, dropout": {"params": WIDE},
    "mlp, momentum, cosine after a warm-up": {
        "params": WIDE,
        "training": training("sgd", momentum=0.9, schedule={"name": "cosine", "warmup_epochs": 1.5}),
    },
    "mlp, rmsprop, plateaus": {"params": WIDE, "training": training("rmsprop", reduce_on_plateau=PLATEAU)},
    "mlp, nadam, class weights": {"params": WIDE, "training": training("nadam", class_weight="balanced")},
    "mlp, adamw, stops early": {
        "params": WIDE,
        "training": training("adamw", weight_decay=0.01, epochs=9, early_stopping={"patience": 2, "min_delta": 0.3}),
    },
    "cnn with batch normalization, changed images": {
        "model": "cnn",
        "params": {**BLOCKS, "batch_norm": True},
        "augmentation": Augmentation(rotation=0.05, zoom=0.1, translation=0.1, noise=0.1),
    },
    "averaged weights": {"model": "pausing_models:averaged"},
    "accumulated gradients": {"model": "pausing_models:accumulating"},
    "a HyperModel": {"model": "pausing_models:Tuned", "params": {"units": 12}},
    "folds": {"params": WIDE, "data": {**DIGITS, "validation": {"folds": 3}}, "training": training(epochs=2)},
    "generated data": {
        "params": WIDE,
        "data": {"function": "own_batches:sides", "steps_per_epoch": 6, "validation": 32, "test": 32},
    },
}
PAUSES = {"folds": (2, 3)}


def everything(line):
    """The curves of a trial, and its end."""
    epochs = [
        replace(event, metrics={**event.metrics, "seconds": 0.0})
        for event in line.events
        if isinstance(event, EpochDone)
    ]
    return epochs, replace(line.last, model_file=None) if isinstance(line.last, Finished) else None


def weights_in(file):
    return [weight.tolist() for weight in keras.models.load_model(file).get_weights()]


@pytest.fixture
def pausable(run_job, prepared, recorder, tmp_path):
    """Trains a case with pauses after some epochs; returns the lines of all its jobs, the last one that of its end."""

    def run(case, pauses=(), name="model", **more):
        case = {"data": DIGITS, "training": training(), **case, **more}
        case["data"] = prepared(**case["data"])
        lines, resume = [], None
        for pause in (*pauses, None):
            line = recorder(stop_after_epoch=pause, reason="pause")
            policy = Checkpoints(str(tmp_path / "checkpoints"), seconds=None)
            run_job(**case, line=line, checkpoints=policy, resume=resume, save_to=str(tmp_path / f"{name}.keras"))
            lines.append(line)
            if pause is not None:
                assert isinstance(line.last, Paused), line.last
                assert (line.last.note, line.last.epochs) == (None, pause)
                resume = line.last.checkpoint
        return lines

    return run


@pytest.mark.parametrize("name", CASES)
def test_a_trial_that_paused_is_that_which_did_not(pausable, monkeypatch, tmp_path, name):
    (whole,) = pausable(CASES[name])
    for pause in PAUSES.get(name, (2,)):
        *others, last = pausable(CASES[name], (pause,), "paused")
        assert [event.epochs_done for event in last.events if isinstance(event, Started)] == [pause]
        assert [event.started_over for event in last.events if isinstance(event, Started)] == [None]
        (epochs, _), (rest, end) = everything(others[0]), everything(last)
        assert (epochs + rest, end) == everything(whole)
        assert weights_in(tmp_path / "paused.keras") == weights_in(tmp_path / "model.keras")
        # The second time it goes on in a template of its own.
        monkeypatch.setattr(trainers, "_TEMPLATES", Templates())
