"""The loop at its edges: equal values, losses, two limits at once, what a trial says beside its epochs."""

import math
import threading
import time

import pytest
from studies import INFO, OBJECTIVE, Clock, NoData, WriteLock, flat, planned, run

from hpo.config.declared import NOTHING_DECLARED, Declared
from hpo.config.experiment import Objective
from hpo.engines.scripted import InFold, ScriptedEngine, Step, StoppedEarly
from hpo.errors import StudyFailed, UserError
from hpo.loop.budget import Budget
from hpo.loop.driving import drive, opened
from hpo.loop.jobs import Jobs, Prepared
from hpo.study.read import read_study
from hpo.training.messages import Failed, Finished, Lost, Started

LOSS = Objective(metric="val_loss", direction="minimize")


@pytest.fixture
def url(tmp_path):
    return f"sqlite:///{tmp_path}/optuna.db"


# Targets, and what else ends a study


@pytest.mark.parametrize(
    ("objective", "values", "trials"),
    [(OBJECTIVE, [0.5, 0.7999, 0.8, 0.9], 3), (LOSS, [0.5, 0.9, 0.4001, 0.4, 0.3], 4)],
)
def test_a_target_is_reached_by_what_equals_it(url, objective, values, trials):
    target = 0.8 if objective is OBJECTIVE else 0.4
    ran = run(url, lambda job: [values[job.trial]], trials=5, target=target, objective=objective)
    assert (ran.ending, len(ran.trials)) == ("target", trials)


def test_the_lowest_loss_is_the_best_and_its_model_is_kept(url, tmp_path):
    values = [0.5, 0.3, 0.4, 0.3, 0.2, 0.6]
    ran = run(url, lambda job: [values[job.trial]], trials=6, objective=LOSS)
    assert ran.log.bests == [0.5, 0.3, 0.3, 0.3, 0.2, 0.2]
    bests = [job.save_if_better_than for job in ran.engine.jobs]
    assert [best and best.value for best in bests] == [None, 0.5, 0.3, 0.3, 0.3, 0.2]
    assert [path.name for path in (tmp_path / "models" / "s").iterdir()] == ["trial-0004.keras"]


def test_a_target_that_is_reached_stays_the_reason_though_the_time_is_up_meanwhile(url, monkeypatch):
    monkeypatch.setattr("hpo.loop.time_to_end._GRACE", 1.3)

    def script(job):
        if job.trial == 0:
            return [0.95]
        return [0.4, None]

    ran = run(url, script, workers=2, target=0.9, timeout=1.0)
    assert ran.ending == "target"
    assert [trial.ended_by for trial in ran.trials] == ["epochs", "target"]


# What trials say


def fixed(name: str) -> Declared:
    return Declared({"space": [{"class_name": "Fixed", "config": {"name": name, "value": 1}}], "values": {name: 1}})


def test_parameters_that_a_model_declares_at_its_start_or_end_are_passed_on(url):
    def script(job):
        yield Started(job.trial, 1, 17, declared=fixed("a") if job.trial == 0 else None, note="alone")
        yield 0.5
        yield Finished(job.trial, "epochs", 1, {"loss": 0.5}, declared=fixed("b") if job.trial == 0 else None)

    ran = run(url, script, trials=2)
    first, second = ran.engine.jobs
    assert (first.declared, second.declared) == (NOTHING_DECLARED, fixed("a").widened(fixed("b")))
    assert ("a" in first.params, second.params["a"], second.params["b"]) == (False, 1, 1)
    assert [(trial.model_parameters, trial.note) for trial in read_study(url, "s").trials] == [(17, "alone")] * 2


def test_test_scores_that_are_not_finite_are_left_out_and_notes_are_kept(url):
    def script(job):
        yield 0.5
        test = {"loss": math.nan, "accuracy": 0.4, "auc": math.inf}
        yield Finished(job.trial, "epochs", 1, test, test_note="two are none", model_note="too large")

    (trial,) = run(url, script, trials=1).trials
    assert (trial.state, trial.test, trial.test_note, trial.model_note) == (
        "complete", {"accuracy": 0.4}, "two are none", "too large",
    )  # fmt: skip


@pytest.mark.parametrize("reason", ["epochs", "early_stopping"])
def test_a_training_that_ends_by_itself_without_an_epoch_is_an_error(url, reason):
    ran = run(url, lambda job: [Finished(job.trial, reason, None)] if job.trial == 0 else [0.5], trials=2)
    assert ran.states == ["error", "complete"]
    assert ran.trials[0].failure.text == "the training ended without an epoch"


@pytest.mark.parametrize(("ended_by", "state"), [("deadline", "pruned"), ("target", "pruned"), ("pruner", "pruned")])
def test_a_trial_that_was_stopped_before_its_first_epoch_is_pruned_without_a_score(url, ended_by, state):
    ran = run(url, lambda job: [Finished(job.trial, ended_by, None)] if job.trial == 0 else [0.5], trials=2)
    assert ran.states == [state, "complete"]
    assert (ran.trials[0].value, ran.trials[0].ended_by) == (None, ended_by)
    assert ran.log.bests == [None, 0.5]


def test_one_metric_that_is_not_finite_fails_a_trial_and_is_named(url):
    ran = run(url, lambda job: [0.4, math.nan, 0.9] if job.trial == 0 else [0.5], trials=2)
    assert ran.states == ["nonfinite", "complete"]
    assert ran.trials[0].failure.text == "val_accuracy not finite in epoch 2"
    assert ran.trials[0].curves["val_accuracy"] == [0.4]
    assert ran.trials[0].value is None


def test_the_message_of_a_failure_stands_above_its_traceback(url):
    ends: list[Step] = [
        Failed(0, "error", "no", "Traceback"),
        Failed(1, "error", "not so"),
        Lost(2, "crashed", "gone", "its words"),
    ]
    ran = run(url, lambda job: [ends[job.trial]] if job.trial < 3 else [0.5], trials=4, retries=0)
    assert [trial.failure.text for trial in ran.trials[:3]] == ["no\n\nTraceback", "not so", "gone\n\nits words"]


def test_events_of_a_trial_that_has_ended_are_ignored(url, monkeypatch):
    """An event that was on its way as its trial was killed."""
    kill, late = ScriptedEngine.kill, []
    events = ScriptedEngine.events

    def killed(self, trial):
        late.append(Finished(trial, "epochs", 1, {"loss": 9.0}))
        kill(self, trial)

    monkeypatch.setattr(ScriptedEngine, "kill", killed)
    monkeypatch.setattr(ScriptedEngine, "events", lambda self, timeout: [*events(self, timeout), *late])
    ran = run(url, lambda job: [0.4, math.inf] if job.trial == 0 else [0.5], trials=2)
    assert ran.states == ["nonfinite", "complete"]
    assert [record.number for record in ran.log.ended] == [0, 1]


# Failures in a row


@pytest.mark.parametrize("resumed", [False, True])
def test_failures_are_counted_from_the_last_success_on(url, resumed):
    def script(job):
        return [0.5] if job.trial in (0, 3) else [Failed(job.trial, "error", "no")]

    if resumed:
        run(url, script, trials=3)
    with pytest.raises(StudyFailed, match="3 configurations in a row"):
        run(url, script, trials=20)
    assert len(read_study(url, "s").trials) == 7


def test_two_errors_that_differ_in_their_first_line_are_two(url):
    def script(job):
        return [Failed(job.trial, "error", f"no\n{job.trial}" if job.trial > 1 else "yes")]

    with pytest.raises(StudyFailed, match="same error: error: no"):
        run(url, script, trials=20)
    assert len(read_study(url, "s").trials) == 5


@pytest.mark.parametrize("failure", ["nonfinite", "timeout"])
def test_bad_configurations_count_by_their_kind_whatever_they_say(url, failure):
    with pytest.raises(StudyFailed, match=rf"same error: {failure}$"):
        run(url, lambda job: [Failed(job.trial, failure, f"said {job.trial}")], trials=20)


def test_a_pruned_trial_is_a_success(url):
    def script(job):
        return [0.1, 0.1] if job.trial == 2 else [Failed(job.trial, "error", "no")]

    ran = run(url, script, trials=5, pruner={"name": "threshold", "lower": 0.2})
    assert ran.states == ["error", "error", "pruned", "error", "error"]


def test_impossible_combinations_are_invalid_and_the_others_go_on(url, monkeypatch):
    make = Jobs.make

    def made(self, trial, best):
        if trial.number < 2:
            raise UserError("batch_size: 7 does not divide 10")
        return make(self, trial, best)

    monkeypatch.setattr(Jobs, "make", made)
    ran = run(url, flat, trials=3)
    assert ran.states == ["invalid", "invalid", "complete"]
    assert ran.trials[0].failure.text == "batch_size: 7 does not divide 10"
    assert [record.number for record in ran.log.ended] == [0, 1, 2]


# Two workers


def test_a_pruned_trial_stops_alone(url):
    curves = {0: [0.5, 0.5, 0.5], 1: [0.5, 0.1, 0.5]}
    ran = run(url, lambda job: curves[job.trial], trials=2, workers=2, pruner={"name": "threshold", "lower": 0.2})
    assert ran.states == ["complete", "pruned"]
    assert [len(trial.curves["val_accuracy"]) for trial in ran.trials] == [3, 2]


def test_with_two_workers_only_the_trial_that_takes_too_long_is_ended(url):
    ran = run(
        url, lambda job: [0.4, None] if job.trial == 1 else endless_for(0.6), workers=2, trials=2, trial_timeout=0.4
    )
    assert ran.states == ["timeout", "timeout"]
    quick = run(url, lambda job: [0.4, None] if job.trial == 3 else [0.5], workers=2, trials=4, trial_timeout=0.3)
    assert quick.states[2:] == ["complete", "timeout"]


def endless_for(seconds):
    until = time.monotonic() + seconds
    while time.monotonic() < until:
        time.sleep(0.01)
        yield 0.5


def test_the_next_trial_is_not_asked_for_before_there_is_place_for_it(url):
    """Two workers, of which one tests its trial while the other trains: one more is handed out, and no other."""
    handed_out = []

    def script(job):
        handed_out.append(job.trial)
        if job.trial == 0:
            yield StoppedEarly(0.5)
            for _ in range(5):
                yield 0.5
        else:
            yield from [0.5, 0.5]

    ran = run(url, script, workers=2, trials=4, takes_next=True)
    assert handed_out == [0, 1, 2, 3]
    assert ran.states == ["complete"] * 4


def test_a_worker_that_tests_a_trial_short_of_the_target_takes_the_next(url):
    """Its best so far is what counts, not its last epoch."""

    def script(job):
        return [0.9, StoppedEarly(0.1)] if job.trial == 0 else [0.5]

    ran = run(url, script, trials=3, target=0.8, takes_next=True)
    assert (ran.ending, len(ran.trials)) == ("target", 1)
    ran = run(url, script, trials=3, target=0.95, takes_next=True)
    assert (ran.ending, len(ran.trials)) == ("done", 3)


# Folds


def test_the_pruner_gets_values_from_the_end_of_the_first_fold_on(url):
    def script(job):
        yield InFold(0.1, 1)
        yield InFold(0.5, 1, ended=True)
        yield InFold(0.1, 2)
        yield InFold(0.4, 2, ended=True)

    ran = run(url, script, trials=1, pruner={"name": "threshold", "lower": 0.2})
    assert (ran.states, ran.trials[0].value) == (["complete"], pytest.approx(0.45))


def test_a_trial_of_folds_that_has_all_of_them_though_it_was_stopped_has_a_score_of_none(url, monkeypatch):
    monkeypatch.setattr("hpo.loop.time_to_end._GRACE", 0.2)

    def script(job):
        yield InFold(0.9, 1, ended=True)
        yield InFold(0.8, 2, ended=True)
        yield InFold(0.7, 3)
        clock.ahead = 100
        yield None

    clock = Clock(monkeypatch)
    (trial,) = run(url, script, timeout=60).trials
    assert (trial.state, trial.value, list(trial.fold_best_epochs)) == ("pruned", None, [1, 2])


# The budget by itself


def test_a_budget_without_limits_ends_with_the_space(url):
    engine = ScriptedEngine(flat)
    plan = planned(url, {"model": "mlp", "parameters": {"depth": {"type": "int", "low": 1, "high": 2}}}, timeout=60)
    with opened(plan, INFO) as study:
        ending = drive(study, Prepared(plan, engine, INFO, NoData()), Budget(None, None, None, None), ())
    assert (ending, len(engine.jobs)) == ("exhausted", 2)


def test_a_run_ends_once_the_store_has_all_that_ended(url, monkeypatch):
    monkeypatch.setattr("hpo.storage.database.BUSY_SECONDS", 0.1)
    monkeypatch.setattr("hpo.storage.writer.PROMPT_SECONDS", 0.2)
    lock, dropped = WriteLock(url), threading.Event()

    def drop():
        lock.drop()
        dropped.set()

    def script(job):
        yield 0.5
        lock.take()
        threading.Timer(1.5, drop).start()

    # Nothing more is asked for, which would wait for the store as well.
    ran = run(url, script, target=0.5)
    assert (ran.states, dropped.is_set()) == (["complete"], True)
    assert read_study(url, "s").trials == ran.trials
