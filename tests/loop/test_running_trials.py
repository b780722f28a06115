"""Seeds of a finalist that one worker is given together: their limits, the death of their worker, what goes again."""

import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import replace
from pathlib import Path

import pytest
from studies import INFO, OBJECTIVE, Log, NoData, flat, planned, run

from hpo.confirm.confirming import Confirming
from hpo.confirm.owed_runs import Wanted
from hpo.engines.scripted import ScriptedEngine
from hpo.loop.budget import Budget
from hpo.loop.driving import drive
from hpo.loop.jobs import Prepared
from hpo.storage.lock import sole_coordinator
from hpo.study.read import confirming_runs, read_study
from hpo.study.record import ranked
from hpo.training.messages import EpochDone, Event, Failed, Finished, Job, Lost, Several, Started

SEEDS = 4
LIMIT = 0.7


class OneWorker(ScriptedEngine):
    """Has a script for jobs that come together; alone each trains one epoch."""

    def __init__(self, script: Callable[[Sequence[int]], Iterator[Event]]) -> None:
        super().__init__(flat)
        self._of_group = script
        self._group: Iterator[Event] = iter(())

    def submit(self, job: Job) -> None:
        if job.beside:
            self.jobs.append(job)
            self._group = self._of_group([job.trial, *(one.trial for one in job.beside)])
        else:
            super().submit(job)

    def events(self, timeout: float) -> Sequence[Event]:
        event = next(self._group, None)
        return super().events(timeout) if event is None else [event]

    def proceed(self, trial: int) -> None:
        if trial in self._trials:
            super().proceed(trial)

    def stop(self, trial: int, reason: str) -> None:
        """Goes unheard."""

    def kill(self, trial: int) -> None:
        self._group = iter(())
        super().kill(trial)


@pytest.fixture
def url(tmp_path: Path) -> str:
    url = f"sqlite:///{tmp_path}/optuna.db"
    run(url, flat, trials=1)
    return url


def confirm(url: str, script: Callable[[Sequence[int]], Iterator[Event]], seconds: float | None = None) -> list[int]:
    """Confirms with a limit for each run, and without retries; returns how many seeds came with each job."""
    best = ranked(read_study(url, "s").trials, OBJECTIVE)
    engine = OneWorker(script)
    with sole_coordinator(url, "s") as lock:
        record = Confirming(url, "s", Wanted(best, SEEDS, 0), lock)
        record.recover()
        budget = Budget(None, seconds and time.monotonic() + seconds, None, LIMIT)
        ready = Prepared(planned(url), engine, INFO, NoData())
        drive(record, ready, budget, (Log([], []),), beside=lambda one: record.beside(one, 1))
    return [1 + len(job.beside) for job in engine.jobs]


def ends(url: str) -> list[str]:
    return [one.reason or one.state for one in confirming_runs(url, "s")]


def begin(trials: Sequence[int]) -> Several:
    return Several(trials[0], tuple(Started(one, 1, 1) for one in trials))


def epoch(trials: Sequence[int], number: int, last: bool = False) -> Several:
    done = EpochDone(trials[0], number, {"val_accuracy": 0.5}, last, "epochs" if last else None)
    return Several(trials[0], tuple(replace(done, trial=one) for one in trials))


def waited(seconds: float, trials: Sequence[int]) -> Iterator[Event]:
    """Nothing is heard for a while, but for a trial that is none of them."""
    until = time.monotonic() + seconds
    while time.monotonic() < until:
        time.sleep(0.05)
        yield Lost(max(trials) + 1000, "lost", "")


def test_a_limit_is_for_the_share_that_each_has_of_the_time(url: str) -> None:
    def one_program(trials: Sequence[int]) -> Iterator[Event]:
        yield begin(trials)
        yield from waited(1.5 * LIMIT, trials)
        yield epoch(trials, 1, last=True)
        yield Several(trials[0], tuple(Finished(one, "epochs", 1) for one in trials))
        yield Finished(trials[0], "epochs", None)

    assert confirm(url, one_program) == [SEEDS]
    assert ends(url) == SEEDS * ["complete"]


def test_one_that_takes_too_long_fails_and_those_that_waited_for_it_train_alone(url: str) -> None:
    def in_turn(trials: Sequence[int]) -> Iterator[Event]:
        first, *_ = trials
        yield begin([first])
        yield epoch([first], 1)
        yield from waited(10 * LIMIT, trials)

    assert confirm(url, in_turn) == [SEEDS, *(SEEDS - 1) * [1]]
    assert ends(url) == ["timeout", *(SEEDS - 1) * ["lost"], *(SEEDS - 1) * ["complete"]]


def test_those_whose_worker_died_train_alone_without_a_retry(url: str) -> None:
    def dying(trials: Sequence[int]) -> Iterator[Event]:
        yield begin(trials)
        yield Lost(trials[0], "killed", "by SIGKILL", "Its last output")

    assert confirm(url, dying) == [SEEDS, *SEEDS * [1]]
    assert ends(url) == [*SEEDS * ["lost"], *SEEDS * ["complete"]]
    failure = confirming_runs(url, "s")[1].failure
    assert failure is not None
    assert (failure.message, failure.traceback) == ("killed, beside other seeds: by SIGKILL", "Its last output")


def test_those_that_never_began_before_the_deadline_go_together_again(url: str) -> None:
    def stopped(trials: Sequence[int]) -> Iterator[Event]:
        yield from waited(0.3, trials)
        never = "handed out, and never begun"
        yield Several(trials[0], tuple(Failed(one, "interrupted", never) for one in trials))
        yield Finished(trials[0], "epochs", None)

    assert confirm(url, stopped, seconds=0.2) == [SEEDS]
    assert ends(url) == SEEDS * ["interrupted"]
    assert confirm(url, stopped, seconds=0.2) == [SEEDS]
