"""The record: what a study keeps, hands out and refuses; real SQLite, real PostgreSQL, real kills."""

import json
import math
import signal
import subprocess
import sys
import time

import optuna
import pytest
from postgres import PASSWORD
from studies import GRID, OBJECTIVE, SPACE, definition, flat, process, run, score, two_epochs

from hpo.config.experiment import StudySpec
from hpo.errors import NotFound, StudyBusy, StudyMismatch, UserError
from hpo.storage import batched
from hpo.study.stored import read_study, study_names
from hpo.study.study import open_study
from hpo.training.messages import Failed, Lost


@pytest.fixture
def url(tmp_path):
    return f"sqlite:///{tmp_path}/runs/optuna.db"


def open_(url, what=None, **spec):
    return open_study(url, "s", what or definition(), StudySpec(**{"sampler": "random", "pruner": "none", **spec}))


def key(config):
    return json.dumps(config, sort_keys=True)


# What a study is: under one name it must not change


@pytest.mark.parametrize(
    ("change", "line"),
    [
        (
            {"space": {**SPACE, "parameters": {**SPACE["parameters"], "depth": {"type": "int", "low": 1, "high": 4}}}},
            "search_space.parameters.depth.high: 3 -> 4",
        ),
        ({"objective": {"metric": "val_accuracy", "direction": "minimize"}}, 'objective.direction: "maximize" -> "min'),
        ({"dataset": {"name": "digits", "digest": "1" * 32, "scaling": "minmax"}}, 'dataset.digest: "000'),
        ({"epochs": 5}, "training.epochs: 20 -> 5"),
        ({"seed": 7}, "seed: 0 -> 7"),
    ],
)
def test_a_changed_definition_is_refused_with_the_difference(url, change, line):
    run(url, flat, trials=1)
    with pytest.raises(StudyMismatch, match="study s was defined otherwise:\n") as caught:
        run(url, flat, trials=2, what=definition(**change))
    assert f"\n  {line}" in str(caught.value)
    assert "\nundo the change to go on with this one, start another with --name, or " in str(caught.value)
    inside = line.startswith("search_space.parameters")
    how = "hpo extend s EXPERIMENT --name NEW" if inside else "hpo warm-start EXPERIMENT --from s --name NEW"
    assert str(caught.value).endswith(how)
    assert len(run(url, flat, trials=1).trials) == 1
    assert len(run(url, flat, trials=1, name="other", what=definition(**change)).trials) == 1


def test_all_differences_are_listed(url):
    run(url, flat, trials=1)
    parameters = {name: value for name, value in SPACE["parameters"].items() if name != "depth"}
    with pytest.raises(StudyMismatch) as caught:
        open_(url, definition(space={**SPACE, "parameters": {**parameters, "extra": 1}}, seed=2))
    lines = str(caught.value).splitlines()[1:-1]
    assert [line.split(":")[0].strip() for line in lines] == [
        "search_space.parameters.depth",
        "search_space.parameters.extra",
        "seed",
    ]
    assert lines[1].startswith("  search_space.parameters.extra: null -> {")


def test_the_budget_and_the_sampler_may_change(url):
    run(url, flat, trials=2)
    ran = run(url, flat, trials=4, timeout=60, retries=3, sampler="tpe", pruner="median")
    assert [trial.number for trial in ran.trials] == [0, 1, 2, 3]


def test_a_study_that_hpo_did_not_make_is_refused_and_left_alone(url):
    open_(url)
    foreign = optuna.create_study(study_name="theirs", storage=url, direction="maximize")
    foreign.enqueue_trial({"x": 1})
    other_way = optuna.create_study(study_name="empty", storage=url, direction="minimize")
    for name in ("theirs", "empty"):
        with pytest.raises(StudyMismatch, match=f"study {name} in .* was not made by hpo; choose another name"):
            run(url, name=name, trials=1)
    assert foreign.user_attrs == other_way.user_attrs == {}
    assert len(foreign.trials) == 1
    assert study_names(url) == ["s"]
    with pytest.raises(NotFound, match=r"study theirs in .* was not made by hpo"):
        read_study(url, "theirs")


def test_reading_what_is_not_there(url, tmp_path):
    with pytest.raises(NotFound, match=r"no studies yet: there is no .*optuna\.db; start one with hpo run"):
        read_study(url, "s")
    assert list(tmp_path.iterdir()) == []
    open_(url)
    with pytest.raises(NotFound, match=r"no study 'ss' in sqlite.*; did you mean s\?"):
        read_study(url, "ss")


def test_a_file_that_is_no_database(tmp_path):
    (tmp_path / "x.db").write_text("hello" * 1000)
    with pytest.raises(UserError, match=r"storage sqlite:///.*x.db cannot be opened: .*not a database"):
        open_(f"sqlite:///{tmp_path}/x.db")


# What is handed out


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


def test_what_a_plain_optuna_user_enqueues_is_run(url):
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
def test_all_that_somebody_enqueued_is_run_to_the_last(url, spec):
    what = definition({"model": "mlp", "parameters": {"depth": {"type": "int", "low": 1, "high": 5}}})
    run(url, flat, trials=1, what=what, enqueue=[{"depth": 3}], sampler=spec.get("sampler", "random"))
    for depth in (5, 1, 4):
        optuna.load_study(study_name="s", storage=url).enqueue_trial({"depth": depth})
    ran = run(url, flat, what=what, **spec)
    assert [config["depth"] for config in ran.configs] == [3, 5, 1, 4, 2]
    assert ran.states == ["complete"] * 5
    # And what is enqueued once the space has been run through is answered too.
    optuna.load_study(study_name="s", storage=url).enqueue_trial({"depth": 2})
    again = run(url, flat, what=what, **{**spec, "trials": 6})
    assert (again.states[5:], again.trials[5].error) == (["invalid"], "the configuration of trial 4, once more")


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
def test_what_the_space_does_not_allow_fails_and_the_study_goes_on(url, params, error):
    run(url, flat, trials=1)
    optuna.load_study(study_name="s", storage=url).enqueue_trial(params)
    ran = run(url, flat, trials=3)
    assert ran.states == ["complete", "invalid", "complete"]
    assert ran.log.ended[0].number == 1
    assert error in (ran.trials[1].error or "")
    assert run(url, flat, trials=3).engine.jobs == []


def test_what_waits_in_optunas_queue_does_not_stand_in_the_way_of_a_second_try(url):
    run(url, lambda job: [Lost(job.trial, "killed", "SIGKILL")], trials=1, retries=0)
    optuna.load_study(study_name="s", storage=url).enqueue_trial({"depth": 3})
    ran = run(url, flat, trials=1, retries=1)
    assert [trial.state for trial in ran.trials] == ["failed", "complete"]
    assert ran.trials[1].origin == 0
    assert ran.configs[1] == ran.configs[0]


# Second tries


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
    assert ran.trials[0].error == f"died: {reason}"


@pytest.mark.parametrize("retries", [0, 2])
def test_retries_bound_the_second_tries_and_failed_for_good_counts(url, retries):
    ran = run(url, deaths("killed", 9), trials=1, retries=retries)
    assert ran.states == ["killed"] * (1 + retries)
    assert [trial.attempt for trial in ran.trials] == list(range(1 + retries))
    assert run(url, flat, trials=1, retries=retries).engine.jobs == []


@pytest.mark.parametrize("reason", ["error", "nonfinite", "invalid", "timeout"])
def test_a_failure_of_the_configuration_is_not_tried_again(url, reason):
    ran = run(url, lambda job: [Failed(job.trial, reason, "no", "Traceback")] if job.trial == 0 else [0.5], trials=2)
    assert ran.states == [reason, "complete"]
    assert ran.trials[0].error == "no\n\nTraceback"


def test_random_goes_on_as_if_nothing_had_died(url, tmp_path):
    undisturbed = run(f"sqlite:///{tmp_path}/o.db", flat, trials=4).configs
    ran = run(url, deaths("killed", 1), trials=4)
    assert [trial.params for trial in ran.trials if trial.state == "complete"] == undisturbed


# Kills

ENDLESS = """
import sys, time
from studies import run, definition, SPACE, GRID
def script(job):
    yield 0.3
    while job.trial >= 2:
        time.sleep(0.02)
        yield 0.4
run({url!r}, script, trials=6, workers=2, sampler={sampler!r}, what=definition({space}))
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
        assert (lost.value, lost.error) == (None, "its coordinator was killed")
    ended = [trial.params for trial in ran.trials if trial.state == "complete"]
    assert len(ended) == len(set(map(key, ended))) == 6
    assert ended == run(f"sqlite:///{tmp_path}/o.db", flat, trials=6).configs
    assert run(url, flat, trials=6).engine.jobs == []


def test_a_killed_grid_goes_on(url):
    killed_in_the_middle(url, "grid", "GRID")
    ran = run(url, flat, sampler="grid", what=definition(GRID))
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


# What other tools see

READ = """
import json, sys, optuna
optuna.logging.disable_default_handler()
study = optuna.load_study(study_name="s", storage={url!r})
print(json.dumps({{
    "states": [trial.state.name for trial in study.trials],
    "values": [trial.value for trial in study.trials],
    "curves": [list(trial.intermediate_values.values()) for trial in study.trials],
    "params": [trial.params for trial in study.trials],
    "test": [trial.user_attrs.get("test_loss") for trial in study.trials],
    "best": study.best_trial.number,
    "names": study.metric_names,
}}))
"""


def plain_optuna(url):
    """What another process reads with Optuna alone."""
    shown = subprocess.run(
        [sys.executable, "-W", "ignore", "-c", READ.format(url=url)], capture_output=True, text=True, check=True
    )
    return json.loads(shown.stdout)


def test_plain_optuna_reads_the_study_while_it_runs_and_afterwards(url, monkeypatch):
    monkeypatch.setattr(batched, "WRITE_SECONDS", 0.0)
    seen = []

    def script(job):
        if job.trial == 1:
            return [Failed(job.trial, "error", "no")]
        if job.trial == 3:
            return watched(job)
        return two_epochs(job)

    def watched(job):
        yield 0.1
        seen.append(plain_optuna(url))
        yield 0.2

    ran = run(url, script, trials=4)
    assert seen[0]["states"] == ["COMPLETE", "FAIL", "COMPLETE", "RUNNING"]
    assert seen[0]["curves"][3] == [0.1]
    after = plain_optuna(url)
    assert after["states"] == ["COMPLETE", "FAIL", "COMPLETE", "COMPLETE"]
    assert after["values"] == after["test"] == [trial.value for trial in ran.trials]
    assert after["curves"][0] == ran.trials[0].curves["val_accuracy"]
    assert after["best"] == max(ran.trials, key=lambda trial: trial.value or 0).number
    assert after["names"] == ["val_accuracy"]
    for trial, params in zip(ran.trials, after["params"], strict=True):
        assert params["depth"] == trial.params["depth"]
        assert json.loads(params["widths"]) == trial.params["widths"]


def test_the_view_is_what_was_run(url):
    ran = run(url, two_epochs, trials=2)
    view = read_study(url, "s")
    assert view.trials == ran.trials
    assert view.objective == OBJECTIVE
    assert view.identity["seed"] == 0
    assert view.files == {"experiment": "name: s\n", "search_space": "model: mlp\n"}
    assert view.versions["optuna"] == optuna.__version__
    first = view.trials[0]
    assert first.value == score(first.params)
    assert first.best_epoch == 2
    assert first.test == {"loss": first.value}
    assert first.model_parameters == 1
    assert first.seconds is not None


def test_nothing_that_is_not_finite_is_kept(url):
    def script(job):
        return {1: [math.inf], 2: [0.3, -math.inf], 3: [math.nan]}.get(job.trial, [0.5])

    ran = run(url, script, trials=5)
    assert ran.states == ["complete", "nonfinite", "nonfinite", "nonfinite", "complete"]
    assert ran.trials[2].curves["val_accuracy"] == [0.3]
    assert ran.trials[1].error == "val_accuracy not finite in epoch 1"
    trials = optuna.load_study(study_name="s", storage=url).trials
    assert [list(trial.intermediate_values.values()) for trial in trials] == [[0.5], [], [0.3], [], [0.5]]
    assert [trial.value for trial in trials] == [0.5, None, None, None, 0.5]
    assert all(word not in str(trial.user_attrs) for trial in trials for word in ("inf,", "nan,", "inf]", "nan]"))


# Stores


def test_sqlite_is_in_wal_mode_and_waits_no_longer_than_a_user_who_presses_ctrl_c(url):
    storage = open_(url)._storage._database
    with storage.engine.connect() as connection:
        assert connection.exec_driver_sql("PRAGMA journal_mode").scalar() == "wal"
        assert connection.exec_driver_sql("PRAGMA busy_timeout").scalar() == 2_000


def test_a_whole_study_on_postgresql(postgres):
    def script(job):
        return [Lost(job.trial, "killed", "SIGKILL")] if job.trial == 1 else two_epochs(job)

    spec = {"sampler": "tpe", "pruner": "median", "enqueue": [{"depth": 3}]}
    first = run(postgres, script, trials=3, workers=2, **spec)
    assert sorted(first.states) == ["complete"] * 3 + ["killed"]
    with pytest.raises(StudyMismatch, match="seed: 0 -> 3") as caught:
        run(postgres, script, trials=4, what=definition(seed=3))
    ran = run(postgres, script, trials=5, workers=2, **spec)
    assert len({trial.origin for trial in ran.trials}) == 5
    assert ran.trials[:4] == first.trials
    assert read_study(postgres, "s").trials == ran.trials
    assert study_names(postgres) == ["s"]
    with pytest.raises(NotFound, match=r"no study 'x' in postgresql\+psycopg2://hpo:\*\*\*@127") as missing:
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


def test_a_password_is_shown_nowhere(postgres):
    for url in (postgres.replace(PASSWORD, "hush"), "postgresql+psycopg2://u:hush@127.0.0.1:1/d?sslmode=no"):
        with pytest.raises(UserError, match=r":\*\*\*@127") as caught:
            open_(url)
        assert "hush" not in str(caught.value)


def test_a_space_grows_by_what_a_model_declares(url):
    study = open_(url)
    assert study.declared is None
    study.declare({"space": [], "values": {}})
    assert open_(url).declared == {"space": [], "values": {}}
    grown = study.space.merged(type(study.space).model_validate({"model": "m", "parameters": {"units": 7}}))
    study.widen(grown)
    record = study.ask(None)
    assert record is not None
    assert record.params["units"] == 7


def test_a_grid_cannot_run_through_what_has_no_step(url):
    with pytest.raises(UserError, match="sampler grid needs a step, or choices, for learning_rate, momentum"):
        open_(url, sampler="grid")


TOGETHER = """
import pathlib, time
from studies import run, flat
print("ready", flush=True)
while not pathlib.Path({go!r}).exists():
    pass
run({url!r}, flat, trials=1, name={name!r})
"""


def test_processes_that_start_together_create_the_tables_once(url, tmp_path):
    go = tmp_path / "go"
    others = [process(TOGETHER.format(go=str(go), url=url, name=name)) for name in "abc"]
    for other in others:
        assert other.stdout is not None
        assert other.stdout.readline() == "ready\n"
    go.touch()
    for other in others:
        _, errors = other.communicate(timeout=60)
        assert other.returncode == 0, errors
    assert sorted(study_names(url)) == ["a", "b", "c"]
