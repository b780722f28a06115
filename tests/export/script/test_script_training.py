"""Exported scripts train as the study did: how the learning rate moves, losses, stopping, weights of classes."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import keras
import numpy as np
import pytest
from formatting import formatted
from script_runs import executed, losses_of_both

from hpo.errors import UserError
from hpo.export.script import script_of
from hpo.plan.exported_file import Exported
from hpo.plan.plan import load_plan
from hpo.training.learning_rate import rates_of

MLP = {"depth": 1, "width": 8}


@pytest.fixture
def exported(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Callable[..., Exported]:
    (tmp_path / "own_for_training.py").write_text(
        "import keras\n\n\nclass Told(keras.callbacks.Callback):\n    pass\n\n\n"
        "class Fits(__import__('keras_tuner').HyperModel):\n"
        "    def build(self, hp):\n        return keras.Sequential([keras.layers.Dense(3, 'softmax')])\n\n"
        "    def fit(self, hp, model, *args, **kwargs):\n        return model.fit(*args, **kwargs)\n"
    )
    monkeypatch.chdir(tmp_path)

    def make(training: dict[str, Any], model: str = "mlp", data: str = "iris", **parameters: Any) -> Exported:
        space = {"model": model, "parameters": parameters}
        plan = load_plan(
            {"name": "s", "dataset": data, "search_space": space, "objective": "val_loss", "training": training}
        )
        scores = {"val_loss": 1.0, "epochs": 6, "best_epoch": 6, "test": {}}
        return Exported("s", 3, plan, parameters, 7, 6, scores, "0" * 32)

    return make


SCHEDULES: list[dict[str, Any]] = [
    {"name": "constant", "warmup_epochs": 1.5},
    {"name": "cosine", "final": 0.1, "warmup_epochs": 1},
    {"name": "cosine", "decay_epochs": 2.5},
    {"name": "polynomial", "power": 2.0, "final": 0.25, "warmup_epochs": 0.5},
    {"name": "step", "decay_rate": 0.5, "decay_epochs": 2},
    {"name": "exponential", "decay_rate": 0.9, "warmup_epochs": 2},
]


@pytest.mark.parametrize("schedule", SCHEDULES, ids=lambda one: one["name"])
def test_the_rates_of_a_script_are_those_of_the_study(
    exported: Callable[..., Exported], tmp_path: Path, schedule: dict[str, Any]
) -> None:
    file = exported({"epochs": 6, "schedule": schedule, "learning_rate": 0.3}, **MLP)
    text = script_of(file)
    formatted(text, tmp_path)
    names = executed(text)
    model = names["build_model"]()
    ours = rates_of(file.plan.experiment.training, model, 4)
    assert ours is not None
    theirs = names["schedule"](0.3, 4)
    found = [float(theirs(step)) for step in range(24)]
    np.testing.assert_allclose(found, np.concatenate([ours.of_epoch(epoch) for epoch in range(6)]), atol=1e-7)


def test_a_trial_that_was_stopped_keeps_the_schedule_of_all_its_epochs(exported: Callable[..., Exported]) -> None:
    file = exported({"epochs": 60, "schedule": "cosine"}, **MLP)
    stopped = Exported(**{**vars(file), "scores": {**file.scores, "ended_by": "pruner"}})
    text = script_of(stopped)
    assert "\nEPOCHS = 6\n" in text
    assert "CosineDecay(rate, decay_steps=60 * steps)" in text


# One batch an epoch, whose order says nothing.
SCHEDULED = {
    "epochs": 12,
    "batch_size": 1000,
    "optimizer": "sgd",
    "learning_rate": 0.3,
    "momentum": 0.9,
    "nesterov": True,
    "global_clipnorm": 0.5,
    "schedule": {"name": "polynomial", "final": 0.1, "warmup_epochs": 3},
    "label_smoothing": 0.1,
    "class_weight": "balanced",
    "early_stopping": {"monitor": "loss", "patience": 2, "baseline": 0.9},
    "callbacks": ["own_for_training:Told"],
}
PLATEAU = {
    "epochs": 12,
    "batch_size": 1000,
    "learning_rate": 0.2,
    "reduce_on_plateau": {"patience": 1, "factor": 0.5, "min_delta": 0.01, "cooldown": 1, "min_learning_rate": 0.01},
    "class_weight": {1: 2.0},
    "metrics": ["crossentropy"],
    "early_stopping": {"patience": 6, "min_delta": 0.01},
}
TRAINED: dict[str, tuple[dict[str, Any], dict[str, Any]]] = {
    "scheduled": (SCHEDULED, {"data": "wine", **MLP}),
    "plateau": (PLATEAU, {"data": "breast_cancer", "output_activation": "sigmoid", **MLP}),
}


@pytest.mark.parametrize("name", TRAINED)
def test_a_script_reaches_what_the_trial_reached(
    exported: Callable[..., Exported], tmp_path: Path, capsys: pytest.CaptureFixture[str], name: str
) -> None:
    training, more = TRAINED[name]
    losses_of_both(exported(training, **more), tmp_path, capsys)


def test_a_schedule_beside_a_fit_of_its_own_makes_no_script(exported: Callable[..., Exported]) -> None:
    with pytest.raises(UserError, match="a learning-rate schedule beside a HyperModel's own fit makes no plain script"):
        script_of(exported({"schedule": "cosine"}, model="own_for_training:Fits"))


def test_targets_are_scaled_for_training_and_undone_by_the_model(exported: Callable[..., Exported]) -> None:
    text = script_of(exported({"epochs": 1, "loss": "mae", "metrics": ["r2"]}, data="diabetes", **MLP))
    script = executed(text)
    model = script["build_model"]()
    assert isinstance(model.layers[-1], keras.layers.Rescaling)
    (_, y), (x_val, y_val), _ = script["load_data"]()
    assert float(model.layers[-1].offset) == pytest.approx(y.mean(), rel=1e-5)
    assert 1 / script["TARGET_FACTOR"] == pytest.approx(y.std(), rel=1e-5)
    predicted = model.predict(x_val, verbose=0)
    loss = model.evaluate(x_val, y_val, verbose=0, return_dict=True)["loss"]
    assert loss == pytest.approx(np.abs(predicted[:, 0] - y_val).mean(), rel=1e-4)
    assert set(script["scores"](y_val, predicted)) == {"r2"}
