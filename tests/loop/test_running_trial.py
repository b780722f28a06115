"""What a trial under way has said, and what it comes to."""

import math

import pytest

from hpo.config.experiment import Objective
from hpo.loop.running_trial import RunningTrial
from hpo.loop.silent_trials import Silence
from hpo.study.failure import Failure
from hpo.study.record import Reached, TrialRecord
from hpo.training.messages import EpochDone, Failed, Finished, FoldEpoch, Lost


@pytest.fixture
def trial() -> RunningTrial:
    record = TrialRecord(3, "running", {}, 0, 3)
    return RunningTrial(record, Objective(metric="val_loss"), 0.0, Silence(0.0))


def done(epoch: int, loss: float, fold: FoldEpoch | None = None, last: bool = False) -> EpochDone:
    return EpochDone(3, epoch, {"val_loss": loss}, last, "early_stopping" if last else None, fold)


def test_a_pruner_hears_of_each_epoch_and_of_folds_once_they_end(trial: RunningTrial) -> None:
    assert trial.take_epoch(done(1, 0.5)) == Reached(1, 0.5, 0.0)
    assert trial.take_epoch(done(2, 0.75)) == Reached(2, 0.75, 0.0)
    folded = RunningTrial(trial.record, trial.objective, 0.0, Silence(0.0))
    assert folded.take_epoch(done(1, 0.5, FoldEpoch(1, 1))) is None
    assert folded.take_epoch(done(2, 0.75, FoldEpoch(1, 2, last=True))) == Reached(1, 0.5, 0.0)
    assert folded.take_epoch(done(3, 0.25, FoldEpoch(2, 1, last=True))) == Reached(2, 0.375, 0.0)
    assert folded.fold_lengths == [2, 1]


def test_a_trial_that_came_to_its_end_has_the_score_of_its_best_epoch(trial: RunningTrial) -> None:
    trial.take_epoch(done(1, 0.5))
    assert not trial.at_end
    trial.take_epoch(done(2, 0.75, last=True))
    assert (trial.at_end, trial.ended_by) == (True, "early_stopping")
    record = trial.result(Finished(3, "early_stopping", 1, {"loss": 0.6, "mae": math.inf}))
    assert (record.state, record.value, record.best_epoch) == ("complete", 0.5, 1)
    assert (record.test, record.curves) == ({"loss": 0.6}, {"val_loss": [0.5, 0.75]})


def test_fewer_than_all_folds_make_no_score(trial: RunningTrial) -> None:
    trial.take_epoch(done(1, 0.5, FoldEpoch(1, 1, last=True)))
    trial.take_epoch(done(2, 0.75, FoldEpoch(2, 1)))
    record = trial.result(Finished(3, "deadline", None))
    assert (record.state, record.value, record.best_epoch) == ("pruned", None, None)
    assert (record.fold_lengths, record.fold_best_epochs) == ((1, 1), (1,))


@pytest.mark.parametrize(
    ("event", "failure"),
    [
        (Failed(3, "error", "m.py:1: no", "Traceback"), Failure("error", "m.py:1: no", "Traceback")),
        (Lost(3, "killed", "SIGKILL", "Its last output"), Failure("killed", "SIGKILL", "Its last output")),
        (Finished(3, "interrupt", 1), Failure("interrupted", "given back: the run was stopped")),
        (Finished(3, "epochs", None), Failure("error", "the training ended without an epoch")),
    ],
)  # fmt: skip
def test_a_trial_that_failed_says_why_and_has_no_score(
    trial: RunningTrial, event: Finished | Failed | Lost, failure: Failure
) -> None:
    trial.take_epoch(done(1, 0.5))
    record = trial.result(event)
    assert (record.state, record.failure, record.value) == ("failed", failure, None)


def test_a_trial_that_is_cut_short_has_a_note_that_it_was_not_tested(trial: RunningTrial) -> None:
    trial.stop("deadline", 1.0)
    assert trial.cut_short(20.0) == Finished(3, "deadline", None)
    trial.take_epoch(done(1, 0.5, last=True))
    cut = trial.cut_short(20.0)
    assert (cut.ended_by, cut.best_epoch) == ("early_stopping", 1)
    assert cut.test_note == "not tested: its worker did not finish within 20 s, and was stopped"
    trial.stop("interrupt", 1.0)
    assert trial.cut_short(20.0).ended_by == "interrupt"
