"""Parameters that change what the loss is made of, and the objective to set instead of `val_loss`."""

from typing import Any

import pytest
from tiny import tiny

from hpo.config.loss_parts import logged_plain_loss
from hpo.plan.plan import load_plan

RANGE = {"type": "float", "low": 0.0, "high": 0.1}
LOSSES = {"type": "categorical", "choices": ["mse", "huber"]}


def plan_of(parameters: dict[str, Any], model: str = "mlp", **changes: Any) -> Any:
    space = {"model": model, "parameters": {"width": {"type": "int", "low": 4, "high": 8}, **parameters}}
    return load_plan(tiny(**{"search_space": space, "objective": "val_loss", **changes}))


@pytest.mark.parametrize(
    ("parameters", "model", "warned"),
    [
        ({"l2": RANGE, "l1": RANGE}, "mlp", ["l2", "l1"]),
        ({"smooth": {**RANGE, "sets": "training.label_smoothing"}}, "mlp", ["smooth"]),
        ({"loss": LOSSES}, "mlp", ["loss"]),
        ({"dense_regularization": RANGE, "activity_penalty": RANGE, "weight_l2": RANGE}, "m:build",
         ["dense_regularization", "activity_penalty", "weight_l2"]),
        # It is there in some trials only.
        ({"kind": {"type": "categorical", "choices": ["a", "b"]}, "l2": {"type": "categorical", "choices": [0.1],
          "when": {"kind": "a"}}}, "m:build", ["l2"]),
        ({"l2": 0.01, "label_smoothing": {"type": "categorical", "choices": [0.1]}}, "mlp", []),
        ({"l2_cache": {"type": "boolean"}, "steps_l": RANGE, "lossy": RANGE}, "m:build", []),
        # Neither is part of the validation loss.
        ({"weight_decay": RANGE, "dropout": RANGE, "class_weight": {"type": "categorical",
          "choices": ["balanced", None]}}, "mlp", []),
    ],
)  # fmt: skip
def test_parameters_that_change_the_loss_are_warned_of(parameters, model, warned):
    plan = plan_of(parameters, model)
    warnings = plan.warnings("classification")
    assert [warning.key for warning in warnings] == [f"search_space.parameters.{name}" for name in warned]
    assert all("set objective: val_crossentropy" in warning.message for warning in warnings)
    assert plan_of(parameters, model, objective="val_crossentropy").warnings("classification") == []
    assert (logged_plain_loss(plan.experiment, plan.space) is not None) == bool(warned)


@pytest.mark.parametrize(
    ("parameters", "training", "metric"),
    [
        ({"l2": RANGE}, {}, "mse"),
        ({"l2": RANGE}, {"loss": "MeanAbsoluteError"}, "mae"),
        ({"l2": RANGE}, {"loss": "poisson"}, "poisson"),
        # Keras has no such metric.
        ({"l2": RANGE}, {"loss": "huber"}, "mse"),
        ({"loss": LOSSES}, {"loss": "poisson"}, "mse"),
    ],
)
def test_regression_has_a_plain_loss_that_may_be_the_objective(parameters, training, metric):
    training = {"epochs": 2, **training}
    (warning,) = plan_of(parameters, training=training).warnings("regression")
    assert f"set objective: val_{metric}, " in warning.message
    assert plan_of(parameters, training=training, objective=f"val_{metric}").warnings("regression") == []


def test_the_direction_is_known_and_a_key_that_names_it_has_it_logged():
    plan = plan_of({}, objective="val_crossentropy")
    assert plan.experiment.objective.direction == "minimize"
    assert logged_plain_loss(plan.experiment, plan.space) is not None
    watched = plan_of({}, training={"early_stopping": {"monitor": "val_crossentropy"}})
    assert logged_plain_loss(watched.experiment, watched.space) is not None
    unnamed = plan_of({})
    assert logged_plain_loss(unnamed.experiment, unnamed.space) is None
