"""A trial that pauses and goes on: the same figures, bit for bit, as one that never paused."""

from dataclasses import replace
from pathlib import Path

import keras
import pytest

from hpo.config.experiment import Augmentation
from hpo.training import checkpoint_file, fingerprint, pausing, trainers
from hpo.training.messages import Checkpointed, Checkpoints, EpochDone, Finished, Paused, Started
from hpo.training.state import TrainingState
from hpo.training.template import Templates

DIGITS = {"name": "digits", "limit": 200}
WIDE = {"depth": 2, "width": 16, "dropout": 0.3}
BLOCKS = {"blocks": 1, "filters": 4, "dense_width": 8, "dropout": 0.2}


def training(optimizer="adam", epochs=5, **more):
    return {"optimizer": optimizer, "epochs": epochs, **more}


PLATEAU = {"factor": 0.5, "patience": 1, "min_delta": 0.2, "cooldown": 1}
CASES = {
    "mlp, adam, dropout, products of bfloat16": {
        "params": {**WIDE, "width": 64},
        "training": training(batch_size=128, products="bfloat16"),
    },
    "mlp, momentum, cosine after a warm-up": {
        "params": WIDE,
        "training": training("sgd", momentum=0.9, schedule={"name": "cosine", "warmup_epochs": 1.5}),
    },
    "mlp, rmsprop, plateaus, class weights": {
        "params": WIDE,
        "training": training("rmsprop", reduce_on_plateau=PLATEAU, class_weight="balanced"),
    },
    # The product of its momenta is not among its variables.
    "mlp, nadam": {"params": WIDE, "training": training("nadam")},
    "mlp, adamw, stops early": {
        "params": WIDE,
        "training": training("adamw", weight_decay=0.01, epochs=9, early_stopping={"patience": 2, "min_delta": 0.3}),
    },
    # It divides by zero where a feature is the same in all samples, as some of digits are.
    "mlp, adafactor": {"params": WIDE, "data": {"name": "iris"}, "training": training("adafactor")},
    "mlp, lion, standardized targets": {
        "params": WIDE,
        "data": {"name": "diabetes"},
        "objective": "val_loss",
        "training": training("lion", learning_rate=0.001),
    },
    "mixed precision in one layer": {"model": "pausing_models:mixed"},
    "mlp, lamb, mixed_bfloat16": {"params": WIDE, "training": training("lamb", precision="mixed_bfloat16")},
    "mlp, mixed_float16, whose loss is scaled": {"params": WIDE, "training": training(precision="mixed_float16")},
    "cnn with batch normalization, changed images": {
        "model": "cnn",
        "params": {**BLOCKS, "batch_norm": True},
        "augmentation": Augmentation(rotation=0.05, zoom=0.1, translation=0.1, noise=0.1),
    },
    "averaged weights": {"model": "pausing_models:averaged", "training": {"epochs": 5}},
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
        assert end.model_note is None
        assert weights_in(tmp_path / "paused.keras") == weights_in(tmp_path / "model.keras")
        # The second time it goes on in a template of its own.
        monkeypatch.setattr(trainers, "_TEMPLATES", Templates())


THROUGH = {
    "own fit": ({"model": "pausing_models:OwnFit"}, "the HyperModel's own fit trains it"),
    "callbacks": ({"training": training(callbacks=["pausing_models:OnlyLoud"])}, "it has callbacks of your own"),
    "own draws": ({"model": "pausing_models:noisy"}, "an operation with state of its own, RandomStandardNormal"),
    "own variables": ({"model": "pausing_models:counting"}, "has variables that Keras does not know"),
}


@pytest.mark.parametrize("name", THROUGH)
def test_what_is_not_known_to_go_on_exactly_trains_through(run_job, tmp_path, name):
    case, reason = THROUGH[name]
    case = {"training": training(epochs=1), **case}
    started, *_, last = run_job(**case, checkpoints=Checkpoints(str(tmp_path / "left"), seconds=1e-9)).events
    assert started.trains_through.endswith(reason)
    assert isinstance(last, Finished)
    assert not (tmp_path / "left").exists()


def test_a_checkpoint_that_is_not_the_trial_s_is_not_used(run_job, recorder, tmp_path, monkeypatch):
    job = {"model": "pausing_models:Tuned", "checkpoints": Checkpoints(str(tmp_path))}
    left = run_job(**job, line=recorder(stop_after_epoch=1, reason="pause")).last.checkpoint
    whole = run_job(**job)

    def started_over(checkpoint=left, **more):
        line = run_job(**{**job, **more}, resume=checkpoint)
        started, *_ = line.events
        assert started.epochs_done == 0
        return started.started_over, everything(line)

    assert started_over(replace(left, sha256="0")) == ("its checkpoint is damaged", everything(whole))
    assert started_over(replace(left, file=left.file + "x"))[0] == "its checkpoint is gone"
    assert started_over(seed=4)[0] == "its checkpoint is of another seed"
    assert started_over(params={"units": 9})[0] == "its checkpoint is of another configuration"
    monkeypatch.setattr(fingerprint, "_versions", lambda: {"keras": "4"})
    assert started_over()[0] == "its checkpoint is of another set of versions"
    monkeypatch.undo()
    monkeypatch.setattr(fingerprint, "_digest_of_file", lambda file: "another")
    assert started_over()[0] == "the code of the model has changed since its checkpoint"
    monkeypatch.undo()
    # Checkpoints of versions without this key hold: it says nothing here.
    state = checkpoint_file.read_state(Path(left.file))
    assert "precision" not in state["fingerprint"]["training section"]
    # More epochs than before change nothing in the first ones.
    line = run_job(**job, training=training(epochs=3, learning_rate=0.01), resume=left)
    assert [event.epoch for event in line.events if isinstance(event, EpochDone)] == [2, 3]


def test_checkpoints_are_written_beside_training_and_the_last_one_is_kept(run_job, tmp_path):
    line = run_job(training=training(epochs=6), checkpoints=Checkpoints(str(tmp_path), seconds=1e-9))
    written = [event.checkpoint for event in line.events if isinstance(event, Checkpointed)]
    assert written
    assert [str(file) for file in tmp_path.iterdir()] == [written[-1].file]
    for one in written:
        done = [event.epoch for event in line.events if isinstance(event, EpochDone)]
        assert one.epochs in done


def test_a_checkpoint_that_cannot_be_written_costs_the_trial_its_epochs_alone(run_job, recorder, tmp_path):
    (tmp_path / "file").touch()
    line = run_job(
        checkpoints=Checkpoints(str(tmp_path / "file"), seconds=1e-9), line=recorder(stop_after_epoch=1, reason="pause")
    )
    assert line.last == Paused(7, 1, None, "its checkpoint cannot be written: Not a directory")


def test_where_no_trial_pauses_the_state_is_read_once_a_second(run_job, recorder, tmp_path, monkeypatch):
    monkeypatch.setattr(pausing, "_SECONDS_TO_LOSE", 1e9)
    read, reads = TrainingState.read, []

    def counted(state):
        reads.append(state)
        return read(state)

    monkeypatch.setattr(TrainingState, "read", counted)
    policy = Checkpoints(str(tmp_path), pauses=False)
    stopped = recorder(stop_after_epoch=3, reason="interrupt")
    assert run_job(training=training(), checkpoints=policy, line=stopped).last.ended_by == "interrupt"
    assert len(reads) == 1
    assert [one.epochs for one in checkpoint_file.found_in(tmp_path)[7]] == [1]
