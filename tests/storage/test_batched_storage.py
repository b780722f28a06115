"""Optuna's storage from memory and in batches: Optuna's own contract, and what a kill leaves."""

import signal
import time
from collections.abc import Callable, Iterator
from datetime import datetime
from pathlib import Path

import optuna
import pytest
from optuna.storages import BaseStorage, RDBStorage
from optuna.testing.pytest_storages import StorageTestCase
from sqlalchemy.pool import StaticPool
from studies import process, run, two_epochs

from hpo.storage import batched_storage
from hpo.storage.batched_storage import BatchedStorage
from hpo.storage.write_trials import Unwritten, begin_waiting


class TestOptunasContract(StorageTestCase):
    @pytest.fixture
    def storage(self) -> BaseStorage:
        # One connection for all threads: another would be another database.
        options = {"poolclass": StaticPool, "connect_args": {"check_same_thread": False}}
        return BatchedStorage(RDBStorage("sqlite:///:memory:", engine_kwargs=options))

    test_pickle_storage = None  # it belongs to one coordinator, and is never sent to another process


@pytest.fixture
def url(tmp_path: Path) -> str:
    return f"sqlite:///{tmp_path}/optuna.db"


KILLED = """
import os, signal
from hpo.storage import batched_storage
from studies import run

batched_storage.WRITE_SECONDS = 1000.0  # the next batch is far

def script(job):
    yield 0.1
    yield 0.2
    if job.trial == 3:
        yield 0.3
        os.kill(os.getpid(), signal.SIGKILL)

run({url!r}, script, trials=9, sampler="tpe", pruner="successive_halving")
"""


def test_a_kill_between_two_writes_loses_no_finished_trial(url: str) -> None:
    killed = process(KILLED.format(url=url))
    killed.communicate(timeout=120)
    assert killed.returncode == -signal.SIGKILL
    *finished, running = optuna.load_study(study_name="s", storage=url).trials
    assert [trial.number for trial in finished] == [0, 1, 2]
    for trial in finished:
        assert trial.intermediate_values == {1: 0.1, 2: 0.2}
        assert trial.user_attrs["hpo:result"]["curves"]["val_accuracy"] == [0.1, 0.2]
        assert trial.params.keys() == trial.distributions.keys() >= {"depth", "learning_rate"}
    # Of the one that ran the epochs are lost; what it was is not, and it is run again.
    assert running.state is optuna.trial.TrialState.RUNNING
    assert running.intermediate_values == {}
    again = run(url, two_epochs, trials=4).trials[4]
    assert again.origin == 3
    assert again.params == running.user_attrs["hpo:job"]["config"]


def test_epochs_are_written_in_batches(url: str, monkeypatch: pytest.MonkeyPatch) -> None:
    seen = []

    def script(job: object) -> Iterator[float]:
        for epoch in range(1, 4):
            yield epoch / 10
            (trial,) = optuna.load_study(study_name="s", storage=url).trials
            seen.append(len(trial.intermediate_values))

    monkeypatch.setattr(batched_storage, "WRITE_SECONDS", 1000.0)
    run(url, script, trials=1)
    assert seen == [0, 0, 0]
    (trial,) = optuna.load_study(study_name="s", storage=url).trials
    assert trial.intermediate_values == {1: 0.1, 2: 0.2, 3: 0.3}


def test_epochs_are_written_within_a_trial(url: str, monkeypatch: pytest.MonkeyPatch) -> None:
    def script(job: object) -> Iterator[float]:
        for epoch in range(1, 4):
            yield epoch / 10
            until = time.monotonic() + 10
            while len(optuna.load_study(study_name="s", storage=url).trials[0].intermediate_values) < epoch:
                assert time.monotonic() < until
                time.sleep(0.01)

    monkeypatch.setattr(batched_storage, "WRITE_SECONDS", 0.0)
    assert run(url, script, trials=1).states == ["complete"]


@pytest.mark.parametrize("sampler", ["tpe", "qmc", "cmaes", "nsga2"])
def test_the_database_holds_what_was_in_memory(url: str, sampler: str) -> None:
    """All that samplers and pruners keep in trials is in the database: a study that was stopped goes on alike."""
    one, parts = url, url.replace("optuna.db", "other.db")
    whole = run(one, two_epochs, trials=8, sampler=sampler, pruner="successive_halving")
    for trials in (3, 8):
        again = run(parts, two_epochs, trials=trials, sampler=sampler, pruner="successive_halving")
    assert again.configs == whole.configs
    assert again.states == whole.states
    stored: list[Callable[[optuna.trial.FrozenTrial], object]] = [
        lambda trial: trial.params,
        lambda trial: trial.distributions,
        lambda trial: trial.system_attrs,
        lambda trial: trial.intermediate_values,
    ]
    studies = [optuna.load_study(study_name="s", storage=there).trials for there in (one, parts)]
    for attribute in stored:
        assert list(map(attribute, studies[0])) == list(map(attribute, studies[1]))


def test_a_draft_that_is_not_kept_was_never_there(url: str) -> None:
    run(url, two_epochs, trials=2)
    storage = BatchedStorage(RDBStorage(url))
    study = storage.get_study_id_from_name("s")
    before = storage.get_all_trials(study)
    waiting = storage.create_new_trial(study, optuna.trial.create_trial(state=optuna.trial.TrialState.WAITING))
    with storage.drafting(study):
        storage.set_study_system_attr(study, "noted", 1)
        assert storage.get_study_system_attrs(study)["noted"] == 1
        assert storage.set_trial_state_values(waiting, optuna.trial.TrialState.RUNNING)
        assert storage.get_all_trials(study)[2].state is optuna.trial.TrialState.RUNNING
        # Another in its place: the last one alone is the draft.
        draft = storage.create_new_trial(study)
        assert [trial.state.name for trial in storage.get_all_trials(study)[2:]] == ["WAITING", "RUNNING"]
        assert storage.get_trial(draft).number == 3
    assert storage.get_all_trials(study)[:2] == before
    assert [trial.state.name for trial in storage.get_all_trials(study)] == ["COMPLETE", "COMPLETE", "WAITING"]
    assert "noted" not in storage.get_study_system_attrs(study)
    assert len(optuna.load_study(study_name="s", storage=url).trials) == 3


def test_returned_trials_do_not_change_afterwards(url: str) -> None:
    run(url, two_epochs, trials=1)
    storage = BatchedStorage(RDBStorage(url))
    study = storage.get_study_id_from_name("s")
    trial = storage.create_new_trial(study)
    seen = storage.get_all_trials(study, deepcopy=False)[1]
    storage.set_trial_intermediate_value(trial, 1, 0.5)
    storage.set_trial_user_attr(trial, "a", (1, 2))
    storage.set_trial_system_attr(trial, "b", {"c": 1})
    assert (seen.intermediate_values, seen.user_attrs, seen.system_attrs) == ({}, {}, {})
    now = storage.get_trial(trial)
    assert (now.intermediate_values, now.user_attrs, now.system_attrs) == ({1: 0.5}, {"a": [1, 2]}, {"b": {"c": 1}})
    storage.flush()
    stored = optuna.load_study(study_name="s", storage=url).trials[1]
    assert (stored.intermediate_values, stored.user_attrs, stored.system_attrs) == (
        {1: 0.5}, {"a": [1, 2]}, {"b": {"c": 1}},
    )  # fmt: skip
    assert storage.get_trial_id_from_study_id_trial_number(study, 1) == trial
    with pytest.raises(KeyError):
        storage.get_trial_id_from_study_id_trial_number(study, 2)


def test_only_what_runs_though_nobody_here_began_it_has_strayed(url: str) -> None:
    run(url, two_epochs, trials=2)
    storage = BatchedStorage(RDBStorage(url))
    study = storage.get_study_id_from_name("s")
    storage.refresh(study)
    storage._unsure = True
    assert storage.stray(study) is None
    optuna.load_study(study_name="s", storage=url).ask()
    storage.refresh(study)
    assert storage.stray(study) is None, "nothing is looked for where nothing is unsure"
    storage._unsure = True
    found = storage.stray(study)
    assert found is not None
    assert found.number == 2
    # From here on it runs here.
    assert storage.stray(study) is None


def test_a_trial_that_waited_begins_once_with_what_was_proposed(url: str) -> None:
    run(url, two_epochs, trials=1)
    theirs = optuna.load_study(study_name="s", storage=url)
    theirs.enqueue_trial({"depth": 2})
    trial = theirs.get_trials()[1]
    trial.datetime_start = datetime(2026, 3, 1, 12)
    database = RDBStorage(url)
    begin_waiting(database.engine, trial, Unwritten(user_attrs={"a": 1}))
    begin_waiting(database.engine, trial, Unwritten(user_attrs={"a": 2}))
    (_, begun) = theirs.get_trials()
    assert (begun.state.name, begun.user_attrs, begun.datetime_start) == ("RUNNING", {"a": 1}, trial.datetime_start)
