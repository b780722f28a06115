"""What Optuna is told of failures: samplers learn from them, and everybody else reads failed."""

import optuna
import pytest
from studies import SMALL, definition, flat, run

from hpo.cli.reuse.import_trials import frozen
from hpo.compare.compare import row
from hpo.storage.batched_storage import BatchedStorage
from hpo.storage.open import open_database
from hpo.study.failure import Failure
from hpo.study.read import read_study
from hpo.study.record import TrialRecord
from hpo.study.tell import as_samplers_see, optuna_state
from hpo.tracking.entities import STATUS
from hpo.training.messages import Failed, Lost


@pytest.fixture
def url(tmp_path):
    return f"sqlite:///{tmp_path}/o.db"


@pytest.mark.parametrize(
    ("reason", "state"),
    [("nonfinite", "PRUNED"), ("invalid", "PRUNED"), ("timeout", "PRUNED"), ("error", "FAIL"), ("interrupted", "FAIL")],
)
def test_a_failure_due_to_the_configuration_is_stored_as_pruned_without_a_value(url, reason, state):
    def script(job):
        return [0.9, Failed(job.trial, reason, "no")] if job.trial == 1 else [0.5]

    ran = run(url, script, trials=2)
    told = optuna.load_study(study_name="s", storage=url).trials[1]
    assert (told.state.name, told.value) == (state, None)
    view = read_study(url, "s")
    assert view.trials[1] == ran.trials[1]
    assert (ran.trials[1].state, ran.trials[1].reason, ran.trials[1].value) == ("failed", reason, None)
    assert row(view, view.trials[1])["state"] == "failed"
    assert STATUS[view.trials[1].state] == "FAILED"
    carried = frozen(definition().space, ran.trials[1], "val_accuracy", {})
    assert (carried.value, carried.state.name) == (None, state if reason != "interrupted" else "FAIL")


def test_running_out_of_memory_counts_once_it_is_not_tried_again(url):
    ran = run(url, lambda job: [Lost(job.trial, "out_of_memory", "no")] if job.trial < 2 else [0.5], trials=2)
    assert ran.states == ["out_of_memory", "out_of_memory", "complete"]
    told = optuna.load_study(study_name="s", storage=url).trials
    assert [trial.state.name for trial in told] == ["FAIL", "PRUNED", "COMPLETE"]
    assert run(url, flat, trials=2).engine.jobs == []


def test_trials_without_parameters_or_outside_the_space_stay_failed(url):
    run(url, flat, trials=1)
    theirs = optuna.load_study(study_name="s", storage=url)
    theirs.enqueue_trial({"widths": "[9]"})
    assert run(url, flat, trials=3).states == ["complete", "invalid", "complete"]
    assert theirs.trials[1].state.name == "FAIL"


def test_samplers_see_nothing_of_the_epochs_before_it_diverged(url):
    run(url, lambda job: [0.9, float("nan")] if job.trial == 1 else [0.5], trials=3)
    stored = open_database(url)
    study = stored.get_study_id_from_name("s")
    seen = BatchedStorage(stored, seen=as_samplers_see).get_all_trials(study)
    assert [(trial.state.name, trial.intermediate_values) for trial in seen] == [
        ("COMPLETE", {1: 0.5}),
        ("PRUNED", {}),
        ("COMPLETE", {1: 0.5}),
    ]
    assert stored.get_all_trials(study)[1].intermediate_values == {1: 0.9}


@pytest.mark.parametrize("sampler", ["random", "tpe", "cmaes", "qmc", "nsga2"])
def test_every_sampler_goes_on_after_nothing_but_failures(url, sampler):
    options = {"tpe": {"n_startup_trials": 1, "multivariate": True}, "nsga2": {"population_size": 2}}.get(sampler, {})
    bad = {0, 1, 4}
    ran = run(
        url, lambda job: [float("inf")] if job.trial in bad else [0.5], trials=8, space=SMALL,
        sampler={"name": sampler, **options},
    )  # fmt: skip
    assert ran.states.count("nonfinite") == 3
    assert len(ran.trials) == 8


def test_tpe_keeps_away_from_where_trials_diverge(url):
    space = {"model": "mlp", "parameters": {"learning_rate": {"type": "float", "low": 1e-6, "high": 1, "log": True}}}

    def script(job):
        rate = job.params["learning_rate"]
        return [float("nan")] if rate > 1e-2 else [rate]

    diverged = 0
    for seed in range(2):
        ran = run(url, script, trials=40, sampler={"name": "tpe"}, space=space, seed=seed, name=f"s{seed}")
        diverged += sum(trial.reason == "nonfinite" for trial in ran.trials[20:])
    # The best lie at the very edge of where they diverge. Told as failed, nine of ten fell beyond it.
    assert diverged <= 2 * 20 * 0.6


@pytest.mark.parametrize(
    ("state", "failure", "values", "seen"),
    [
        ("PRUNED", "timeout", {1: 0.9}, ("PRUNED", {})),
        ("PRUNED", "timeout", {}, ("PRUNED", {})),
        ("PRUNED", "nonfinite", {1: 0.9}, ("PRUNED", {})),
        ("FAIL", "nonfinite", {1: 0.9}, ("PRUNED", {})),
        ("FAIL", "nonfinite", {}, ("PRUNED", {})),
        ("FAIL", "timeout", {1: 0.9}, ("FAIL", {1: 0.9})),
        ("FAIL", "error", {1: 0.9}, ("FAIL", {1: 0.9})),
        ("PRUNED", None, {1: 0.9}, ("PRUNED", {1: 0.9})),
        ("FAIL", None, {1: 0.9}, ("FAIL", {1: 0.9})),
        ("RUNNING", "nonfinite", {1: 0.9}, ("RUNNING", {1: 0.9})),
    ],
)
def test_ended_trials_as_samplers_see_them(state, failure, values, seen):
    result = {"hpo:result": {"failure": failure}} if failure is not None else {}
    trial = optuna.trial.create_trial(
        state=optuna.trial.TrialState[state], user_attrs=result, intermediate_values=values
    )
    found = as_samplers_see(trial)
    assert (found.state.name, found.intermediate_values) == seen
    assert (trial.state.name, trial.intermediate_values) == (state, values)


@pytest.mark.parametrize("instructive", [True, False])
@pytest.mark.parametrize("failure", ["nonfinite", "invalid", "timeout", "out_of_memory", "error", "lost"])
def test_only_failures_due_to_the_configuration_are_stored_as_pruned(failure, instructive):
    failed = TrialRecord(0, "failed", {}, 0, 0, failure=Failure(failure))
    teaches = instructive and failure not in ("error", "lost")
    assert optuna_state(failed, instructive).name == ("PRUNED" if teaches else "FAIL")
    assert optuna_state(TrialRecord(0, "complete", {}, 0, 0), instructive).name == "COMPLETE"
