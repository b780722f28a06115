"""The loop: budgets, verdicts, failures, signals; scripted trials, real Optuna."""

import itertools
import signal
import statistics
import subprocess
import threading
import time
from typing import Any

import optuna
import pytest
from studies import OBJECTIVE, Clock, flat, process, run

from hpo.engines.scripted import InFold, StoppedEarly
from hpo.errors import StudyFailed
from hpo.study.read import read_study
from hpo.study.record import ranked
from hpo.training.messages import Failed, FailureReason, Lost


@pytest.fixture
def url(tmp_path):
    return f"sqlite:///{tmp_path}/optuna.db"


def endless(job):
    """A script that trains until it is stopped."""
    for epoch in itertools.count(1):
        time.sleep(0.01)
        yield 1 - 1 / (epoch + 1)


def hanging(job):
    """A script that does an epoch and then hangs."""
    yield 0.4
    yield None


# Budgets


def test_trials_is_what_is_brought_to_an_end_not_attempts(url):
    ends = {0: [0.5], 1: ["killed"], 2: ["killed"], 3: ["error"], 4: [0.1, 0.1]}

    def script(job):
        first = ends.get(job.trial, [0.2, 0.3])
        if first == ["killed"]:
            return [Lost(job.trial, "killed", "SIGKILL")]
        return [Failed(job.trial, "error", "no")] if first == ["error"] else first

    ran = run(url, script, trials=4, retries=1, pruner={"name": "threshold", "lower": 0.15})
    assert ran.states == ["complete", "killed", "killed", "error", "pruned"]
    assert ran.ending == "done"
    assert {trial.origin for trial in ran.trials} == {0, 1, 3, 4}
    assert [trial.number for trial in ran.log.ended] == [0, 1, 2, 3, 4]


def test_a_study_goes_on_to_a_larger_number_and_never_back(url):
    assert len(run(url, flat, trials=2).trials) == 2
    assert len(run(url, flat, trials=3).engine.jobs) == 1
    assert run(url, flat, trials=1).engine.jobs == []


def test_at_the_deadline_running_trials_stop_and_count_as_pruned(url):
    began = time.monotonic()
    ran = run(url, endless, workers=2, timeout=1.5)
    assert time.monotonic() - began >= 1.5
    assert ran.ending == "timeout"
    assert ran.states == ["pruned", "pruned"]
    first = ran.trials[0]
    assert first.ended_by == "deadline"
    assert first.value == max(first.curves["val_accuracy"])
    assert first.test == {"loss": first.value}
    assert run(url, flat, trials=2, timeout=60).engine.jobs == []


def test_a_timeout_is_for_each_run(url):
    assert len(run(url, endless, timeout=0.8).trials) == 1
    assert len(run(url, endless, timeout=0.8).trials) == 2


@pytest.mark.parametrize("trials", [9, None])
def test_a_target_ends_the_study(url, trials):
    def script(job):
        return [0.95] if job.trial == 2 else endless(job) if job.trial == 3 else [0.5]

    ran = run(url, script, workers=2, trials=trials, target=0.9)
    assert ran.ending == "target"
    assert ran.states == ["complete", "complete", "complete", "pruned"]
    assert ran.trials[3].ended_by == "target"
    again = run(url, flat, trials=20, target=0.9)
    assert (again.ending, again.engine.jobs) == ("target", [])


def test_a_trial_that_hangs_is_killed_and_the_study_goes_on(url):
    ran = run(url, lambda job: hanging(job) if job.trial == 0 else [0.5], trials=2, trial_timeout=0.3)
    assert ran.states == ["timeout", "complete"]
    assert ran.trials[0].failure.text == "longer than trial_timeout, 0.3 s"
    assert ran.trials[0].curves["val_accuracy"] == [0.4]
    assert ran.trials[0].seconds >= 0.3


def test_a_trial_that_does_not_stop_is_killed_after_its_grace(url, monkeypatch):
    monkeypatch.setattr("hpo.loop.time_to_end._GRACE", 0.2)
    ran = run(url, lambda job: hanging(job) if job.trial == 0 else [0.5, 0.95], trials=2, workers=2, target=0.9)
    assert ran.states == ["pruned", "complete"]
    assert (ran.trials[0].value, ran.trials[0].best_epoch, ran.trials[0].test) == (0.4, 1, {})


def test_no_more_trials_at_a_time_than_workers(url):
    at_a_time = []

    def script(job):
        at_a_time.append(sum(trial.state == "running" for trial in read_study(url, "s").trials))
        yield 0.5

    ran = run(url, script, workers=3, trials=5)
    assert max(at_a_time) == 3
    assert ran.log.started == ran.log.epochs == len(ran.log.ended) == 5


@pytest.mark.parametrize("takes_next", [True, False])
def test_the_next_trial_is_asked_while_the_last_is_tested(url, takes_next):
    before = []

    def script(job):
        before.append([trial.state for trial in read_study(url, "s").trials[:-1]])
        return [0.1, 0.2]

    pruner = {"name": "threshold", "lower": 0.5}
    ran = run(url, script, trials=3, takes_next=takes_next, pruner=pruner)
    assert ran.states == ["pruned"] * 3
    last = "running" if takes_next else "pruned"
    assert before == [[], [last], ["pruned", last]]


def test_no_trial_is_begun_once_one_that_is_tested_has_reached_the_target(url):
    pruner = {"name": "threshold", "upper": 0.5}
    ran = run(url, lambda job: [0.9, 0.95], trials=3, target=0.8, takes_next=True, pruner=pruner)
    assert ran.ending == "target"
    assert ran.states == ["pruned"]


# Early stopping, and what else would end a trial at the same epoch


@pytest.mark.parametrize("takes_next", [True, False])
def test_a_trial_that_early_stopping_ends_is_complete_though_the_pruner_would_stop_it_there(url, takes_next):
    script: dict[int, list[Any]] = {0: [0.4, StoppedEarly(0.1)], 1: [0.4, 0.1, 0.4]}
    pruner = {"name": "threshold", "lower": 0.2}
    ran = run(url, lambda job: script[job.trial], trials=2, takes_next=takes_next, pruner=pruner)
    assert ran.states == ["complete", "pruned"]
    assert [trial.ended_by for trial in ran.trials] == ["early_stopping", "pruner"]
    assert [(trial.value, trial.best_epoch, trial.epochs) for trial in ran.trials] == [(0.4, 1, 2)] * 2


@pytest.mark.parametrize("hangs", [True, False])
def test_a_deadline_while_it_is_tested_does_not_change_how_a_trial_ended(url, monkeypatch, hangs):
    monkeypatch.setattr("hpo.loop.time_to_end._GRACE", 0.2)

    def script(job):
        yield 0.3
        yield StoppedEarly(0.4)
        clock.ahead = 100
        if hangs:
            yield None

    clock = Clock(monkeypatch)
    ran = run(url, script, timeout=60)
    (trial,) = ran.trials
    assert (ran.ending, trial.state, trial.ended_by, trial.value) == ("timeout", "complete", "early_stopping", 0.4)
    assert trial.test == ({} if hangs else {"loss": 0.4})
    assert (trial.test_note is not None) is hangs


# The best


def test_only_the_best_model_is_kept(url, tmp_path):
    models = tmp_path / "models" / "s"
    values = [0.3, 0.5, 0.4, 0.7, 0.6, 0.7]

    def script(job):
        return [values[job.trial]] if job.trial < 6 else [0.9, Failed(job.trial, "error", "no")]

    ran = run(url, script, trials=6, workers=2)
    assert [path.name for path in models.iterdir()] == ["trial-0003.keras"]
    assert ran.trials[3].model_file == str(models / "trial-0003.keras")
    assert ran.log.bests[-1] == 0.7
    resumed = run(url, script, trials=7)
    assert resumed.engine.jobs[0].save_if_better_than.value == 0.7
    assert [path.name for path in models.iterdir()] == ["trial-0003.keras"]


@pytest.mark.parametrize("order", [(0.3, 0.5), (0.5, 0.3), (0.5, 0.5)])
@pytest.mark.parametrize("length", [(2, 1), (1, 2), (1, 1)])
def test_the_better_of_two_parallel_trials_keeps_its_model(url, tmp_path, order, length):
    models = tmp_path / "models" / "s"

    def script(job):
        return [order[job.trial]] * length[job.trial]

    ran = run(url, script, trials=2, workers=2)
    # Both were handed out when there was nothing to beat yet.
    assert [job.save_if_better_than for job in ran.engine.jobs] == [None, None]
    best = ranked(ran.trials, OBJECTIVE)[0]
    assert best.number == (1 if order == (0.3, 0.5) else 0)
    assert [path.name for path in models.iterdir()] == [f"trial-{best.number:04}.keras"]


def test_a_model_that_its_worker_did_not_report_is_deleted(url, tmp_path, monkeypatch):
    monkeypatch.setattr("hpo.loop.time_to_end._GRACE", 0.2)
    models = tmp_path / "models" / "s"
    models.mkdir(parents=True)

    def script(job):
        yield 0.4
        (models / f"trial-{job.trial:04}.keras").touch()
        (models / f"trial-{job.trial:04}.123.keras").touch()
        clock.ahead = 100
        yield None

    clock = Clock(monkeypatch)
    ran = run(url, script, timeout=60)
    assert list(models.iterdir()) == []
    (trial,) = ran.trials
    assert (trial.state, trial.value, trial.model_file) == ("pruned", 0.4, None)
    why = "its worker did not finish within 0.2 s, and was stopped"
    assert (trial.test_note, trial.model_note) == (f"not tested: {why}", f"not saved: {why}")
    assert read_study(url, "s").trials[0] == trial


def test_the_model_of_a_trial_that_is_given_back_is_not_kept(url, tmp_path):
    def script(job):
        if job.trial == 1:
            return endless(job)
        return [Failed(job.trial, "error", "no")]

    with pytest.raises(StudyFailed):
        run(url, script, trials=9, workers=2)
    assert [trial.reason for trial in read_study(url, "s").trials] == ["error", "interrupted", "error", "error"]
    assert list((tmp_path / "models" / "s").iterdir()) == []


# Failures in a row


def failing(failure, message=lambda number: "no"):
    return lambda job: [0.1, Failed(job.trial, failure, message(job.trial), f"Traceback {job.trial}")]


@pytest.mark.parametrize("failure", ["error", "nonfinite", "timeout"])
def test_three_configurations_in_a_row_with_the_same_error_end_a_study(url, failure):
    with pytest.raises(StudyFailed, match=f"3 configurations in a row failed with the same error: {failure}") as caught:
        run(url, failing(failure), trials=9)
    assert caught.value.exit_code == 3
    assert len(read_study(url, "s").trials) == 3


def test_configurations_that_make_no_model_cost_next_to_nothing_and_thirty_in_a_row_end_a_study(url):
    ran = run(url, lambda job: [0.5] if job.trial == 29 else failing("invalid")(job), trials=30)
    assert ran.states == ["invalid"] * 29 + ["complete"]


def test_a_study_of_nothing_but_impossible_models_ends(url):
    with pytest.raises(StudyFailed, match="30 configurations in a row failed with the same error: invalid: no"):
        run(url, failing("invalid"), trials=99)


def test_different_errors_do_not(url):
    ran = run(url, failing("error", lambda number: f"no {number % 2}"), trials=5)
    assert ran.states == ["error"] * 5


def test_a_success_in_between_starts_the_count_again(url):
    ran = run(url, lambda job: [0.5] if job.trial == 2 else failing("error")(job), trials=5)
    assert ran.states == ["error", "error", "complete", "error", "error"]


@pytest.mark.parametrize("between", ["nonfinite", "invalid", "timeout"])
def test_a_bad_configuration_in_between_starts_the_count_again_once_something_has_succeeded(url, between):
    def script(job):
        return [0.5] if job.trial == 0 else failing(between if job.trial == 3 else "error")(job)

    assert run(url, script, trials=6).states == ["complete", "error", "error", between, "error", "error"]


@pytest.mark.parametrize("failure", ["nonfinite", "invalid", "timeout"])
def test_bad_configurations_do_not_once_something_has_succeeded(url, failure):
    ran = run(url, lambda job: [0.5] if job.trial == 0 else failing(failure)(job), trials=5)
    assert ran.states == ["complete"] + [failure] * 4
    assert run(url, failing(failure), trials=9).states == ["complete"] + [failure] * 8


def test_an_error_of_the_code_does_even_then(url):
    with pytest.raises(StudyFailed, match="same error: error: no"):
        run(url, lambda job: [0.5] if job.trial == 0 else failing("error")(job), trials=9)


def test_attempts_do_not_count_before_they_fail_for_good(url):
    def dying(job):
        return [Lost(job.trial, "killed", f"by signal, pid {job.trial}")]

    with pytest.raises(StudyFailed, match="same error: killed"):
        run(url, dying, trials=9, retries=1)
    assert [trial.attempt for trial in read_study(url, "s").trials] == [0, 1] * 3


def test_being_lost_costs_no_retries(url):
    reasons: list[FailureReason] = ["lost", "killed", "killed"]
    ran = run(url, lambda job: [Lost(job.trial, reasons[job.trial], "x")] if job.trial < 3 else [0.5], trials=2)
    assert ran.states == ["lost", "killed", "killed", "complete"]
    assert [trial.attempt for trial in ran.trials] == [0, 1, 2, 0]


def test_a_study_that_failed_goes_on_when_the_code_is_repaired(url):
    with pytest.raises(StudyFailed):
        run(url, failing("error"), trials=4)
    ran = run(url, flat, trials=4)
    assert ran.states.count("error") == 3
    assert ran.states.count("complete") == 1


# Ctrl-C

LONG = """
import time, sys
from hpo.errors import Interrupted
from hpo.loop import coordinator
from studies import run
coordinator.LAST_GRACE = {grace}
def script(job):
    yield 0.3
    if job.trial > 0:
        print("training", flush=True)
        while True:
            time.sleep(0.02)
            yield {step}
try:
    run({url!r}, script, trials=3, workers=3)
except Interrupted as interrupted:
    print(interrupted, flush=True)
    sys.exit(interrupted.exit_code)
"""


def training(url, step, grace=2.0):
    """A study in another process that has one trial done and two running, and grace seconds after a signal."""
    other = process(LONG.format(url=url, step=step, grace=grace))
    assert other.stdout is not None
    for _ in range(2):
        assert other.stdout.readline() == "training\n"
    return other


def ended(other: "subprocess.Popen[str]", within: float, by: signal.Signals = signal.SIGINT) -> str:
    output, errors = other.communicate(timeout=within)
    assert other.returncode == 128 + by, errors
    return output


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_a_signal_stops_running_trials_and_gives_them_back(url, number):
    other = training(url, 0.4)
    other.send_signal(number)
    kept = "interrupted; finished trials are kept, the same command continues"
    assert ended(other, within=60, by=number) == f"{kept}; best so far: trial 0, val_accuracy 0.3000\n"
    before = read_study(url, "s").trials
    assert [trial.outcome for trial in before] == ["complete", "interrupted", "interrupted"]
    assert before[1].failure.text == "given back: the run was stopped"
    assert before[1].value is None
    ran = run(url, flat, trials=3, retries=0)
    assert ran.trials[:3] == list(before)
    assert [trial.params for trial in ran.trials[3:]] == [trial.params for trial in before[1:]]
    assert [trial.seed for trial in ran.trials[3:]] == [trial.seed for trial in before[1:]]
    assert len(ran.trials) == 5


def test_a_second_signal_does_not_wait_for_trials_that_do_not_stop(url):
    other = training(url, None, grace=1000.0)
    other.send_signal(signal.SIGINT)
    with pytest.raises(subprocess.TimeoutExpired):
        other.communicate(timeout=1)
    other.send_signal(signal.SIGINT)
    ended(other, within=60)
    states = [trial.outcome for trial in read_study(url, "s").trials]
    assert states == ["complete", "interrupted", "interrupted"]


def test_a_signal_does_not_wait_long_for_trials_that_do_not_stop(url):
    other = training(url, None)
    other.send_signal(signal.SIGTERM)
    # Otherwise a trial has 20 s.
    ended(other, within=15, by=signal.SIGTERM)
    states = [trial.outcome for trial in read_study(url, "s").trials]
    assert states == ["complete", "interrupted", "interrupted"]


def test_a_trial_that_is_silent_for_long_is_named_ever_more_rarely(url, monkeypatch):
    monkeypatch.setattr("hpo.loop.silent_trials._FIRST", 0.3)
    ran = run(url, hanging, trials=1, trial_timeout=1.6)
    assert [number for number, _, _ in ran.log.silent] == [0, 0]
    (_, first, limit), (_, second, _) = ran.log.silent
    assert (0.3 <= first < 0.6, 2 * first <= second, limit) == (True, True, 1.6)


def test_signals_are_put_back_afterwards(url):
    before = [signal.getsignal(number) for number in (signal.SIGINT, signal.SIGTERM)]
    run(url, flat, trials=1)
    with pytest.raises(StudyFailed):
        run(url, failing("error"), trials=9)
    assert [signal.getsignal(number) for number in (signal.SIGINT, signal.SIGTERM)] == before


def test_the_pruner_stops_a_trial_at_its_best_epoch(url):
    curves = [[0.2, 0.3, 0.4], [0.2, 0.3, 0.4], [0.5, 0.1, 0.9]]
    ran = run(url, lambda job: curves[job.trial], trials=3, pruner={"name": "threshold", "lower": 0.15})
    last = ran.trials[2]
    assert (last.state, last.ended_by, last.value, last.best_epoch) == ("pruned", "pruner", 0.5, 1)
    assert last.curves["val_accuracy"] == [0.5, 0.1]
    assert last.test == {"loss": 0.5}
    assert ran.log.bests == [0.4, 0.4, 0.5]


def test_a_study_runs_in_a_thread_too(url):
    results = []
    thread = threading.Thread(target=lambda: results.append(run(url, flat, trials=2)))
    thread.start()
    thread.join()
    assert results[0].states == ["complete", "complete"]


# k-fold cross-validation


def folds(*values, epochs=2):
    """Scripts of a trial whose folds reach these values."""
    return [
        InFold(value / (epochs - epoch), fold, ended=epoch == epochs - 1)
        for fold, value in enumerate(values, 1)
        for epoch in range(epochs)
    ]


def test_the_score_of_a_trial_with_folds_is_the_mean_of_their_best_epochs(url):
    ran = run(url, lambda job: folds(0.5, 0.8, 0.5), trials=1)
    trial = ran.trials[0]
    assert trial.value == pytest.approx(0.6)
    assert (trial.state, trial.best_epoch, trial.best_fold, list(trial.fold_best_epochs)) == (
        "complete",
        4,
        2,
        [2, 4, 6],
    )
    assert trial.best["val_accuracy"] == trial.value
    assert trial.deviations["val_accuracy"] == pytest.approx(statistics.stdev([0.5, 0.8, 0.5]))
    frozen = optuna.load_study(study_name="s", storage=url).trials[0]
    assert frozen.value == trial.value
    assert frozen.intermediate_values == pytest.approx({1: 0.5, 2: 0.65, 3: 0.6})


def test_the_pruner_stops_a_trial_between_folds_alone_and_it_has_no_score(url):
    def script(job):
        # The first epochs of each fold are below the threshold, and so is the mean after the second.
        for step in folds(*((0.5, 0.05, 0.9) if job.trial == 0 else (0.5, 0.6, 0.7)), epochs=3):
            handed_out.append((job.trial, step.fold))
            yield step

    handed_out = []
    ran = run(url, script, trials=2, pruner={"name": "threshold", "lower": 0.3})
    assert ran.states == ["pruned", "complete"]
    pruned, whole = ran.trials
    assert (pruned.value, pruned.best_epoch, pruned.ended_by) == (None, None, "pruner")
    assert list(pruned.fold_lengths) == [3, 3]
    assert list(pruned.fold_best_epochs) == [3, 6]
    assert (0, 3) not in handed_out
    assert whole.value == pytest.approx(0.6)
    assert [trial.number for trial in ranked(ran.trials, OBJECTIVE)] == [1]
    assert ran.log.bests == [None, whole.value]


@pytest.mark.parametrize("hangs", [False, True])
def test_a_trial_whose_folds_are_cut_short_by_the_deadline_is_not_ranked(url, monkeypatch, hangs):
    monkeypatch.setattr("hpo.loop.time_to_end._GRACE", 0.2)

    def script(job):
        yield from folds(0.9)
        yield InFold(0.8, 2)
        clock.ahead = 100
        if hangs:
            yield None
        while True:
            yield InFold(0.8, 2)

    clock = Clock(monkeypatch)
    ran = run(url, script, timeout=60)
    trial = ran.trials[0]
    assert (trial.state, trial.value, trial.ended_by) == ("pruned", None, "deadline")
    assert list(trial.fold_best_epochs) == [2]
    assert ran.log.bests == [None]
    # A later run does not take it for one that was lost.
    assert len(run(url, lambda job: folds(0.5), trials=2).trials) == 2


def test_the_target_is_compared_with_the_mean(url):
    scripts = {0: folds(0.9, 0.1), 1: folds(0.7, 0.9)}
    ran = run(url, lambda job: scripts[job.trial], trials=5, target=0.8)
    assert ran.ending == "target"
    assert [trial.value for trial in ran.trials] == pytest.approx([0.5, 0.8])
