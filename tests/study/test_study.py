"""A study hands out what is owed, and goes on after any kill: real SQLite, real PostgreSQL, real kills."""

import json
import signal
import threading
import time
from typing import Any

import optuna
import pytest
from postgres import PASSWORD
from studies import GRID, WriteLock, definition, flat, process, run, two_epochs

from hpo.config.declared import NOTHING_DECLARED, Declared
from hpo.config.experiment import StudySpec
from hpo.errors import NotFound, StudyBusy, StudyMismatch, UserError
from hpo.study.failure import Failure
from hpo.study.open import open_study
from hpo.study.read import read_study, study_names
from hpo.training.messages import Lost


@pytest.fixture
def url(tmp_path):
    return f"sqlite:///{tmp_path}/runs/optuna.db"


def open_(url, what=None, **spec):
    return open_study(url, "s", what or definition(), StudySpec(**{"sampler": "random", "pruner": "none", **spec}))


def key(config):
    return json.dumps(config, sort_keys=True)


def test_listed_configurations_come_first_and_the_sampler_completes_them(url):
    whole = {"depth": 2, "learning_rate": 0.01, "widths": [8, 4], "optimizer": "adam"}
    listed = [whole, {"depth": 3}]
    first = run(url, flat, trials=1, enqueue=listed)
    assert first.configs == [{**whole, "activation": "relu"}]
    ran = run(url, flat, trials=4, enqueue=listed)
    assert ran.configs[1]["depth"] == 3
    assert ran.configs[1].keys() >= {"learning_rate", "widths", "optimizer"}
    added = run(url, flat, trials=5, enqueue=[{"depth": 1, "learning_rate": 0.05}, *listed])
    assert added.configs[4]["learning_rate"] == 0.05
    assert [config["depth"] for config in added.configs].count(3) == sum(c["depth"] == 3 for c in ran.configs[1:])


def test_trials_enqueued_with_plain_optuna_are_run(url):
    run(url, flat, trials=1)
    plain = optuna.load_study(study_name="s", storage=url)
    plain.enqueue_trial({"depth": 3, "learning_rate": 0.02, "widths": "[8, 4]"}, user_attrs={"by": "hand"})
    assert run(url, flat, trials=1).engine.jobs == []
    ran = run(url, flat, trials=3)
    assert ran.configs[1]["widths"] == [8, 4]
    assert (ran.configs[1]["depth"], ran.configs[1]["learning_rate"]) == (3, 0.02)
    assert len(ran.trials) == 3
    assert plain.trials[1].user_attrs["by"] == "hand"


@pytest.mark.parametrize("spec", [{"trials": 5}, {"timeout": 60}, {"timeout": 60, "sampler": "grid"}])
def test_all_enqueued_trials_are_run(url, spec):
    space = {"model": "mlp", "parameters": {"depth": {"type": "int", "low": 1, "high": 5}}}
    run(url, flat, trials=1, space=space, enqueue=[{"depth": 3}], sampler=spec.get("sampler", "random"))
    for depth in (5, 1, 4):
        optuna.load_study(study_name="s", storage=url).enqueue_trial({"depth": depth})
    ran = run(url, flat, space=space, **spec)
    assert [config["depth"] for config in ran.configs] == [3, 5, 1, 4, 2]
    assert ran.states == ["complete"] * 5
    # And what is enqueued once the space has been run through is answered too.
    optuna.load_study(study_name="s", storage=url).enqueue_trial({"depth": 2})
    again = run(url, flat, space=space, **{**spec, "trials": 6})
    assert (again.states[5:], again.trials[5].failure.text) == (["invalid"], "the same configuration as trial 4")


def test_the_files_list_is_run_to_its_last_with_as_many_trials(url):
    listed = [{"depth": depth} for depth in (3, 1, 2)]
    assert [config["depth"] for config in run(url, flat, trials=3, enqueue=listed).configs] == [3, 1, 2]


@pytest.mark.parametrize(
    ("params", "error"),
    [
        ({"depth": 30}, "depth must be a whole number from 1 to 3, got 30"),
        ({"widths": "[9]"}, "'[9]' not in"),
    ],
)
def test_enqueued_values_outside_the_space_fail_and_the_study_goes_on(url, params, error):
    run(url, flat, trials=1)
    optuna.load_study(study_name="s", storage=url).enqueue_trial(params)
    ran = run(url, flat, trials=3)
    assert ran.states == ["complete", "invalid", "complete"]
    assert ran.log.ended[0].number == 1
    assert error in ran.trials[1].failure.message
    assert run(url, flat, trials=3).engine.jobs == []


ENDLESS = """
import sys, time
from studies import run, definition, SPACE, GRID
def script(job):
    yield 0.3
    while job.trial >= 2:
        time.sleep(0.02)
        yield 0.4
run({url!r}, script, trials=6, workers=2, sampler={sampler!r}, space={space})
"""


def killed_in_the_middle(url, sampler="random", space="SPACE"):
    """Runs a study in another process, and kills that once two trials are done and two are running."""
    other = process(ENDLESS.format(url=url, sampler=sampler, space=space))
    deadline = time.monotonic() + 120
    while time.monotonic() < deadline and other.poll() is None:
        time.sleep(0.1)
        try:
            trials = read_study(url, "s").trials
        except (NotFound, UserError):
            continue
        if [trial.state for trial in trials] == ["complete", "complete", "running", "running"] and all(
            trial.params for trial in trials
        ):
            break
    other.send_signal(signal.SIGKILL)
    _, errors = other.communicate()
    assert other.returncode == -signal.SIGKILL, errors


def test_a_killed_study_goes_on(url, tmp_path):
    killed_in_the_middle(url)
    before = read_study(url, "s").trials
    ran = run(url, flat, trials=6, retries=0)
    assert ran.states == ["complete", "complete", "lost", "lost"] + ["complete"] * 4
    assert ran.trials[:2] == list(before[:2])
    for lost, again in zip(ran.trials[2:4], ran.trials[4:6], strict=True):
        assert (again.params, again.seed, again.origin) == (lost.params, lost.seed, lost.number)
        assert (lost.value, lost.failure) == (None, Failure("lost", "its coordinator was killed"))
    ended = [trial.params for trial in ran.trials if trial.state == "complete"]
    assert len(ended) == len(set(map(key, ended))) == 6
    assert ended == run(f"sqlite:///{tmp_path}/o.db", flat, trials=6).configs
    assert run(url, flat, trials=6).engine.jobs == []


def test_what_a_kill_left_running_is_marked_in_the_store_before_others_read_it(url):
    run(url, flat, trials=1)
    optuna.load_study(study_name="s", storage=url).ask({})
    study = open_(url)
    lock = WriteLock(url)
    lock.take()
    threading.Timer(3, lock.drop).start()
    (lost,) = study.recover()
    assert [trial.reason for trial in read_study(url, "s").trials] == [None, "lost"] == [None, lost.reason]


def test_a_killed_grid_goes_on(url):
    killed_in_the_middle(url, "grid", "GRID")
    ran = run(url, flat, sampler="grid", space=GRID)
    assert ran.states.count("lost") == 2
    ended = [key(trial.params) for trial in ran.trials if trial.state == "complete"]
    assert sorted(ended) == sorted(map(key, definition(GRID).space.configurations()))


def test_a_trial_that_was_lost_as_it_began_is_run_again(url):
    run(url, flat, trials=1)
    plain = optuna.load_study(study_name="s", storage=url)
    plain.enqueue_trial({"depth": 3})
    plain.ask().suggest_float("learning_rate", 1e-4, 1e-1, log=True)
    ran = run(url, flat, trials=2)
    assert ran.states == ["complete", "lost", "complete"]
    assert ran.configs[2].items() >= ran.configs[1].items()
    assert ran.configs[1].keys() == {"depth", "learning_rate"}


def test_a_whole_study_on_postgresql(postgres):
    def script(job):
        return [Lost(job.trial, "killed", "SIGKILL")] if job.trial == 1 else two_epochs(job)

    spec: dict[str, Any] = {"sampler": "tpe", "pruner": "median", "enqueue": [{"depth": 3}]}
    first = run(postgres, script, trials=3, workers=2, **spec)
    assert sorted(first.states) == ["complete"] * 3 + ["killed"]
    with pytest.raises(StudyMismatch, match="seed: 0 -> 3") as caught:
        run(postgres, script, trials=4, seed=3)
    ran = run(postgres, script, trials=5, workers=2, **spec)
    assert len({trial.origin for trial in ran.trials}) == 5
    assert ran.trials[:4] == first.trials
    assert read_study(postgres, "s").trials == ran.trials
    assert study_names(postgres) == ["s"]
    with pytest.raises(NotFound, match=r"no study 'x' in postgresql\+psycopg://hpo:\*\*\*@127") as missing:
        read_study(postgres, "x")
    assert PASSWORD not in f"{caught.value}{missing.value}"


def test_a_killed_study_on_postgresql_goes_on(postgres):
    killed_in_the_middle(postgres)
    deadline = time.monotonic() + 5
    while True:
        try:
            ran = run(postgres, flat, trials=5)
            break
        except StudyBusy:
            assert time.monotonic() < deadline
            time.sleep(0.1)
    assert ran.states == ["complete", "complete", "lost", "lost"] + ["complete"] * 3


def test_a_space_grows_by_what_a_model_declares(url):
    study = open_(url)
    assert study.declared == NOTHING_DECLARED
    found = Declared({"space": [{"class_name": "Fixed", "config": {"name": "units", "value": 7}}], "values": {}})
    study.declare(found)
    assert open_(url).declared == found
    record = study.ask(None)
    assert record is not None
    assert record.params["units"] == 7
