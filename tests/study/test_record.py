"""The shape in which trials are read."""

from dataclasses import replace
from datetime import datetime, timedelta

import pytest

from hpo.config.experiment import Objective
from hpo.config.score import Score
from hpo.study.failure import Failure
from hpo.study.record import Confirms, TrialRecord, best_trial, lost, ranked

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


FOLDED = {
    "val_accuracy": [0.4, 0.6, 0.9, 0.7, 0.3],
    "accuracy": [0.5, 0.8, 0.8, 0.9, 0.4],
}


def folded(**more):
    return record(0, 0.6, best_epoch=3, fold_best_epochs=(2, 3, 5), curves=FOLDED, fold_lengths=(2, 2, 1), **more)


def test_each_fold_counts_by_its_best_epoch():
    trial = folded()
    assert trial.best == {"val_accuracy": pytest.approx(0.6), "accuracy": pytest.approx(2 / 3)}
    assert trial.deviations == {"val_accuracy": pytest.approx(0.3), "accuracy": pytest.approx(0.230940)}
    assert trial.gaps == {"accuracy": pytest.approx(2 / 3 - 0.6)}
    assert trial.best_fold == 2
    assert trial.places == [(1, 1), (1, 2), (2, 1), (2, 2), (3, 1)]
    assert replace(trial, fold_lengths=()).places == [(None, epoch) for epoch in (1, 2, 3, 4, 5)]
    assert trial.reached("val_accuracy") == "as mean of 3 folds, deviation 0.3000"
    assert trial.reports("val_accuracy") == pytest.approx({1: 0.6, 2: 0.75, 3: 0.6})


def test_a_trial_without_folds_counts_by_its_best_epoch_alone():
    trial = record(0, 0.6, best_epoch=2, curves={"val_accuracy": [0.1, 0.6, 0.5], "loss": [3.0, 2.0, 1.0]})
    assert (trial.deviations, trial.gaps, trial.best_fold) == ({}, {}, None)
    assert trial.reached("val_accuracy") == "at epoch 2 of 3"
    assert trial.reports("val_accuracy") == {1: 0.1, 2: 0.6, 3: 0.5}
    assert trial.reports("val_loss") == {}
    assert record(0, curves=FOLDED, fold_lengths=(2, 2, 1)).best_fold is None


def test_the_score_of_a_trial_is_by_the_objective_and_says_where_it_was_reached():
    assert record(0, 0.5, best_epoch=3).score(LOWER) == Score(0.5, "minimize", 3)
    assert folded().score(HIGHER) == Score(0.6, "maximize", 3, (2, 3, 5))
    assert [record(0, 0.5, state).score(HIGHER) for state in ("running", "failed")] == [None, None]
    assert record(0, None, "pruned").score(HIGHER) is None
    assert record(0).scored(Score(0.6, "maximize", 3, (2, 3))) == record(0, 0.6, best_epoch=3, fold_best_epochs=(2, 3))


def test_the_best_trial_is_the_first_of_the_ranked():
    assert best_trial([record(0, 0.5), record(1, 0.7)], HIGHER) == record(1, 0.7)
    assert best_trial([record(0, None, "pruned")], HIGHER) is None


def test_only_running_trials_are_marked_as_lost():
    running = record(3, None, "running", best_epoch=1)
    gone = lost(running)
    assert (gone.state, gone.failure) == ("failed", Failure("lost", "its coordinator was killed"))
    assert (lost(record(3, 0.5, "running")).value, lost(running, "gone").failure) == (None, Failure("lost", "gone"))
    for state in ("complete", "pruned", "failed"):
        ended = record(3, 0.5, state)
        assert lost(ended) is ended


def test_the_outcome_of_a_trial_is_its_state_or_why_it_failed():
    bad = record(3, None, "failed", failure=Failure("timeout", "longer than 3 s"))
    assert (bad.reason, bad.outcome) == ("timeout", "timeout")
    assert (record(3).reason, record(3).outcome) == (None, "complete")


def test_the_remarks_on_a_trial():
    assert (record(3).label, record(3).remarks) == ("trial 3", [])
    assert record(9, confirms=Confirms(3, 2)).label == "trial 3 seed 2"
    assert record(3, test_note="none", model_note="large").remarks == ["test scores: none", "model: large"]
    assert record(3, model_note="large").remarks == ["model: large"]


def test_curves_of_several_lengths_are_as_many_epochs_as_the_longest():
    assert record(0, curves={"loss": [1.0, 2.0], "val_loss": [1.0]}).epochs == 2


def test_a_trial_has_seconds_only_with_both_its_times():
    assert record(0, ended=datetime(2025, 1, 2)).seconds is None
