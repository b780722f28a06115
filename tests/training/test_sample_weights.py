"""Weights of samples and of steps, of one target and of several: the figures of a plain `model.fit`, however given."""

from collections.abc import Mapping
from typing import Any

import keras
import numpy as np
import pytest
import weighed

from hpo.data import open_prepared
from hpo.data.generated import batches_of_epoch
from hpo.training.messages import EpochDone, Finished

EPOCHS, SEED = 2, 3
# One batch an epoch: the order of samples, which Keras's fit draws by itself, says nothing.
TRAINING = {"optimizer": "sgd", "learning_rate": 0.1, "epochs": EPOCHS, "batch_size": 60, "early_stopping": False}
SEVERAL = {**TRAINING, "loss_weights": weighed.COMPILED["loss_weights"]}
UNSCALED = {"scaling": "none"}
ONE = {"loss": "sparse_categorical_crossentropy", "metrics": ["accuracy"]}
BATCHES = ["own_code:CountBatches"]
"""A callback with which Keras's fit trains, as it trains pipelines."""
BOTH = pytest.mark.parametrize("callbacks", [[], BATCHES], ids=["graph", "fit"])
EXACT: dict[str, Any] = {"rel": 2e-6, "abs": 1e-6}
Figures = tuple[list[Mapping[str, float]], Mapping[str, float]]


def trained(run_job: Any, data: str, model: str, training: Any) -> Figures:
    """Validation of each epoch, and test."""
    line = run_job(f"weighed:{model}", data=data, objective="val_loss", params={}, training=training)
    assert isinstance(line.last, Finished), line.last
    return [event.metrics for event in line.events if isinstance(event, EpochDone)], line.last.test


def by_fit(data: Any, model: Any, compiled: Any) -> Figures:
    """The same by a script, and the losses of training."""
    keras.utils.set_random_seed(SEED)
    made = model({}, None)
    if not made.compiled:
        made.compile(keras.optimizers.SGD(0.1), **compiled)
    parts = {name: dict(zip(("x", "y", "sample_weight"), part, strict=False)) for name, part in data.items()}
    curves = list[Mapping[str, float]]()
    for _ in range(EPOCHS):
        logs = made.fit(**parts["train"], batch_size=60, shuffle=False, verbose=0).history
        found = made.evaluate(**parts["validation"], batch_size=512, return_dict=True, verbose=0)
        curves.append({name: one[0] for name, one in logs.items()} | {f"val_{key}": one for key, one in found.items()})
    return curves, made.evaluate(**parts["test"], batch_size=512, return_dict=True, verbose=0)


def assert_equal(mine: Any, theirs: Any) -> None:
    for one, other in zip(mine[0], theirs[0], strict=True):
        assert {key: one[key] for key in other} == pytest.approx(other, **EXACT)
    best = min(range(EPOCHS), key=lambda epoch: theirs[0][epoch]["val_loss"])
    assert best == EPOCHS - 1, "the test is at the last epoch's weights"
    assert {key: mine[1][key] for key in theirs[1]} == pytest.approx(theirs[1], **EXACT)


def expanded(data: Any) -> Any:
    """Weights of samples for the steps of a target, for which Keras wants shape (n, 1)."""
    return {
        name: (x, y, {"a": weights[0], "b": weights[0][:, None]}) if weights else (x, y)
        for name, (x, y, *weights) in data.items()
    }


ARRAYS = {
    "by_target": weighed.by_target,
    "for_all": lambda: expanded(weighed.for_all()),
    "column": weighed.column,
    "of_one_target": weighed.of_one_target,
    "validated_alike": lambda: expanded(weighed.validated_alike()),
    "pipelines_by_target": weighed.by_target,
    "pipelines_for_all": lambda: expanded(weighed.for_all()),
}


@BOTH
@pytest.mark.parametrize("name", ARRAYS)
def test_several_targets(run_job: Any, prepared: Any, name: str, callbacks: list[str]) -> None:
    mine = trained(
        run_job, prepared(**UNSCALED, function=f"weighed:{name}"), "heads", {**SEVERAL, "callbacks": callbacks}
    )
    assert_equal(mine, by_fit(ARRAYS[name](), weighed.heads, weighed.COMPILED))


@pytest.mark.parametrize(("name", "callbacks"), [("as_lists", []), ("as_lists", BATCHES), ("pipelines_as_lists", [])])
def test_lists_of_targets(run_job: Any, prepared: Any, name: str, callbacks: list[str]) -> None:
    weights = {"loss_weights": {"target_1": 0.3, "target_2": 2.0}}
    training = {**TRAINING, **weights, "callbacks": callbacks}
    mine = trained(run_job, prepared(**UNSCALED, function=f"weighed:{name}"), "listed_heads", training)
    listed = {key: list(one.values()) for key, one in weighed.COMPILED.items()}
    assert_equal(mine, by_fit(weighed.as_lists(), weighed.listed_heads, listed))


@pytest.mark.parametrize(
    ("name", "callbacks"), [("by_target", []), ("by_target", BATCHES), ("pipelines_by_target", [])]
)
def test_targets_by_name_of_a_model_that_puts_out_a_list(
    run_job: Any, prepared: Any, name: str, callbacks: list[str]
) -> None:
    # Keras itself finds the weights by the place of an output only.
    training = {**SEVERAL, "callbacks": callbacks}
    mine = trained(run_job, prepared(**UNSCALED, function=f"weighed:{name}"), "listed_heads", training)
    assert_equal(mine, by_fit(weighed.by_target(), weighed.heads, weighed.COMPILED))


def test_weighted_metrics_of_a_compiled_model(run_job: Any, prepared: Any) -> None:
    training = {key: one for key, one in TRAINING.items() if key != "optimizer"}
    mine = trained(run_job, prepared(**UNSCALED, function="weighed:by_target"), "weighted_metrics", training)
    assert "val_b_weighted_accuracy" in mine[0][0]
    assert_equal(mine, by_fit(weighed.by_target(), weighed.weighted_metrics, None))


STEPS = {
    "steps": weighed.steps,
    "pipelines_of_steps": weighed.steps,
    "unbatched_steps": weighed.steps,
    "samples_of_steps": lambda: {name: (x, y, w[:, None]) for name, (x, y, w) in weighed.samples_of_steps().items()},
}


@pytest.mark.parametrize(
    ("name", "callbacks"), [*((name, []) for name in STEPS), ("steps", BATCHES), ("samples_of_steps", BATCHES)]
)
def test_steps_of_one_target(run_job: Any, prepared: Any, name: str, callbacks: list[str]) -> None:
    data = prepared(**UNSCALED, function=f"weighed:{name}", task="classification")
    mine = trained(run_job, data, "head", {**TRAINING, "callbacks": callbacks})
    assert_equal(mine, by_fit(STEPS[name](), weighed.head, ONE))


@BOTH
@pytest.mark.parametrize(
    ("name", "model", "compiled", "more"),
    [
        ("endless", "heads", weighed.COMPILED, {"loss_weights": weighed.COMPILED["loss_weights"]}),
        ("endless_steps", "head", ONE, {}),
        ("endless_classes", "classes", ONE, {"class_weight": {0: 3.0}}),
    ],
)
def test_generated_data(
    run_job: Any, prepared: Any, name: str, model: str, compiled: Any, more: Any, callbacks: list[str]
) -> None:
    section = {
        "steps_per_epoch": 3,
        "validation": 20,
        "test": 20,
        "task": None if model == "heads" else "classification",
    }
    data = prepared(function=f"weighed:{name}", **section)
    curves, test = trained(run_job, data, model, {**TRAINING, "batch_size": 20, "callbacks": callbacks, **more})
    dataset = open_prepared(data)
    keras.utils.set_random_seed(SEED)
    made = getattr(weighed, model)({}, None)
    made.compile(keras.optimizers.SGD(0.1), **compiled)
    losses = []
    for epoch in range(EPOCHS):
        of_batches = []
        for part in batches_of_epoch(dataset, 20, SEED, epoch):
            x, y, weights = arguments(part)
            if more.get("class_weight"):
                weights = weights * np.where(y == 0, 3.0, 1.0)
            of_batches.append(made.train_on_batch(x, y, weights, return_dict=True)["loss"])
        found = evaluated(made, dataset.validation)
        losses.append({"loss": np.mean(of_batches)} | {f"val_{key}": one for key, one in found.items()})
    for one, other in zip(curves, losses, strict=True):
        assert {key: one[key] for key in other} == pytest.approx(other, rel=1e-5, abs=1e-6)
    found = evaluated(made, dataset.test)
    assert {key: test[key] for key in found} == pytest.approx(found, rel=1e-5, abs=1e-6)


def arguments(part: Any) -> Any:
    return part.x, *(getattr(one, "arrays", one) for one in (part.y, part.weights))


def evaluated(model: Any, part: Any) -> Any:
    x, y, weights = arguments(part)
    return model.evaluate(x, y, sample_weight=weights, batch_size=512, return_dict=True, verbose=0)
