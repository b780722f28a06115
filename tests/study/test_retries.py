"""What died is run again, what failed by its own fault is not."""

import optuna
import pytest
from studies import flat, run

from hpo.study.failure import Failure
from hpo.study.retries import Attempts
from hpo.training.messages import Failed, Lost


@pytest.fixture
def url(tmp_path):
    return f"sqlite:///{tmp_path}/runs/optuna.db"


def deaths(reason, times):
    """A script whose configuration 0 dies so often before it succeeds."""
    left = [times]

    def script(job):
        if job.trial == 0 or left[0] < times:
            left[0] -= 1
            if left[0] >= 0:
                return [0.1, Lost(job.trial, reason, f"died: {reason}")]
        return [0.5]

    return script


@pytest.mark.parametrize("reason", ["killed", "crashed", "out_of_memory"])
def test_a_dead_worker_is_tried_again_with_the_same_seed(url, reason):
    ran = run(url, deaths(reason, 1), trials=2)
    assert ran.states == [reason, "complete", "complete"]
    again = ran.trials[1]
    assert (again.origin, again.attempt, again.params) == (0, 1, ran.trials[0].params)
    assert again.seed == ran.trials[0].seed != ran.trials[2].seed
    assert ran.trials[0].failure.message == f"died: {reason}"


@pytest.mark.parametrize("retries", [0, 2])
def test_retries_bound_the_second_tries_and_failed_for_good_counts(url, retries):
    ran = run(url, deaths("killed", 9), trials=1, retries=retries)
    assert ran.states == ["killed"] * (1 + retries)
    assert [trial.attempt for trial in ran.trials] == list(range(1 + retries))
    stored = optuna.load_study(study_name="s", storage=url).trials
    attempts, tried = Attempts(retries), []
    for record, trial in zip(ran.trials, stored, strict=True):
        tried.append(attempts.will_run_again(record))
        attempts.see(trial)
    assert tried == [True] * retries + [False]
    assert run(url, flat, trials=1, retries=retries).engine.jobs == []


@pytest.mark.parametrize("reason", ["error", "nonfinite", "invalid", "timeout"])
def test_a_failure_of_the_configuration_is_not_tried_again(url, reason):
    ran = run(url, lambda job: [Failed(job.trial, reason, "no", "Traceback")] if job.trial == 0 else [0.5], trials=2)
    assert ran.states == [reason, "complete"]
    assert ran.trials[0].failure == Failure(reason, "no", "Traceback")


def test_random_goes_on_as_if_nothing_had_died(url, tmp_path):
    undisturbed = run(f"sqlite:///{tmp_path}/o.db", flat, trials=4).configs
    ran = run(url, deaths("killed", 1), trials=4)
    assert [trial.params for trial in ran.trials if trial.state == "complete"] == undisturbed


def test_waiting_trials_in_optunas_queue_do_not_block_a_retry(url):
    run(url, lambda job: [Lost(job.trial, "killed", "SIGKILL")], trials=1, retries=0)
    optuna.load_study(study_name="s", storage=url).enqueue_trial({"depth": 3})
    ran = run(url, flat, trials=1, retries=1)
    assert [trial.state for trial in ran.trials] == ["failed", "complete"]
    assert ran.trials[1].origin == 0
    assert ran.configs[1] == ran.configs[0]
