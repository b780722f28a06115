"""The record of a confirmation: order, rounds, resuming, adding, retrying; scripted runs, real Optuna."""

import itertools
import signal
import sqlite3
import threading
import time
from collections import Counter
from contextlib import closing
from pathlib import Path

import optuna
import pytest
from scarce_memory import ScarceMemory
from studies import INFO, OBJECTIVE, Log, NoData, WriteLock, definition, planned, process, run, two_epochs

from hpo.confirm.confirming import Confirming, fresh_seeds
from hpo.confirm.owed_runs import Wanted
from hpo.engines.scripted import ScriptedEngine
from hpo.loop.budget import Budget
from hpo.loop.driving import drive
from hpo.loop.jobs import Prepared
from hpo.storage import database, writer
from hpo.storage.lock import sole_coordinator
from hpo.study.confirmation import Confirmation
from hpo.study.read import confirming_runs, read_study, study_names
from hpo.study.record import Confirms, TrialRecord, ranked
from hpo.study.samplers import derive_seed
from hpo.training.messages import Failed, Job, Lost


@pytest.fixture(scope="module")
def searched(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A store with a study of eight trials, for all tests to copy."""
    path = tmp_path_factory.mktemp("searched") / "optuna.db"
    run(f"sqlite:///{path}", two_epochs, trials=8)
    return path


@pytest.fixture(scope="module")
def confirmed(searched: Path, tmp_path_factory: pytest.TempPathFactory) -> str:
    """The store of a study whose three best trials were confirmed over three seeds; to be read alone."""
    url = copied(searched, tmp_path_factory.mktemp("confirmed"))
    confirm(url)
    return url


@pytest.fixture
def url(searched: Path, tmp_path: Path) -> str:
    return copied(searched, tmp_path)


def copied(database: Path, folder: Path) -> str:
    """The URL of a copy; SQLite's own, which takes what stands in the write-ahead log too."""
    with closing(sqlite3.connect(database)) as source, closing(sqlite3.connect(folder / "optuna.db")) as copy:
        source.backup(copy)
    return f"sqlite:///{folder}/optuna.db"


def noisy(job: Job):
    """Two epochs; the second differs from run to run by about 0.01."""
    yield 0.1
    yield two_epochs(job)[-1] + 0.01 * (derive_seed(job.seed, job.trial) % 97) / 97


def confirm(url: str, script=noisy, *, top=3, seeds=3, workers=1, race=True, timeout=None, finalists=None):
    """Confirms the study as `hpo.confirm` does; returns the engine and the record."""
    view = read_study(url, "s")
    chosen = finalists or ranked(view.trials, OBJECTIVE)[:top]
    ready = Prepared(planned(url), ScriptedEngine(script, workers), INFO, NoData())
    with sole_coordinator(url, "s") as lock:
        record = Confirming(url, "s", Wanted(chosen, seeds, 1, race), lock)
        record.recover()
        deadline = None if timeout is None else time.monotonic() + timeout
        budget = Budget(None, deadline, None, None)
        drive(record, ready, budget, (Log([], []),))
    return ready.engine, record


def best_trials(url: str) -> list[int]:
    return [trial.number for trial in ranked(read_study(url, "s").trials, OBJECTIVE)]


def settings_of(url: str, number: int) -> dict:
    return definition().space.settings(read_study(url, "s").trials[number].params)


def pairs(url: str, state: str = "complete") -> list[tuple[int, int]]:
    runs = confirming_runs(url, "s")
    return [(one.confirms.trial, one.confirms.ordinal) for one in runs if one.confirms and one.state == state]


def test_each_seed_is_run_for_all_finalists_before_the_next_seed(confirmed):
    finalists = set(best_trials(confirmed)[:3])
    trials, ordinals = zip(*pairs(confirmed), strict=True)
    assert ordinals == (1, 1, 1, 2, 2, 2, 3, 3, 3)
    # The longest first, in the same order for each seed.
    assert trials == 3 * trials[:3]
    assert set(trials[:3]) == finalists


def test_all_finalists_have_the_same_seeds_which_no_trial_had(confirmed):
    runs = confirming_runs(confirmed, "s")
    seeds = {one.confirms.ordinal: one.seed for one in runs}
    assert all(one.seed == seeds[one.confirms.ordinal] for one in runs)
    assert len(set(seeds.values())) == 3
    trials = read_study(confirmed, "s").trials
    assert not set(seeds.values()) & {trial.seed for trial in trials}
    parameters = {trial.number: trial.params for trial in trials}
    assert all(one.params == parameters[one.confirms.trial] for one in runs)


def test_seeds_that_a_trial_had_are_passed_over():
    first, second, third = fresh_seeds(7, set(), 3)
    assert fresh_seeds(7, {second}, 2) == [first, third]
    assert first != derive_seed(7, 1)


def test_the_record_is_a_plain_study_that_stands_apart(confirmed, searched):
    url = confirmed
    assert study_names(url) == ["s"]
    assert read_study(url, "s").trials == read_study(f"sqlite:///{searched}", "s").trials
    plain = optuna.load_study(study_name="s@confirm", storage=url)
    assert [trial.state.name for trial in plain.trials] == ["COMPLETE"] * 9
    assert (
        plain.trials[0].params
        == {trial.number: trial.params for trial in optuna.load_study(study_name="s", storage=url).trials}[
            best_trials(url)[0]
        ]
    )
    assert list(plain.trials[0].intermediate_values) == [1, 2]
    assert confirming_runs(url, "s")[0].curves["val_accuracy"] == list(plain.trials[0].intermediate_values.values())


def scored(url: str) -> list[int]:
    """How many runs with a score each trial has, best trial first."""
    count = Counter(trial for trial, _ in pairs(url))
    return [count[trial] for trial in best_trials(url)]


def test_once_done_nothing_is_trained_and_more_adds_to_it(url):
    confirm(url)
    assert confirm(url)[0].jobs == []
    assert len(confirm(url, seeds=4, race=False)[0].jobs) == 3
    others, record = confirm(url, top=4, seeds=2, race=False)
    assert len(others.jobs) == 2
    assert record.finalists == set(best_trials(url)[:4])
    assert scored(url) == [4, 4, 4, 2, 0, 0, 0, 0]


def found(url: str, record: Confirming, earlier: Confirmation | None = None) -> Confirmation:
    confirmation = record.confirmation(read_study(url, "s").trials, earlier)
    assert confirmation is not None
    return confirmation


@pytest.mark.parametrize("workers", [1, 3])
def test_the_best_two_of_the_first_round_race_on(url, workers):
    fast = {repr(sorted(settings_of(url, trial).items())) for trial in best_trials(url)[1:3]}

    def script(job: Job):
        ahead = repr(sorted(job.params.items())) in fast
        return [0.4 * ahead + 0.02 * (derive_seed(job.seed, job.trial) % 97) / 97]

    engine, record = confirm(url, script, top=4, seeds=5, workers=workers)
    assert scored(url)[:4] == [4, 6, 6, 4]
    assert (len(engine.jobs), record.owed, record.total) == (20, 0, 20)
    first = found(url, record)
    winner = first.winner.values.values()
    assert (first.expected.mean, first.expected.seeds) == (pytest.approx(sum(winner) / 6), 6)
    assert [one.stopped_early for one in first.finalists] == [False, False, True, True]
    assert first.looks == (6,)
    # The same call trains nothing, and fewer finalists end no race.
    again, record = confirm(url, script, top=2, seeds=5)
    assert (again.jobs, found(url, record, first)) == ([], first)
    # What is added after a look alone is fresh.
    _, record = confirm(url, script, top=4, seeds=8)
    second = found(url, record, first)
    assert scored(url)[:4] == [6, 10, 10, 6]
    assert (second.looks, second.expected.seeds) == ((6, 10), 4)


def test_a_race_that_is_cut_short_has_all_seeds_count(url):
    engine, record = confirm(url, top=4, seeds=5, timeout=0)
    assert (engine.jobs, record.owed, record.total) == ([], 20, 20)
    confirm(url, top=4, seeds=3, race=False)
    _, record = confirm(url, top=4, seeds=5, timeout=0)
    cut = found(url, record)
    assert (record.owed, cut.looks, cut.expected.seeds) == (8, (), 3)


def test_a_finalist_that_fails_in_the_first_round_does_not_race_on(url):
    lost = settings_of(url, best_trials(url)[0])

    def script(job: Job):
        if job.params == lost:
            yield Failed(job.trial, "error", "no such layer")
        else:
            yield from noisy(job)

    _, record = confirm(url, script, top=3, seeds=5)
    assert scored(url)[:3] == [0, 5, 5]
    assert len(next(one for one in found(url, record).finalists if one.trial == best_trials(url)[0]).failures) == 4


def test_a_stored_confirmation_is_read_with_its_study(url):
    _, record = confirm(url)
    kept = found(url, record)
    with sole_coordinator(url, "s") as lock:
        finalists = ranked(read_study(url, "s").trials, OBJECTIVE)[:3]
        record = Confirming(url, "s", Wanted(finalists, 3, 1), lock)
        record.keep(kept)
        assert record.store.drain()
    assert read_study(url, "s").confirmation == kept


def test_a_run_whose_worker_died_is_tried_again_and_a_bug_is_not(url):
    bad = best_trials(url)[1]
    bad_settings, tries = settings_of(url, bad), itertools.count()

    def script(job: Job):
        if job.trial == 0 and next(tries) == 0:
            yield Lost(0, "killed", "SIGKILL")
        elif job.params == bad_settings:
            yield Failed(job.trial, "error", "no such layer")
        else:
            yield from noisy(job)

    _, record = confirm(url, script)
    runs = confirming_runs(url, "s")
    assert [one.reason for one in runs if one.confirms == runs[0].confirms] == ["killed", None]
    again = next(one for one in runs if one.attempt)
    assert (again.origin, again.seed, again.confirms) == (0, runs[0].seed, runs[0].confirms)
    assert pairs(url, "failed").count((bad, 1)) == 1
    assert len(next(one for one in found(url, record).finalists if one.trial == bad).failures) == 3
    assert scored(url)[:3] == [3, 0, 3]
    assert confirm(url)[0].jobs == []


def test_a_run_that_ran_out_of_memory_beside_others_trains_alone(url):
    memory = ScarceMemory(lambda job: True)
    engine, _ = confirm(url, memory.script, workers=3, race=False)
    assert len(pairs(url)) == 9
    runs = {one.number: one for one in confirming_runs(url, "s")}
    failed = [one.confirms for one in runs.values() if one.reason == "out_of_memory"]
    alone = [job.trial for job in engine.jobs if job.alone]
    assert 0 < len(failed) == len(alone)
    assert [runs[number].confirms for number in alone] == failed
    assert all(memory.beside[number] == set() for number in alone)


def test_what_the_deadline_cuts_short_is_trained_by_the_next_call(url):
    def endless(job: Job):
        for epoch in itertools.count(1):
            time.sleep(0.01)
            yield 1 - 1 / (epoch + 1)

    _, record = confirm(url, endless, workers=2, timeout=0.3)
    cut = confirming_runs(url, "s")
    assert [(one.state, one.ended_by) for one in cut] == [("pruned", "deadline")] * 2
    assert record.confirmation(read_study(url, "s").trials, None) is None
    engine, _ = confirm(url)
    assert len(engine.jobs) == 9
    assert [job.seed for job in engine.jobs[:2]] == [one.seed for one in cut]


KILLED = """
import sys, time
from studies import *
from test_confirming import confirm, noisy

def slow(job):
    for step in noisy(job):
        time.sleep(0.4)
        yield step

confirm(sys.argv[1], slow, workers=2)
"""


def test_a_killed_confirmation_goes_on_where_it_was(url):
    other = process(f"import sys; sys.argv[1:] = [{url!r}]\n{KILLED}", beside=__file__)
    deadline = time.monotonic() + 180
    while len(pairs(url)) < 3 or "running" not in {one.state for one in confirming_runs(url, "s")}:
        assert other.poll() is None, other.communicate()[1]
        assert time.monotonic() < deadline
        time.sleep(0.02)
    other.send_signal(signal.SIGKILL)
    other.communicate()
    before = [one for one in confirming_runs(url, "s") if one.state == "complete"]
    left = [one for one in confirming_runs(url, "s") if one.state == "running"]
    assert 1 <= len(left) <= 2
    engine, _ = confirm(url, workers=2)
    runs = confirming_runs(url, "s")
    assert [one for one in runs if one in before] == before
    assert len(engine.jobs) == 9 - len(before)
    assert sorted(pairs(url)) == sorted(itertools.product(best_trials(url)[:3], (1, 2, 3)))
    for one in left:
        ended = runs[one.number]
        (again,) = [other for other in runs if other.origin == one.number and other.state == "complete"]
        assert (ended.reason, again.attempt, again.seed, again.confirms) == ("lost", 1, one.seed, one.confirms)


def test_another_coordinator_is_refused(url):
    from hpo.errors import StudyBusy

    with sole_coordinator(url, "s"), pytest.raises(StudyBusy):
        confirm(url)


def test_an_unused_record_leaves_nothing(url):
    record = Confirming(url, "s", Wanted(read_study(url, "s").trials[:1], 2, 1))
    record.discard_if_unused()
    assert optuna.get_all_study_names(url) == ["s"]
    assert record_label(Confirms(12, 3)) == "trial 12 seed 3"


def record_label(confirms: Confirms) -> str:
    return TrialRecord(0, "running", {}, 0, 0, confirms=confirms).label


def test_a_confirmation_whose_store_is_locked_for_a_while_goes_on(url: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(database, "BUSY_SECONDS", 0.1)
    monkeypatch.setattr(writer, "PROMPT_SECONDS", 0.5)
    lock = WriteLock(url)

    def script(job: Job):
        yield 0.1
        if job.trial == 1:
            lock.take()
            threading.Timer(1.0, lock.drop).start()
        yield 0.2

    confirm(url, script, top=2, seeds=2)
    assert pairs(url) == [(finalist, ordinal) for ordinal in (1, 2) for finalist in best_trials(url)[:2]]
    assert len(confirming_runs(url, "s")) == 4
