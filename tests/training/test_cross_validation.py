"""A trial of k-fold cross-validation, held against models that are trained by hand on scikit-learn's folds."""

import statistics
from typing import Any

import keras
import numpy as np
import pytest
from sklearn.datasets import load_iris
from sklearn.model_selection import StratifiedKFold, train_test_split
from sklearn.preprocessing import StandardScaler

from hpo import models
from hpo.config.experiment import Objective, TrainingSpec
from hpo.data import open_prepared
from hpo.training.compiling import compile_model
from hpo.training.messages import EpochDone, Failed, Finished, Started

SEED, FOLDS = 3, 2
IRIS = {"name": "iris", "validation": {"folds": FOLDS, "seed": 1}}
TRAINING: dict[str, Any] = {"epochs": 4, "learning_rate": 0.1, "early_stopping": {"patience": 1}}
LOSS = Objective.model_validate("val_loss")


@pytest.fixture(scope="module")
def trained(run_job, prepared, tmp_path_factory):
    """The trial, and the folder in which its model lies."""
    folder = tmp_path_factory.mktemp("folds")
    data = prepared(**IRIS)
    return run_job(data=data, objective="val_loss", training=TRAINING, seed=SEED, save_to=str(folder / "t.keras"))


@pytest.fixture(scope="module")
def by_hand(prepared):
    """Validation losses, test scores and best weights of each fold."""
    info = open_prepared(prepared(**IRIS)).info
    return [_fold_by_hand(info, inner, outer) for inner, outer in _folds()]


def _folds():
    x, y = load_iris(return_X_y=True)
    rest, _ = train_test_split(np.arange(len(x)), test_size=30, random_state=0, stratify=y)
    for inner, outer in StratifiedKFold(FOLDS, shuffle=True, random_state=1).split(rest, y[rest]):
        yield rest[inner], rest[outer]


def _fold_by_hand(info, inner, outer):
    x, y = load_iris(return_X_y=True)
    _, test = train_test_split(np.arange(len(x)), test_size=30, random_state=0, stratify=y)
    x = StandardScaler().fit(x[inner]).transform(x).astype("float32")
    keras.utils.set_random_seed(SEED)
    model = models.build("mlp", {"depth": 1, "width": 8}, info, ()).model
    compile_model(model, TrainingSpec.model_validate(TRAINING), info)
    losses, best = [], []
    for epoch in range(TRAINING["epochs"]):
        order = inner[np.random.default_rng([SEED, epoch]).permutation(len(inner))]
        held_out = (x[outer], y[outer])
        logs = model.fit(x[order], y[order], batch_size=32, shuffle=False, verbose=0, validation_data=held_out)
        losses.append(logs.history["val_loss"][0])
        if losses[-1] > min(losses):
            break
        best = model.get_weights()
    model.set_weights(best)
    return losses, model.evaluate(x[test], y[test], verbose=0, return_dict=True), best


def test_the_score_is_the_mean_over_models_trained_by_hand(trained, by_hand):
    losses = [losses for losses, _, _ in by_hand]
    assert trained.curves["val_loss"] == pytest.approx([loss for fold in losses for loss in fold], rel=1e-3)
    assert trained.fold_lengths == [len(fold) for fold in losses]
    score = LOSS.score_of(trained.curves, trained.fold_lengths)
    assert score.value == pytest.approx(statistics.fmean(map(min, losses)), rel=1e-3)
    assert isinstance(trained.last, Finished)
    assert trained.last.best_epoch == score.epoch
    scores = [scores for _, scores, _ in by_hand]
    for name in ("loss", "accuracy"):
        mean = statistics.fmean(each[name] for each in scores)
        assert trained.last.test[name] == pytest.approx(mean, rel=1e-3)


def test_epochs_are_numbered_on_and_each_fold_says_its_end(trained, by_hand):
    assert [type(event) for event in trained.events[:2]] == [Started, EpochDone]
    epochs = [event for event in trained.events if isinstance(event, EpochDone)]
    assert len(epochs) == len(trained.events) - 2
    assert [event.epoch for event in epochs] == list(range(1, len(epochs) + 1))
    ends = np.cumsum([len(losses) for losses, _, _ in by_hand])
    assert [event.epoch for event in epochs if event.fold.last] == list(ends)
    assert [event.epoch for event in epochs if event.last] == [ends[-1]]
    stopped = any(losses[-1] > min(losses) for losses, _, _ in by_hand)
    assert trained.last.ended_by == ("early_stopping" if stopped else "epochs")


def test_the_model_of_the_best_fold_is_saved_with_the_scaling_of_that_fold(trained, by_hand):
    best = min(range(FOLDS), key=lambda number: min(by_hand[number][0]))
    assert sum(trained.fold_lengths[:best]) < trained.last.best_epoch <= sum(trained.fold_lengths[: best + 1])
    saved = keras.models.load_model(trained.last.model_file)
    for found, expected in zip(saved.layers[-1].get_weights(), by_hand[best][2], strict=True):
        np.testing.assert_allclose(found, expected, rtol=1e-2, atol=1e-4)
    x, _ = load_iris(return_X_y=True)
    inner = list(_folds())[best][0]
    scaled = StandardScaler().fit(x[inner]).transform(x)
    np.testing.assert_allclose(saved.predict(x, verbose=0), saved.layers[-1].predict(scaled, verbose=0), atol=1e-5)


def test_the_model_is_kept_if_the_mean_is_better_not_if_one_fold_is(run_job, prepared, trained, tmp_path):
    score = LOSS.score_of(trained.curves, trained.fold_lengths)
    best = min(trained.curves["val_loss"])
    between = LOSS.score((score.value + best) / 2)
    options = {"data": prepared(**IRIS), "objective": "val_loss", "training": TRAINING, "seed": SEED}
    line = run_job(**options, save_to=str(tmp_path / "t.keras"), save_if_better_than=between)
    assert line.curves == trained.curves
    assert line.last.model_file is None


def test_a_trial_that_is_stopped_between_folds_or_within_one_has_no_score(run_job, prepared, recorder, trained):
    first = trained.fold_lengths[0]
    for epochs in (first, first + 1):
        options = {"data": prepared(**IRIS), "objective": "val_loss", "training": TRAINING, "seed": SEED}
        line = run_job(**options, line=recorder(stop_after_epoch=epochs))
        assert (line.last.ended_by, line.last.best_epoch, line.last.test) == ("pruner", None, {})
        assert line.curves["val_loss"] == trained.curves["val_loss"][:epochs]


def test_a_fold_that_diverges_is_named(run_job, prepared):
    line = run_job(data=prepared(**IRIS), training={"epochs": 1, "optimizer": "sgd", "learning_rate": 1e38})
    assert isinstance(line.last, Failed)
    assert line.last.reason == "nonfinite"
    assert line.last.message.endswith("of fold 1")
