"""Trials on generated data, and the scores on extra tests: in the graph and by `fit` alike."""

from typing import Any

import keras
import numpy as np
import pytest

from hpo.data import open_prepared
from hpo.data.generated import batches_of_epoch
from hpo.training import graph

SURFACE = {"function": "own_batches:surface", "steps_per_epoch": 30, "validation": 200, "test": 100}
BOTH = pytest.mark.parametrize("callbacks", [[], ["own_code:CountBatches"]], ids=["graph", "fit"])


@pytest.fixture(scope="module")
def folder(prepared: Any) -> str:
    return str(prepared(**SURFACE, scaling="standard"))


@pytest.fixture(scope="module")
def train(run_job: Any, folder: str) -> Any:
    def run(seed: int = 3, data: str = folder, **training: Any) -> Any:
        training = {"epochs": 3, "learning_rate": 0.1, "optimizer": "sgd", "batch_size": 20, **training}
        # A rate for each step: those of an epoch go on from one piece of its data to the next.
        training["schedule"] = {"name": "exponential", "decay_rate": 0.5}
        return run_job(data=data, objective="val_loss", seed=seed, training=training)

    return run


@pytest.fixture(scope="module")
def trained(train: Any) -> Any:
    return train()


def test_each_epoch_trains_on_its_steps_of_fresh_batches(train: Any, trained: Any, folder: str) -> None:
    dataset = open_prepared(folder)
    # A model that stays as it is tells what it was shown: the loss is the mean over the batches.
    still = train(learning_rate=1e-12, epochs=2)
    scale = dataset.info.scaling.apply
    outputs = []
    for epoch in range(2):
        batches = list(batches_of_epoch(dataset, 20, 3, epoch))
        assert len(batches) == 30
        outputs.append(
            (scale(np.concatenate([part.x for part in batches])), np.concatenate([part.y for part in batches]))
        )
    assert still.curves["loss"][0] != pytest.approx(still.curves["loss"][1], rel=1e-3)
    assert still.curves["val_loss"][0] == pytest.approx(still.curves["val_loss"][1])
    model = model_like(still, folder)
    for (x, y), loss in zip(outputs, still.curves["loss"], strict=True):
        assert np.square(model(x)[:, 0] - y).mean() == pytest.approx(loss, rel=1e-4)
    assert trained.curves["loss"][2] < trained.curves["loss"][0]


def model_like(line: Any, folder: str) -> Any:
    """The model of the jobs above before its training: from the same seed."""
    from hpo import models

    keras.utils.set_random_seed(3)
    return models.build("mlp", {"depth": 1, "width": 8}, open_prepared(folder).info, (), None).model


def test_the_same_trial_is_the_same_and_by_fit_too(train: Any, trained: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    assert train().curves == trained.curves
    assert train(seed=4).curves["loss"] != trained.curves["loss"]
    monkeypatch.setattr(graph, "FRESH_BYTES", 1)
    one_by_one = train()
    fitted = train(callbacks=["own_code:CountBatches"])
    assert fitted.events[0].note.endswith("a callback needs each batch")
    for name, curve in trained.curves.items():
        assert one_by_one.curves[name] == pytest.approx(curve, rel=1e-5)
        assert fitted.curves[name] == pytest.approx(curve, rel=1e-3)


@BOTH
def test_class_weights_of_generated_data(train: Any, prepared: Any, callbacks: list[str]) -> None:
    data = prepared(**{**SURFACE, "function": "own_batches:sides"})
    still = {"learning_rate": 1e-12, "epochs": 1, "callbacks": callbacks}
    plain, weighted = (train(data=data, class_weight=one, **still) for one in (None, {0: 3.0, 1: 3.0}))
    assert weighted.curves["loss"][0] == pytest.approx(3 * plain.curves["loss"][0], rel=1e-4)
    refused = train(data=data, class_weight="balanced", **still).last
    assert refused.reason == "invalid"
    assert "balanced counts the labels" in refused.message


@BOTH
def test_extra_tests_are_scored_at_the_best_weights(
    run_job: Any, prepared: Any, tmp_path: Any, callbacks: list[str]
) -> None:
    extra_tests = {"shifted": {"shift": [0, 2]}, "rotated": {"rotate": 30.0}}
    data = prepared(name="digits", limit=300, extra_tests=extra_tests)
    line = run_job(data=data, training={"epochs": 2, "callbacks": callbacks}, save_to=str(tmp_path / "best.keras"))
    dataset, found = open_prepared(data), line.last.test
    assert set(found) == {f"{name}{metric}" for name in ("", "shifted_", "rotated_") for metric in ("loss", "accuracy")}
    model = keras.saving.load_model(line.last.model_file)
    for name in ("shifted", "rotated"):
        part = dataset.part(f"test_{name}")
        scores = model.evaluate(part.x, part.y, verbose=0, return_dict=True)
        assert {metric: found[f"{name}_{metric}"] for metric in scores} == pytest.approx(scores, rel=1e-4)
    assert found["shifted_loss"] != found["loss"]
