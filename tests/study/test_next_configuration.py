"""No configuration is run twice, and none is lost: small spaces under every sampler, and kills as a trial begins."""

import signal
from typing import Any

import optuna
import pytest
from studies import GRID, SMALL, definition, flat, process, run, score

from hpo.study.read import read_study


@pytest.fixture
def url(tmp_path):
    return f"sqlite:///{tmp_path}/o.db"


def keys(ran):
    space = definition(SMALL).space
    return sorted(space.key(config) for config in ran.configs)


ALL = sorted(definition(SMALL).space.key(config) for config in definition(SMALL).space.configurations())


@pytest.mark.parametrize("workers", [1, 3])
@pytest.mark.parametrize("sampler", ["random", "tpe", "cmaes", "qmc", "nsga2", "grid"])
def test_a_space_is_run_through_once_and_its_end_ends_the_study(url, sampler, workers):
    options = {"tpe": {"n_startup_trials": 2}, "nsga2": {"population_size": 2}}.get(sampler, {})
    spec = {"sampler": {"name": sampler, **options}, "space": SMALL, "workers": workers}
    first = run(url, flat, trials=3, **spec)
    assert first.ending == "done"
    ran = run(url, flat, trials=20, **spec)
    assert keys(ran) == ALL
    assert ran.ending == "exhausted"
    again = run(url, flat, trials=20, **spec)
    assert (again.ending, again.engine.jobs) == ("exhausted", [])


def test_a_space_of_one_configuration_is_run_once_whatever_the_time(url):
    ran = run(url, flat, timeout=60, space={"model": "mlp", "parameters": {"depth": 1}})
    assert (ran.ending, ran.configs) == ("exhausted", [{"depth": 1}])
    nothing = {"model": "mlp", "parameters": {}}
    assert run(url, flat, timeout=60, space=nothing, name="nothing").configs == [{}]


def test_configurations_listed_in_the_file_are_skipped_if_they_were_tried(url):
    whole = {"kind": "b", "rate": 0.1}
    listed = [whole, {"kind": "b", "rate": 0.1, "fixed": 7}, {"kind": "a"}, {"kind": "a", "size": 2}, {"kind": "a"}]
    spec: dict[str, Any] = {"enqueue": listed, "space": SMALL}
    ran = run(url, flat, trials=3, **spec)
    assert [config["kind"] for config in ran.configs][:2] == ["b", "a"]
    assert keys(run(url, flat, trials=20, **spec)) == ALL


def test_an_enqueued_duplicate_gets_other_values_if_possible_and_fails_otherwise(url):
    spec: dict[str, Any] = {"space": SMALL}
    run(url, flat, trials=1, enqueue=[{"kind": "a", "size": 1}], **spec)
    theirs = optuna.load_study(study_name="s", storage=url)
    for config in ({"kind": "a"}, {"kind": "a"}, {"kind": "a", "size": 3}, {"kind": "b", "rate": 0.3}):
        theirs.enqueue_trial(config)
    theirs.enqueue_trial({"kind": "b", "rate": 0.3})
    ran = run(url, flat, trials=6, **spec)
    assert {config["size"] for config in ran.configs[:3]} == {1, 2, 3}
    assert [trial.state for trial in ran.trials[3:]] == ["failed", "complete", "complete"]
    same = next(trial.number for trial in ran.trials if trial.params.get("size") == 3)
    assert ran.trials[3].reason == "invalid"
    assert ran.trials[3].failure.message == f"the same configuration as trial {same}"
    assert {config["even"] for config in ran.configs[4:]} == {2, 4}


KILLED = """
import os, signal
from studies import run, definition
from hpo.config.space import SearchSpace
asked, suggest = [], SearchSpace.suggest
def suggest_or_die(self, trial):
    asked.append(trial)
    # As the sampler proposes: the row was written before its parameters were.
    if len(asked) == {at}:
        trial.suggest_int("depth", 1, 3)
        os.kill(os.getpid(), signal.SIGKILL)
    return suggest(self, trial)
SearchSpace.suggest = suggest_or_die
run({url!r}, lambda job: [__import__("studies").score(job.params)], trials=6, sampler={sampler!r})
"""


@pytest.mark.parametrize(
    "sampler",
    [{"name": "random"}, {"name": "tpe", "n_startup_trials": 2}, {"name": "qmc"}],
    ids=lambda one: one["name"],
)
def test_a_kill_while_a_trial_begins_loses_and_doubles_nothing(url, tmp_path, sampler):
    other = process(KILLED.format(url=url, sampler=sampler, at=4))
    _, errors = other.communicate(timeout=60)
    assert other.returncode == -signal.SIGKILL, errors
    assert all(trial.params for trial in read_study(url, "s").trials)
    ran = run(url, lambda job: [score(job.params)], trials=6, sampler=sampler)
    assert ran.states == ["complete"] * 6
    whole = run(f"sqlite:///{tmp_path}/whole.db", lambda job: [score(job.params)], trials=6, sampler=sampler)
    assert ran.configs == whole.configs


def test_an_enqueued_trial_that_was_killed_as_it_began_waits_with_its_parameters(url):
    run(url, flat, trials=1)
    theirs = optuna.load_study(study_name="s", storage=url)
    theirs.enqueue_trial({"depth": 3})
    killed = KILLED.format(url=url, sampler={"name": "random"}, at=1)
    other = process(killed.replace('trial.suggest_int("depth", 1, 3)', "suggest(self, trial)"))
    other.communicate(timeout=60)
    assert [trial.state.name for trial in theirs.trials] == ["COMPLETE", "WAITING"]
    ran = run(url, flat, trials=2)
    assert (ran.states, ran.configs[1]["depth"]) == (["complete"] * 2, 3)


def test_a_row_without_parameters_that_earlier_code_left_is_the_configuration_it_was_to_be(url, tmp_path):
    whole = run(f"sqlite:///{tmp_path}/whole.db", flat, trials=4)
    run(url, flat, trials=2)
    # Optuna's own way to begin: a row, and parameters later.
    optuna.load_study(study_name="s", storage=url).ask()
    ran = run(url, flat, trials=4)
    assert ran.states == ["complete", "complete", "lost", "complete", "complete"]
    assert [trial.params for trial in ran.trials if trial.state == "complete"] == whole.configs


def test_a_grid_does_not_begin_a_configuration_that_is_written_in_another_way(url):
    listed = [{"depth": 1, "widths": [8], "optimizer": "sgd", "momentum": 0}]
    ran = run(url, flat, sampler="grid", enqueue=listed, space=GRID)
    space = definition(GRID).space
    assert len({space.key(config) for config in ran.configs}) == len(ran.configs) == 16
