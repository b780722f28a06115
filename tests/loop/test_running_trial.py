"""What a trial under way has said, and what it comes to."""

import math
from dataclasses import replace

import pytest

from hpo.config.experiment import Objective, TrainingSpec
from hpo.config.resolved import Resolved
from hpo.loop.running_trial import RunningTrial
from hpo.loop.silent_trials import Silence
from hpo.study.failure import Failure
from hpo.study.record import Reached, TrialRecord
from hpo.study.trial_results import fields_of, result_of
from hpo.tracking.entities import scores
from hpo.training.messages import Checkpoints, EndReason, EpochDone, Failed, Finished, FoldEpoch, Job, Lost, Paused

VAL_LOSS = Objective(metric="val_loss")


@pytest.fixture
def trial() -> RunningTrial:
    record = TrialRecord(3, "running", {}, 0, 3)
    return RunningTrial(record, VAL_LOSS, 0.0, Silence(0.0))


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


def test_a_score_of_several_executions_says_of_how_many(trial: RunningTrial) -> None:
    training = TrainingSpec.model_validate({"executions": 3})
    trial.job = Job(3, {}, 0, "mlp", training, VAL_LOSS, "data")
    trial.record = replace(trial.record, resolved=Resolved({"executions": 3, "epochs": 2}, {}, {}))
    trial.take_epoch(EpochDone(3, 1, {"val_loss": 0.5}, last=True, ended_by="epochs", score=0.75))
    found = {}
    ends: list[tuple[EndReason, int | None]] = [("epochs", 3), ("deadline", 2), ("deadline", 1), ("pruner", None)]
    for ended_by, count in ends:
        record = trial.result(Finished(3, ended_by, 1, executions=count))
        assert record == replace(record, **fields_of(result_of(record)))
        found[record.executions] = (record.reached("val_loss"), record.averaged, record.left_unfinished)
    assert found == {
        3: ("as mean of 3 executions", "mean of 3 executions", ""),
        2: ("as mean of 2 of 3 executions", "mean of 2 of 3 executions", "stopped at the deadline in execution 3 of 3"),
        1: ("at epoch 1 of 1 in the first of 3 executions", "first of 3 executions",
            "stopped at the deadline in execution 2 of 3"),
        0: ("at epoch 1 of 1 in the first of 3 executions", "first of 3 executions", ""),
    }  # fmt: skip
    values = {point.key: point.value for point in scores(record, VAL_LOSS)}
    assert (record.best["val_loss"], values["best_val_loss"]) == (0.5, 0.75)


def test_the_most_that_a_trial_took_of_a_gpu_is_kept_and_logged(trial: RunningTrial) -> None:
    for epoch, taken in ((1, 2**30), (2, 3 * 2**30), (3, 2**30)):
        trial.take_epoch(replace(done(epoch, 0.5, last=epoch == 3), gpu_memory=taken))
    record = trial.result(Finished(3, "early_stopping", 1))
    assert record.gpu_memory == 3 * 2**30
    assert record == replace(record, **fields_of(result_of(record)))
    assert {point.key: point.value for point in scores(record, VAL_LOSS)}["gpu_memory_mib"] == 3072
    assert "gpu_memory" not in result_of(replace(record, gpu_memory=None))


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


@pytest.mark.parametrize("went_on", [False, True])
def test_only_a_trial_that_has_a_record_pauses_by_ctrl_c_where_trials_do_not_pause(went_on: bool) -> None:
    record = TrialRecord(3, "running", {}, 0, 3, curves={"val_loss": [0.5]} if went_on else {})
    job = Job(3, {}, 0, "mlp", TrainingSpec(), VAL_LOSS, "nowhere", checkpoints=Checkpoints("nowhere", pauses=False))
    trial = RunningTrial.of(record, VAL_LOSS, 0.0, job)
    trial.take_epoch(done(1, 0.5))
    interrupted = trial.paused_by(Finished(3, "interrupt", 1))
    assert interrupted == (Paused(3, 1, None) if went_on else None)
