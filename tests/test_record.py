"""The shape in which trials are read."""

from datetime import datetime, timedelta

from hpo.experiment import Objective
from hpo.record import TrialRecord, ranked

HIGHER = Objective(metric="val_accuracy", direction="maximize")
LOWER = Objective(metric="val_loss", direction="minimize")


def record(number, value=None, state="complete", **more):
    return TrialRecord(number, state, {}, seed=0, origin=number, value=value, **more)


def test_ranking_is_by_validation_score_alone_ties_by_number():
    trials = [record(0, 0.5, test={"accuracy": 1.0}), record(1, 0.7), record(2, 0.7, "pruned"), record(3, 0.9)]
    assert [trial.number for trial in ranked(trials, HIGHER)] == [3, 1, 2, 0]
    assert [trial.number for trial in ranked(trials, LOWER)] == [0, 1, 2, 3]


def test_trials_without_a_score_are_not_ranked():
    trials = [record(0, None, "pruned"), record(1, None, "running"), record(2, 0.9, "failed"), record(3, 0.0)]
    assert [trial.number for trial in ranked(trials, HIGHER)] == [3]


def test_best_is_every_metric_at_the_best_epoch():
    curves = {"loss": [3.0, 2.0, 1.0], "val_accuracy": [0.1, 0.6, 0.5]}
    trial = record(0, 0.6, best_epoch=2, curves=curves)
    assert trial.best == {"loss": 2.0, "val_accuracy": 0.6}
    assert trial.epochs == 3
    assert record(1).best == {}
    assert record(1).epochs == 0


def test_seconds_are_known_once_a_trial_has_ended():
    now = datetime(2025, 1, 2)
    assert record(0, started=now).seconds is None
    assert record(0, started=now, ended=now + timedelta(minutes=1.5)).seconds == 90.0
