"""Learning rates that move: each schedule's formula, the same in the graph as by Keras's own, and plateaus."""

import json
import zipfile
from math import cos, floor, pi

import keras
import numpy as np
import pytest
from toys import FLAT, HEAD, Curves, assert_same, curves_by_fit, curves_in_graph, dataset, layer, model_of

from hpo.config.experiment import TrainingSpec
from hpo.data import open_prepared
from hpo.training.graph import GraphLoop
from hpo.training.learning_rate import rates_of
from hpo.training.messages import Failed, Finished
from hpo.training.template import Templates

schedules = keras.optimizers.schedules

EPOCHS, STEPS = 6, 4

# The schedule, and its rate as a share of the initial one t steps after the warm-up: the formulas of Keras's docs.
SCHEDULES = {
    "constant": ({}, lambda t: 1.0),
    "exponential": ({"decay_rate": 0.5}, lambda t: 0.5 ** (t / STEPS)),
    "exponential in two epochs": ({"decay_rate": 0.5, "decay_epochs": 2}, lambda t: 0.5 ** (t / (2 * STEPS))),
    "step": ({"decay_rate": 0.1, "decay_epochs": 1.5}, lambda t: 0.1 ** floor(t / 6)),
    "cosine": ({}, lambda t: 0.5 * (1 + cos(pi * t / 18))),
    "cosine to a tenth in two epochs": (
        {"final": 0.1, "decay_epochs": 2},
        lambda t: 0.9 * 0.5 * (1 + cos(pi * min(t, 8) / 8)) + 0.1,
    ),
    "polynomial": ({"final": 0.2, "power": 2}, lambda t: 0.8 * (1 - t / 18) ** 2 + 0.2),
    "polynomial as a line": ({}, lambda t: 1 - t / 18),
}


def training(epochs: int = EPOCHS, **keys: object) -> TrainingSpec:
    return TrainingSpec.model_validate({"epochs": epochs, **keys})


@pytest.mark.parametrize("name", SCHEDULES)
def test_each_step_has_the_rate_of_the_formula_after_a_linear_warm_up(name: str) -> None:
    keys, formula = SCHEDULES[name]
    schedule = {"name": name.split(maxsplit=1)[0], "warmup_epochs": 1.5, **keys}
    model = model_of(FLAT, HEAD, optimizer=lambda: keras.optimizers.SGD(0.5))
    rates = rates_of(training(schedule=schedule), model, STEPS)
    assert rates is not None
    found = np.concatenate([rates.of_epoch(epoch) for epoch in range(EPOCHS)])
    expected = [0.5 * step / 6 if step < 6 else 0.5 * formula(step - 6) for step in range(EPOCHS * STEPS)]
    assert found.dtype == np.float32
    np.testing.assert_allclose(found, expected, rtol=1e-5, atol=1e-7)


def test_a_rate_that_stays_is_no_schedule() -> None:
    model = model_of(FLAT, HEAD)
    assert rates_of(training(), model, STEPS) is None
    assert rates_of(training(schedule="constant"), model, STEPS) is None


def test_a_schedule_starts_at_the_optimizers_own_rate() -> None:
    rates = rates_of(training(schedule="cosine"), model_of(FLAT, HEAD, optimizer="adadelta"), STEPS)
    assert rates is not None
    assert rates.of_epoch(0)[0] == pytest.approx(0.001)


def _scheduled(templates: Templates, width: int, schedule: dict[str, object] | None) -> tuple[Curves, float]:
    """Three epochs of four steps in a template's graph, and the rate after the last step."""
    model = _mlp(width, 0.3)
    with templates.lent(model, "toy", lambda copy: GraphLoop(copy, dataset())) as lent:
        template = lent.template
        assert template is not None
        rates = rates_of(training(3, schedule=schedule), template.model, 4)
        curves = curves_in_graph(template.loop, 64, 3, rates)
        return curves, float(template.model.optimizer.learning_rate)


def _mlp(width: int, rate: object) -> keras.Model:
    optimizer = lambda: keras.optimizers.SGD(rate, momentum=0.9, nesterov=True, clipnorm=0.5)  # noqa: E731
    return model_of(FLAT, layer("Dense", width, activation="relu"), layer("Dense", 4), HEAD, optimizer=optimizer)


def test_a_schedule_in_the_graph_trains_as_keras_with_its_own_and_shares_the_template() -> None:
    templates = Templates()
    _scheduled(templates, 6, None)
    found, last = _scheduled(templates, 8, {"name": "cosine", "final": 0.1, "warmup_epochs": 1})
    own = schedules.CosineDecay(0.0, 8, alpha=0.1, warmup_target=0.3, warmup_steps=4)
    assert_same(found, curves_by_fit(_mlp(8, own), dataset(), 64, epochs=3))
    assert last == pytest.approx(float(own(11)))

    _, last = _scheduled(templates, 10, {"name": "step", "decay_rate": 0.1, "decay_epochs": 1})
    assert last == pytest.approx(0.003)
    assert len(templates) == 1


SCHEDULED = {
    "epochs": 3,
    "batch_size": 40,
    "learning_rate": 0.02,
    "schedule": {"name": "exponential", "decay_rate": 0.1, "warmup_epochs": 0.5},
}


def test_trials_report_the_rate_of_each_epochs_last_step(run_job, tmp_path) -> None:
    line = run_job(training=SCHEDULED, save_to=str(tmp_path / "model.keras"))
    assert line.events[0].note is None
    # Of 128 samples an epoch has four steps, of which the first two warm up.
    expected = [0.02 * 0.1 ** (t / 4) for t in (1, 5, 9)]
    assert line.curves["learning_rate"] == pytest.approx(expected, rel=1e-5)
    by_fit = run_job(training={**SCHEDULED, "callbacks": ["own_code:CountBatches"]})
    assert by_fit.curves["learning_rate"] == pytest.approx(expected, rel=1e-5)
    assert isinstance(line.last, Finished), line.last
    # The file loads where there is no hpo: its rate is a number.
    with zipfile.ZipFile(line.last.model_file) as archive:
        optimizer = json.loads(archive.read("config.json"))["compile_config"]["optimizer"]
    assert optimizer["config"]["learning_rate"] == pytest.approx(0.02)


def test_a_rate_of_zero_moves_nothing(run_job) -> None:
    """Polynomial down to nothing after the first of three epochs."""
    ends = {"name": "polynomial", "decay_epochs": 1}
    line = run_job(training={"epochs": 3, "learning_rate": 0.02, "schedule": ends, "early_stopping": False})
    assert line.curves["learning_rate"][1:] == [0.0, 0.0]
    assert line.curves["val_loss"][0] == pytest.approx(line.curves["val_loss"][2], abs=1e-7)


def test_pipelines_are_scheduled_by_their_own_steps(run_job, prepared) -> None:
    job = {"data": prepared(name="own_code:pipelines"), "params": {"depth": 1, "width": 4}}
    line = run_job(training={**SCHEDULED, "batch_size": 24}, **job)
    # Of 96 samples an epoch has four steps.
    assert line.curves["learning_rate"] == pytest.approx([0.02 * 0.1 ** (t / 4) for t in (1, 5, 9)], rel=1e-5)


PLATEAU = {"factor": 0.5, "patience": 1, "min_delta": 0.05, "cooldown": 1, "min_learning_rate": 0.05}


def test_a_plateau_reduces_the_rate_as_plain_keras_does(run_job, prepared) -> None:
    # One batch an epoch, whose order says nothing.
    spec = {
        "epochs": 12,
        "batch_size": 500,
        "learning_rate": 0.4,
        "early_stopping": False,
        "reduce_on_plateau": PLATEAU,
    }
    line = run_job(objective="val_loss", training=spec)

    data = open_prepared(prepared(name="digits", limit=200))
    keras.utils.clear_session()
    keras.utils.set_random_seed(3)
    layers = [keras.layers.Flatten(), keras.layers.Dense(8, "relu"), keras.layers.Dense(10, "softmax")]
    model = keras.Sequential([keras.Input((8, 8, 1)), *layers])
    model.compile(keras.optimizers.Adam(0.4), "sparse_categorical_crossentropy", metrics=["accuracy"])
    plateau = keras.callbacks.ReduceLROnPlateau(
        monitor="val_loss", mode="min", factor=0.5, patience=1, min_delta=0.05, cooldown=1, min_lr=0.05
    )
    scale = data.info.scaling.apply
    validation = (scale(data.validation.x), data.validation.y)
    history = model.fit(
        scale(data.training.x), data.training.y, batch_size=500, epochs=12, verbose=0, callbacks=[plateau],
        validation_data=validation,
    ).history  # fmt: skip
    assert len(set(history["learning_rate"])) > 2
    assert history["learning_rate"][-1] == pytest.approx(0.05)
    for name, curve in history.items():
        assert line.curves[name] == pytest.approx(curve, rel=1e-3), name


def test_another_metric_than_the_objective_may_be_watched(run_job) -> None:
    watches = {"patience": 1, "min_delta": 100.0, "monitor": "loss"}
    training = {"epochs": 3, "learning_rate": 0.02, "callbacks": ["own_code:CountBatches"]}
    line = run_job(training={**training, "reduce_on_plateau": watches})
    assert line.events[0].note.endswith("a callback needs each batch")
    assert line.curves["learning_rate"] == pytest.approx([0.02, 0.02, 0.002])
    failed = run_job(training={"reduce_on_plateau": {"monitor": "val_mae"}}).last
    assert failed.message == (
        "reduce_on_plateau.monitor: the model has no metric val_mae; valid: accuracy, loss, val_accuracy, val_loss"
    )


@pytest.mark.parametrize("key", ["schedule", "reduce_on_plateau"])
def test_a_model_with_a_schedule_of_its_own_is_invalid(run_job, key: str) -> None:
    change = {key: {"schedule": "cosine", "reduce_on_plateau": True}[key], "learning_rate": None}
    failed = run_job("own_code:scheduled", training=change).last
    assert (type(failed), failed.reason) == (Failed, "invalid")
    assert failed.message == f"{key}: the model's own code gives its optimizer a learning-rate schedule already"
