"""Transfer learning in phases: the figures of a plain Keras script, also after a pause, and what is refused."""

import re

import keras
import numpy as np
import pytest
from image_folders import write_images
from toys import make_variables
from transfer_models import build

from hpo.data import open_prepared
from hpo.export.predict import predict
from hpo.training.messages import Checkpoints, EpochDone, Failed, Finished, Paused, Started

SEED = 3
PHASES = [{"train": "head", "epochs": 2}, {"unfreeze": 4, "learning_rate": 0.002, "epochs": 2}]
DIGITS = {"name": "digits", "limit": 200}


def script_of(model, network, dataset, unfrozen):
    """The validation figures of each epoch of two phases, and those of the test at the best one."""
    info = dataset.info
    x, y, *_ = info.prepared(dataset.training.x), dataset.training.y
    validation, test = ((info.prepared(part.x), part.y) for part in (dataset.validation, dataset.test))
    curves, best = [], None
    for epochs, rate in ((range(2), 0.01), (range(2, 4), 0.002)):
        network.trainable = rate != 0.01
        for layer in network.layers:
            thawed = layer in network.layers[-unfrozen:] and not isinstance(layer, keras.layers.BatchNormalization)
            layer.trainable = bool(network.trainable and thawed)
        model.compile(keras.optimizers.Adam(rate), "sparse_categorical_crossentropy", metrics=["accuracy"])
        make_variables(model, x[:2], y[:2])
        for epoch in epochs:
            order = np.random.default_rng([SEED, epoch]).permutation(len(x))
            model.fit(x[order], y[order], batch_size=16, shuffle=False, verbose=0)
            curves.append(model.evaluate(*validation, return_dict=True, verbose=0))
            if best is None or curves[-1]["loss"] < best[0]:
                best = curves[-1]["loss"], model.get_weights()
    model.set_weights(best[1])
    return curves, model.evaluate(*test, return_dict=True, verbose=0)


def assert_equal_to_script(line, curves, test):
    epochs = [event.metrics for event in line.events if isinstance(event, EpochDone)]
    assert isinstance(line.last, Finished), line.last
    assert [event.epoch for event in line.events if isinstance(event, EpochDone)] == [1, 2, 3, 4]
    assert [round(one["learning_rate"], 6) for one in epochs] == [0.01, 0.01, 0.002, 0.002]
    for mine, theirs in zip(epochs, curves, strict=True):
        assert {key: mine[f"val_{key}"] for key in theirs} == pytest.approx(theirs, rel=1e-3, abs=1e-4)
    assert {key: line.last.test[key] for key in test} == pytest.approx(test, rel=1e-3, abs=1e-4)


TRAINING = {"phases": PHASES, "batch_size": 16, "early_stopping": False, "learning_rate": 0.01}


@pytest.fixture
def train(run_job):
    """Trains a job in phases, whose number of epochs is that of the phases."""

    def run(model, training=TRAINING, **more):
        return run_job(model, objective="val_loss", training={"epochs": 4, **training}, seed=SEED, **more)

    return run


def test_a_pretrained_network_trains_as_in_a_script_and_is_exported_for_raw_images(
    train, prepared, tmp_path, monkeypatch
):
    monkeypatch.setenv("HPO_CACHE", str(tmp_path / "cache"))
    images = write_images(tmp_path / "images", 14, 0, (32, 32))
    folder, file = prepared(path=str(images)), tmp_path / "model.keras"

    def network():
        return keras.applications.MobileNet((32, 32, 3), alpha=0.25, include_top=False, weights=None)

    network().save_weights(tmp_path / "network.weights.h5")
    params = {"architecture": "MobileNet", "alpha": 0.25, "weights": str(tmp_path / "network.weights.h5")}
    line = train("application", data=folder, params=params, save_to=str(file))

    dataset = open_prepared(folder)
    keras.utils.set_random_seed(SEED)
    inside = network()
    inside.load_weights(tmp_path / "network.weights.h5")
    inputs, scaling = keras.Input((32, 32, 3)), dataset.info.scaling
    # From what the dataset's scaling makes of pixels, back to them, and to what MobileNet was trained on.
    pixels = keras.layers.Rescaling(1 / float(scaling.factor), float(scaling.offset))(inputs)
    x = inside(keras.layers.Rescaling(1 / 127.5, -1)(pixels))
    x = keras.layers.GlobalAveragePooling2D()(x)
    model = keras.Model(inputs, keras.layers.Dense(3, "softmax")(x))
    assert_equal_to_script(line, *script_of(model, inside, dataset, unfrozen=4))

    table = predict(str(file), images).table
    outputs = keras.saving.load_model(file).predict(dataset.test.x, verbose=0)
    assert (outputs.argmax(axis=1) == dataset.test.y).mean() == pytest.approx(line.last.test["accuracy"], abs=1e-6)
    assert len(table) == 42


def test_a_network_of_ones_own_trains_in_phases_too(train, prepared):
    folder = prepared(**DIGITS)
    line = train("transfer_models:build", data=folder, params={"dropout": 0.0})
    keras.utils.set_random_seed(SEED)
    dataset = open_prepared(folder)
    model = build({"dropout": 0.0}, dataset.info)
    assert_equal_to_script(line, *script_of(model, model.layers[1], dataset, unfrozen=4))


@pytest.mark.parametrize("more", [{}, {"schedule": {"name": "cosine", "warmup_epochs": 0.5}}], ids=["plain", "cosine"])
def test_a_trial_that_paused_in_any_phase_is_that_which_did_not(train, prepared, recorder, tmp_path, more):
    folder = prepared(**DIGITS)

    def lines(*pauses):
        found, resume = [], None
        for pause in (*pauses, None):
            policy = Checkpoints(str(tmp_path / "checkpoints"), seconds=None)
            line = recorder(stop_after_epoch=pause, reason="pause")
            training = {**TRAINING, **more}
            train("transfer_models:build", training, data=folder, line=line, checkpoints=policy, resume=resume)
            assert [one.trains_through for one in line.events if isinstance(one, Started)] == [None]
            if pause is not None:
                assert isinstance(line.last, Paused), line.last
                assert line.last.epochs == pause
                resume = line.last.checkpoint
            found.append(line)
        return found

    (whole,) = lines()
    others = lines(1, 2, 3)
    for name, curve in whole.curves.items():
        assert [value for line in others for value in line.curves[name]] == curve
    assert (others[-1].last.best_epoch, others[-1].last.test) == (whole.last.best_epoch, whole.last.test)


COSINE = {"name": "cosine", "final": 0.1, "warmup_epochs": 0.5}
STEP = {"name": "step", "decay_rate": 0.5, "decay_epochs": 1}


@pytest.mark.parametrize("callbacks", [[], ["own_code:CountBatches"]], ids=["graph", "fit"])
@pytest.mark.parametrize("schedule", [COSINE, STEP], ids=lambda one: one["name"])
def test_a_schedule_runs_through_each_phase(train, prepared, schedule, callbacks):
    phases = [{"train": "head", "epochs": 2}, {"unfreeze": 4, "learning_rate": 0.002, "epochs": 3}]
    training = {**TRAINING, "epochs": 5, "phases": phases, "schedule": schedule, "callbacks": callbacks}
    line = train("transfer_models:build", training, data=prepared(**DIGITS))
    steps, expected = 8, []
    for rate, epochs in ((0.01, 2), (0.002, 3)):
        decay = keras.optimizers.schedules.ExponentialDecay(rate, steps, 0.5, staircase=True)
        if schedule is COSINE:
            decay = keras.optimizers.schedules.CosineDecay(
                0.0, steps * epochs - 4, alpha=0.1, warmup_target=rate, warmup_steps=4
            )
        expected += [float(decay(steps * epoch - 1)) for epoch in range(1, epochs + 1)]
    # Of 128 samples an epoch has eight steps; what is told of it is the rate of its last one.
    assert line.curves["learning_rate"] == pytest.approx(expected, rel=1e-5)


def test_a_plateau_is_counted_anew_in_each_phase(train, prepared):
    phases = [{"train": "head", "epochs": 3}, {"unfreeze": 4, "learning_rate": 0.002, "epochs": 3}]
    plateau = {"factor": 0.5, "patience": 1, "min_delta": 100.0}
    training = {**TRAINING, "epochs": 6, "phases": phases, "reduce_on_plateau": plateau}
    line = train("transfer_models:build", training, data=prepared(**DIGITS))
    # The first epoch of a phase sets what to beat.
    assert line.curves["learning_rate"] == pytest.approx([0.01, 0.01, 0.005, 0.002, 0.002, 0.001])


def test_early_stopping_watches_all_phases(train, prepared):
    stopping = {"patience": 2, "min_delta": 100.0}
    line = train("transfer_models:build", {**TRAINING, "early_stopping": stopping}, data=prepared(**DIGITS))
    # The first epoch sets what to beat, and the second phase has begun when patience ends.
    assert (line.last.ended_by, len(line.curves["val_loss"])) == ("early_stopping", 3)


@pytest.mark.parametrize(
    ("model", "params", "message"),
    [
        ("mlp", None, "phases: need a model of which one layer is a model itself, .* and this one has none"),
        ("transfer_models:two", None, "and this one has 2"),
        ("application", {"unfreeze": 3}, "unfreeze: the phases of the training section say which layers train"),
    ],
)
def test_models_without_one_network_are_refused(train, prepared, model, params, message):
    line = train(model, params=params, data=prepared(**DIGITS))
    assert isinstance(line.last, Failed)
    assert line.last.reason == "invalid"
    assert re.search(message, line.last.message)
