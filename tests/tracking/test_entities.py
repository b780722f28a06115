"""Trials, scores and datasets in MLflow's words; nothing is stored."""

import json
import math
from dataclasses import replace
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from hpo.config.experiment import Objective
from hpo.config.resolved import Resolved
from hpo.data.dataset import DatasetInfo, Scaling
from hpo.study.confirmation import Confirmation, Estimate, Finalist
from hpo.study.failure import Failure
from hpo.study.record import Confirms, TrialRecord
from hpo.tracking import entities
from hpo.tracking.entities import BestSoFar

BEGAN = datetime(2026, 3, 1, 12, 0, 0)
AT = int(BEGAN.timestamp() * 1000)
ACCURACY = Objective(metric="val_accuracy", direction="maximize")
LOSS = Objective(metric="val_loss", direction="minimize")
CURVES = {"loss": [1.0, 0.5, 0.4], "val_accuracy": [0.5, 0.9, 0.8], "val_loss": [1.1, 0.6, 0.7], "seconds": [1, 2, 3]}
FOLDED = {"val_loss": [0.5, 0.4, 0.8], "seconds": [1, 1, 1]}


def complete(number: int, value: float = 0.9, **more: Any) -> TrialRecord:
    started = BEGAN + timedelta(minutes=number)
    known = {
        "value": value, "best_epoch": 2, "curves": CURVES, "test": {"loss": 0.61, "accuracy": 0.88},
        "ended_by": "early_stopping", "model_parameters": 123, "started": started,
        "ended": started + timedelta(seconds=30), **more,
    }  # fmt: skip
    return replace(TrialRecord(number, "complete", {"width": 32, "optimizer": "adam"}, 7, number), **known)


def pairs(points: Any) -> list[tuple[str, float, int]]:
    return [(point.key, point.value, point.step) for point in points]


def test_a_gap_is_positive_where_the_training_part_has_more():
    curves = {"accuracy": [0.5, 0.95], "val_accuracy": [0.4, 0.75], "loss": [1.0, 0.125], "val_loss": [1.1, 0.5]}
    record = replace(complete(0), curves=curves)
    values = {point.key: point.value for point in entities.scores(record)}
    assert (values["gap_accuracy"], values["gap_loss"]) == (pytest.approx(0.2), -0.375)


@pytest.mark.parametrize(
    ("name", "allowed"),
    [("top(5)", "top_5_"), ("a/b", "a/b"), ("a//b", "a__b"), ("../x", "___x"), ("/", "_"), ("", "_")],
)
def test_names_are_as_mlflow_allows_them(name, allowed):
    assert entities.key(name) == allowed


def test_only_finite_metrics_and_allowed_names_reach_mlflow():
    points = entities.metrics({"loss": math.inf, "mae": math.nan, "top(5)": 0.5}, timestamp=1, step=2)
    assert [(point.key, point.value, point.step) for point in points] == [("top_5_", 0.5, 2)]
    long = entities.params({"layers": [64, 32], "text": "x" * 7000, "unset": None, "rate": 1e-05})
    assert [param.key for param in long] == ["layers", "text", "rate"]
    assert long[0].value == "[64, 32]"
    assert 5999 <= len(long[1].value) <= 6000
    record = replace(complete(0), curves={"loss": [1.0, math.nan]})
    assert [point.step for point in entities.curves(record)] == [1]


def test_points_after_each_epoch_come_at_the_times_that_the_epochs_took():
    points = entities.curves(replace(complete(0), curves={"loss": [1.0, 0.5, 0.4], "seconds": [1, 2.5, math.nan]}))
    assert [(p.key, p.step, p.timestamp - AT) for p in points] == [
        ("loss", 1, 1000), ("seconds", 1, 1000), ("loss", 2, 3500), ("seconds", 2, 3500), ("loss", 3, 3500),
    ]  # fmt: skip


@pytest.mark.parametrize(("logged", "steps"), [(0, [1, 2, 3]), (1, [2, 3]), (2, [3]), (3, []), (9, [])])
def test_epochs_that_were_logged_are_not_logged_again(logged, steps):
    points = entities.curves(replace(complete(0), curves={"loss": [1.0, 0.5, 0.4]}), logged)
    assert [p.step for p in points] == steps
    assert {p.timestamp for p in points} <= {AT}


def test_each_fold_has_curves_of_its_own_that_begin_at_one():
    record = complete(0, curves=FOLDED, fold_lengths=(2, 1))
    assert pairs(entities.curves(record)) == [
        ("fold_1_val_loss", 0.5, 1), ("fold_1_seconds", 1, 1), ("fold_1_val_loss", 0.4, 2), ("fold_1_seconds", 1, 2),
        ("fold_2_val_loss", 0.8, 1), ("fold_2_seconds", 1, 1),
    ]  # fmt: skip
    assert pairs(entities.curves(record, logged_epochs=2)) == [("fold_2_val_loss", 0.8, 1), ("fold_2_seconds", 1, 1)]


def test_scores_stand_at_step_zero_and_a_failed_trial_has_none():
    found = {point.key: point.value for point in entities.scores(complete(0))}
    assert found == {
        "epochs": 3, "model_parameters": 123, "best_val_accuracy": 0.9, "best_val_loss": 0.6,
        "gap_loss": pytest.approx(-0.1), "best_epoch": 2, "test_loss": 0.61, "test_accuracy": 0.88,
    }  # fmt: skip
    assert {(point.step, point.timestamp) for point in entities.scores(complete(0))} == {(0, AT + 30_000)}
    failed = complete(0, state="failed", value=None, model_parameters=None, test={"test_loss": 0.5})
    assert pairs(entities.scores(failed)) == [("epochs", 3, 0), ("test_loss", 0.5, 0)]
    assert "best_epoch" not in {point.key for point in entities.scores(complete(0, best_epoch=None))}
    folded = complete(0, 0.6, curves=FOLDED, fold_lengths=(2, 1), fold_best_epochs=(2, 3))
    found = {point.key: point.value for point in entities.scores(folded)}
    assert (found["best_val_loss"], found["best_val_loss_std"]) == (pytest.approx(0.6), pytest.approx(0.08**0.5))
    assert not any(name in found for name in ("best_seconds", "best_seconds_std", "best_loss"))


@pytest.mark.parametrize(
    ("objective", "values", "best", "last"),
    [
        (ACCURACY, [0.5, 0.4, 0.5, 0.7], [0.5, 0.5, 0.5, 0.7], 0.7),
        (LOSS, [0.5, 0.6, 0.4, 0.5], [0.5, 0.5, 0.4, 0.4], 0.4),
    ],
)
def test_the_best_so_far_never_goes_back(objective, values, best, last):
    records = [complete(number, value) for number, value in enumerate(values)]
    points, after = entities.best_so_far(records, objective)
    name = objective.metric
    assert pairs(points) == [(f"best_so_far_{name}", v, n) for n, v in enumerate(best, 1)] + [(f"best_{name}", last, 0)]
    assert after == BestSoFar(objective.score(last, 2), 4)
    more, still = entities.best_so_far([complete(4, values[0])], objective, after)
    assert (pairs(more), still) == ([(f"best_so_far_{name}", last, 5)], BestSoFar(objective.score(last, 2), 5))
    assert entities.best_so_far([], objective, after) == ([], after)


def test_failed_trials_count_and_are_no_best():
    failed = complete(0, 0.9, state="failed")
    points, after = entities.best_so_far([failed, complete(1, None), complete(2, 0.3, state="pruned")], ACCURACY)
    assert pairs(points) == [("best_so_far_val_accuracy", 0.3, 3), ("best_val_accuracy", 0.3, 0)]
    assert points[-1].timestamp == AT + 150_000
    assert after == BestSoFar(ACCURACY.score(0.3, 2), 3)


def test_records_in_the_order_of_their_ends():
    late, early = complete(0, ended=BEGAN + timedelta(hours=1)), complete(1)
    running = complete(2, state="running", ended=None)
    same = complete(3, ended=early.ended)
    assert [one.number for one in entities.by_end([late, running, same, early])] == [1, 3, 0]


def test_the_description_of_a_trials_run():
    def note(record: TrialRecord, objective: Objective = ACCURACY) -> str:
        found = {tag.key: tag.value for tag in entities.state_tags(record, objective)}
        return found["mlflow.note.content"]

    assert note(complete(0)) == "complete, val_accuracy 0.9000 at epoch 2 of 3, on the test part 0.8800"
    failed = complete(0, state="failed", failure=Failure("nonfinite"), value=None, test={}, attempt=1, origin=4)
    assert note(failed) == "failed (nonfinite), attempt 2 at the configuration of trial 4"
    confirming = complete(0, confirms=Confirms(3, 2), attempt=1, test={}, test_note="none")
    assert note(confirming).endswith("seed 2 of trial 3, attempt 2 at the run, test scores: none")
    tags = {tag.key for tag in entities.state_tags(complete(0), ACCURACY)}
    assert tags == {"hpo.state", "hpo.ended_by", "hpo.epochs", "mlflow.note.content"}


def test_runs_of_trials_and_confirming_runs_are_distinguished():
    trial, seed = complete(12), complete(7, confirms=Confirms(3, 2))
    assert (entities.run_name(trial), entities.run_name(seed)) == ("trial-0012", "confirm-0003-seed-2")
    assert entities.role_tags(trial) == {"hpo.role": "trial", "hpo.trial": "12"}
    assert entities.role_tags(seed) == {
        "hpo.role": "confirm", "hpo.confirm": "7", "hpo.trial": "3", "hpo.ordinal": "2", "hpo.seed": "7",
    }  # fmt: skip


def test_params_are_what_a_trial_resolved_to_or_what_earlier_code_knew():
    fixed = {"training": {"width": 1, "epochs": 3, "optimizer": "sgd"}, "engine": "local"}
    found = {param.key: param.value for param in entities.trial_params(fixed, complete(0))}
    assert found == {"seed": "7", "engine": "local", "training.epochs": "3", "width": "32", "optimizer": "adam"}
    named = complete(0, params={"training.epochs": 9})
    assert "training.epochs" in {param.key for param in entities.trial_params(fixed, named)}
    assert {param.value for param in entities.trial_params(fixed, named) if param.key == "training.epochs"} == {"9"}
    resolved = Resolved(model={"width": 32, "bias": True}, training={"epochs": 4}, dataset={"limit": 100})
    found = {param.key: param.value for param in entities.trial_params({}, complete(0, resolved=resolved))}
    assert found == {
        "seed": "7", "training.epochs": "4", "dataset.limit": "100", "model.bias": "true", "width": "32",
        "optimizer": "adam",
    }  # fmt: skip


def test_a_confirmed_score_is_logged_with_its_interval():
    score = Estimate(mean=0.8, deviation=0.1, low=0.7, high=0.9, seeds=3)
    one = Finalist(
        trial=3, searched=0.9, values={1: 0.8}, validation=score, p_value=None, tied=True, model_parameters=1, seconds=1
    )
    found = Confirmation(metric="val_loss", finalists=(one,), chosen=3, noise_floor=0.1, test={"loss": score})
    three = {"": 0.8, "_low": 0.7, "_high": 0.9}
    validated, tested = (
        {f"confirmed_{name}{end}": v for end, v in three.items()} for name in ("val_loss", "test_loss")
    )
    assert entities.confirmed(found) == {"noise_floor": 0.1, **validated, **tested}
    bare = found.model_copy(update={"finalists": (one.model_copy(update={"validation": None}),), "test": {}})
    assert entities.confirmed(bare) == {"noise_floor": 0.1}


@pytest.mark.parametrize(("one_hot", "classes", "kind", "width"), [
    (False, 3, "int64", [-1]), (True, 3, "int64", [-1, 3]), (False, None, "float32", [-1]),
])  # fmt: skip
def test_the_parts_of_a_dataset(tmp_path: Path, one_hot, classes, kind, width):
    file = tmp_path / "a.csv"
    file.touch()
    info = DatasetInfo(
        name="toy", source=str(file), task="classification", input_shape=(4, 2), classes=classes, outputs=3,
        one_hot=one_hot, sizes={"training": 80, "validation": 20, "test": 30},
        digests={part: letter * 32 for part, letter in zip(("training", "validation"), "ab", strict=True)},
        digest="d" * 32, scaling=Scaling("none", np.zeros(1, np.float32), np.zeros(1, np.float32)),
    )  # fmt: skip
    inputs = entities.dataset_inputs(info)
    assert [one.tags[0].value for one in inputs] == ["training", "validation", "test"]
    assert [one.dataset.digest for one in inputs] == ["a" * 8, "b" * 8, "d" * 8]
    assert json.loads(inputs[1].dataset.profile) == {"num_rows": 20, "num_elements": 160}
    schema = json.loads(inputs[0].dataset.schema)["mlflow_tensorspec"]
    features, targets = (json.loads(schema[name])[0]["tensor-spec"] for name in ("features", "targets"))
    assert (features["dtype"], features["shape"]) == ("float32", [-1, 4, 2])
    assert (targets["dtype"], targets["shape"]) == (kind, width)
    assert (inputs[0].dataset.source_type, json.loads(inputs[0].dataset.source)) == ("local", {"uri": str(file)})
    (elsewhere, *_) = entities.dataset_inputs(replace(info, source="keras"))
    assert elsewhere.dataset.source_type == "code"
    assert json.loads(elsewhere.dataset.source) == {"tags": {"mlflow.source.name": "keras"}}
