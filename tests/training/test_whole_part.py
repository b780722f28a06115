"""Metrics of a whole part are scikit-learn's, whichever way a model trains, and whatever its head and labels."""

from typing import Any

import numpy as np
import pytest
from sklearn import metrics as of

from hpo.config.training import TrainingSpec
from hpo.data import open_prepared
from hpo.data.dataset import class_numbers
from hpo.training import fit_trainer, graph
from hpo.training.messages import Finished
from hpo.training.predict import predict
from hpo.training.whole_part import whole_figures

OF_CLASSES = [
    "balanced_accuracy", "f1_score", "macro_f1", "precision", "recall", "auc", "pr_auc",
    {"name": "auc", "curve": "PR", "average": "weighted", "log_as": "auc_pr"},
]  # fmt: skip
SEVEN = 7
"""Samples a batch of an evaluation: no part is a multiple of it."""


def expected(y, outputs):
    """The figures of classes, written out."""
    if outputs.shape[1] <= 2:
        second = outputs[:, -1]
        predicted = (second > 0.5).astype(int)
        average = "binary"
        ranks = {
            "auc": of.roc_auc_score(y, second),
            "pr_auc": of.average_precision_score(y, second),
            "auc_pr": of.average_precision_score(y, second),
        }
    else:
        predicted = outputs.argmax(axis=1)
        average = "macro"
        # Sigmoids do not sum to one, without which scikit-learn takes no multi_class.
        own = outputs / outputs.sum(axis=1, keepdims=True)
        ovr = np.allclose(own, outputs, atol=1e-5)
        one_hot = np.eye(outputs.shape[1])[y]
        ranks = {
            "auc": of.roc_auc_score(y, own, multi_class="ovr") if ovr else of.roc_auc_score(one_hot, outputs),
            "pr_auc": of.average_precision_score(y, outputs),
            "auc_pr": of.average_precision_score(y, outputs, average="weighted"),
        }
    return {
        "balanced_accuracy": of.balanced_accuracy_score(y, predicted),
        "f1_score": of.f1_score(y, predicted, average=average),
        "macro_f1": of.f1_score(y, predicted, average="macro"),
        "precision": of.precision_score(y, predicted, average=average, zero_division=0),
        "recall": of.recall_score(y, predicted, average=average),
        **ranks,
    }


def of_numbers(y, outputs):
    return {
        "r2": of.r2_score(y, outputs),
        "rmse": of.root_mean_squared_error(y, outputs),
        "mape": 100 * of.mean_absolute_percentage_error(y, outputs),
    }


CASES: dict[str, tuple[dict[str, Any], ...]] = {
    "softmax of two": ({"name": "breast_cancer"}, {}, {}),
    "one sigmoid": ({"name": "breast_cancer"}, {"output_activation": "sigmoid"}, {}),
    "softmax": ({"name": "iris"}, {}, {}),
    "a sigmoid each": ({"name": "iris"}, {"output_activation": "sigmoid"}, {}),
    "one-hot for the loss": ({"name": "iris"}, {}, {"loss": "categorical_crossentropy"}),
    "one-hot in the data": ({"function": "own_code:one_hot_data"}, {}, {}),
    "through fit": ({"name": "iris"}, {}, {"callbacks": ["own_code:CountBatches"]}),
    "a pipeline": ({"function": "own_code:pipelines"}, {}, {}),
    "a number": ({"name": "diabetes", "limit": 100}, {}, {}),
    "two numbers": ({"function": "own_code:two_numbers"}, {}, {}),
}


@pytest.mark.parametrize("case", CASES)
def test_the_figures_are_those_of_scikit_learn(case, run_job, prepared, tmp_path, monkeypatch):
    section, params, training = CASES[case]
    for module in (fit_trainer, graph):
        monkeypatch.setattr(module, "EVALUATION_BATCH", SEVEN)
    folder = prepared(**section, seed=SEVEN)
    numbers = open_prepared(folder).info.classes is None
    line = run_job(
        data=folder,
        objective="val_rmse" if numbers else "val_macro_f1",
        params={"depth": 1, "width": 8, **params},
        training={"epochs": 3, "metrics": ["r2", "rmse", "mape"] if numbers else OF_CLASSES, **training},
        save_to=str(tmp_path / "model.keras"),
    )
    assert isinstance(line.last, Finished), line.last
    assert (line.events[0].note is None) == (case not in ("through fit", "a pipeline"))
    best = {name.removeprefix("val_"): curve[line.last.best_epoch - 1] for name, curve in line.curves.items()}
    for name, scores in (("validation", best), ("test", line.last.test)):
        x, y = part_of(folder, name)
        outputs = predict(tmp_path / "model.keras", x)
        wanted = of_numbers(y, outputs) if numbers else expected(class_numbers(y), outputs.astype(float))
        assert {one: scores[one] for one in wanted} == pytest.approx(wanted, rel=1e-4, abs=1e-6), name
    # What is expensive to compute is not computed of the training part.
    assert not {"auc", "rmse"} & set(line.curves)


def part_of(folder, name):
    dataset = open_prepared(folder)
    if dataset.stream is None:
        part = dataset.part(name)
        return part.x, part.y
    batches = [(np.asarray(x), np.asarray(y)) for x, y in dataset.stream(name, 10)]
    return tuple(map(np.concatenate, zip(*batches, strict=True)))


def test_a_fit_of_its_own_validates_on_what_it_prepared(run_job):
    line = run_job("own_code:PreparesItsInputs", objective="val_macro_f1", training={"metrics": ["macro_f1"]})
    assert line.last.best_epoch is not None
    assert len(line.curves["val_macro_f1"]) == 2
    assert 0 <= line.last.test["macro_f1"] <= 1


def test_a_model_that_compiled_itself_has_them_as_well(run_job):
    line = run_job("own_code:compiled", objective="val_auc", training={"metrics": ["auc"]})
    assert 0.5 < line.last.test["auc"] <= 1
    assert line.events[0].note is None or "fit" not in line.events[0].note


def specs(*metrics):
    return TrainingSpec.model_validate({"metrics": list(metrics)}).whole_metrics


@pytest.fixture
def info(prepared):
    return open_prepared(prepared(name="iris")).info


def test_a_class_that_a_part_lacks(info):
    y = np.array([0, 1, 0, 1, 1])
    outputs = np.array([[0.6, 0.3, 0.1], [0.2, 0.7, 0.1], [0.1, 0.2, 0.7], [0.1, 0.8, 0.1], [0.5, 0.4, 0.1]])
    found = whole_figures(specs(*OF_CLASSES), y, outputs, info)
    predicted = outputs.argmax(axis=1)
    # scikit-learn does not define the area under a curve without a positive sample.
    assert "auc" not in found
    assert found["macro_f1"] == pytest.approx(of.f1_score(y, predicted, average="macro"))
    assert found["balanced_accuracy"] == pytest.approx((1 / 2 + 2 / 3) / 2)
    assert found["pr_auc"] == pytest.approx(
        np.mean([*(of.average_precision_score(y == k, outputs[:, k]) for k in (0, 1)), 0])
    )
    lost = whole_figures(specs("auc"), y, np.full((5, 3), np.nan), info)
    assert np.isnan(lost["auc"])


def test_options(prepared):
    info = open_prepared(prepared(name="breast_cancer")).info
    y, second = np.array([0, 1, 1, 0, 1]), np.array([0.35, 0.4, 0.9, 0.2, 0.1])
    metrics = specs(
        {"name": "recall", "threshold": 0.3},
        {"name": "precision", "average": "micro"},
        {"name": "f1_score", "average": "weighted"},
        "F1Score",
    )
    found = whole_figures(metrics, y, second[:, None], info)
    assert found["recall"] == of.recall_score(y, second > 0.3)
    assert found["precision"] == of.precision_score(y, second > 0.5, average="micro")
    assert found["f1_score"] == of.f1_score(y, second > 0.5, average="weighted")
    assert found["F1Score"] == of.f1_score(y, second > 0.5)
    logits = np.log(second / (1 - second))[:, None]
    assert whole_figures(metrics, y, logits, info, logits="sigmoid") == found
    both = np.stack([1 - second, second], axis=1)
    assert whole_figures(metrics, y, np.log(both), info, logits="softmax") == found
    # Labels for each step of a sequence.
    assert whole_figures(metrics[1:], y[None], both[None], info) == {
        name: found[name] for name in found if name != "recall"
    }
