"""Studies whose store goes away in the midst: locked, full, its sessions cut, its server restarted. Real faults all."""

import contextlib
import itertools
import os
import sys
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import optuna
import pytest
from sqlalchemy import create_engine, text
from studies import WriteLock, process, run

from hpo.errors import StoreAway, StudyBusy
from hpo.storage import batched_storage, database, drafts, writer
from hpo.study.read import read_study
from hpo.training.messages import Job


@pytest.fixture(autouse=True)
def _soon(monkeypatch: pytest.MonkeyPatch) -> None:
    """What is slow shows at once, and epochs are written as they come."""
    monkeypatch.setattr(database, "BUSY_SECONDS", 0.1)
    monkeypatch.setattr(writer, "PROMPT_SECONDS", 0.5)
    monkeypatch.setattr(writer, "WATCH_SECONDS", 0.2)
    monkeypatch.setattr(batched_storage, "WRITE_SECONDS", 0.0)


@pytest.fixture
def url(tmp_path: Path) -> str:
    return f"sqlite:///{tmp_path}/optuna.db"


def broken_at(trial: int, fault: Callable[[], None], mend: Callable[[], None], seconds: float = 1.5):
    """A script whose store is broken in a trial's second epoch and repaired after so long; epochs go on meanwhile."""
    epochs = []

    def script(job: Job) -> Iterator[float]:
        for epoch in range(1, 4):
            if (job.trial, epoch) == (trial, 2):
                fault()
                threading.Timer(seconds, mend).start()
            epochs.append((job.trial, epoch, time.monotonic()))
            yield epoch / 10 + job.trial / 100

    return script, epochs


def rising(job: Any) -> list[float]:
    return [0.1, 0.2, 0.3 + job.trial / 100]


def whole(url: str, trials: int) -> None:
    """Every trial is there once, with all that belongs to it."""
    stored = optuna.load_study(study_name="s", storage=url).trials
    assert [trial.number for trial in stored] == list(range(trials))
    assert {trial.state for trial in stored} == {optuna.trial.TrialState.COMPLETE}
    assert len({str(trial.params) for trial in stored}) == trials
    for trial in stored:
        assert list(trial.intermediate_values) == [1, 2, 3]
        assert trial.user_attrs["hpo:result"]["curves"]["val_accuracy"] == list(trial.intermediate_values.values())
        assert trial.value == trial.intermediate_values[3]


def test_a_locked_store_costs_nothing_and_training_goes_on(url: str, capsys: pytest.CaptureFixture[str]) -> None:
    lock = WriteLock(url)
    script, epochs = broken_at(1, lock.take, lock.drop)
    ran = run(url, script, trials=4, workers=2)
    assert ran.states == ["complete"] * 4
    whole(url, 4)
    # The trials that ran at that time ended while the lock was held.
    began = next(when for trial, epoch, when in epochs if (trial, epoch) == (1, 2))
    assert max(when for trial, epoch, when in epochs if trial in (0, 1)) - began < 1.2
    said = capsys.readouterr().err
    assert said.count("is away: database is locked\nWhat is to be written waits") == 1
    assert said.endswith("is back\n")
    assert read_study(url, "s").trials == ran.trials


def test_a_store_that_stays_locked_ends_the_run_and_the_same_command_goes_on(
    url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    lock = WriteLock(url)
    script, _ = broken_at(1, lock.take, lambda: None)
    monkeypatch.setattr(database, "AWAY_SECONDS", 1.0)
    said = r"^storage sqlite:\S+ has been away for 1 s: database is locked\nwhat was written before is kept; the same"
    with pytest.raises(StoreAway, match=said) as caught:
        run(url, script, trials=3)
    assert caught.value.exit_code == 4
    lock.drop()
    again = run(url, lambda job: [0.1, 0.2, 0.3], trials=3)
    assert again.states == ["complete", "lost", "complete", "complete"]
    assert again.trials[2].params == again.trials[1].params


def test_ctrl_c_works_while_the_store_is_away(url: str, monkeypatch: pytest.MonkeyPatch) -> None:
    running = process(INTERRUPTED.format(url=url))
    out, errors = running.communicate(timeout=60)
    assert running.returncode == 0, errors
    assert "interrupted; finished trials are kept, except those that could not be written to the store" in out


INTERRUPTED = """
import itertools, os, signal, threading, time
from hpo.loop import interrupted
from hpo.storage import database
from hpo.errors import Interrupted
from studies import run
from studies import WriteLock

database.BUSY_SECONDS, interrupted._PARTING = 0.1, 0.5
lock = WriteLock({url!r})

def script(job):
    for epoch in itertools.count(1):
        if epoch == 2:
            lock.take()
            threading.Timer(0.3, os.kill, (os.getpid(), signal.SIGINT)).start()
        time.sleep(0.01)
        yield 0.5

try:
    run({url!r}, script, trials=3)
except Interrupted as error:
    print(error, flush=True)
    lock.drop()
"""


@pytest.fixture
def small_disk(tmp_path: Path) -> Iterator[Path]:
    """A disk of 4 MiB."""
    folder = tmp_path / "disk"
    folder.mkdir()
    if os.getuid() != 0 or os.system(f"mount -t tmpfs -o size=4m none {folder} 2>/dev/null"):
        pytest.skip("only root may mount a small disk, and not everywhere")
    try:
        yield folder
    finally:
        os.system(f"umount -l {folder}")


def test_a_full_disk_costs_nothing_once_there_is_space(small_disk: Path, capsys: pytest.CaptureFixture[str]) -> None:
    filler = small_disk / "filler"

    def fill() -> None:
        with contextlib.suppress(OSError), filler.open("wb", buffering=0) as file:
            while file.write(b"x" * 4096):
                pass

    script, _ = broken_at(1, fill, filler.unlink)
    ran = run(f"sqlite:///{small_disk}/optuna.db", script, trials=4)
    assert ran.states == ["complete"] * 4
    whole(f"sqlite:///{small_disk}/optuna.db", 4)
    assert "is away: database or disk is full" in capsys.readouterr().err


@pytest.mark.parametrize("moment", ["begin", "report", "end"])
def test_a_commit_that_arrived_though_nobody_heard_doubles_nothing(
    url: str, monkeypatch: pytest.MonkeyPatch, moment: str
) -> None:
    """Each kind of write is cut once after it has arrived: what is done again then comes to the same."""
    cuts: list[Any] = []

    def heard_late(write: Callable[..., Any]) -> Callable[..., Any]:
        def cut_once(*args: Any) -> Any:
            found = write(*args)
            ended = len(args) == 3 and bool(args[2])
            if not cuts and moment == ("begin" if write is insert else "end" if ended else "report"):
                cuts.append(args)
                raise database.Away("the answer was lost")
            return found

        return cut_once

    def waiting(job: Job) -> Iterator[float]:
        for value in rising(job):
            yield value
            # On a busy machine the report would be written together with the end.
            until = time.monotonic() + 10
            while moment == "report" and not cuts and time.monotonic() < until:
                time.sleep(0.05)

    insert, write_all = vars(drafts)["insert_trial"], vars(batched_storage)["write_all"]
    monkeypatch.setattr(drafts, "insert_trial", heard_late(insert))
    monkeypatch.setattr(batched_storage, "write_all", heard_late(write_all))
    ran = run(url, waiting, trials=4, sampler="tpe")
    assert len(cuts) == 1
    assert ran.states == ["complete"] * 4
    whole(url, 4)
    clean = run(url.replace("optuna.db", "clean.db"), rising, trials=4, sampler="tpe")
    assert [(trial.params, trial.seed) for trial in ran.trials] == [(one.params, one.seed) for one in clean.trials]


def test_a_store_that_is_locked_at_the_start_is_waited_for(url: str, monkeypatch: pytest.MonkeyPatch) -> None:
    run(url, lambda job: [0.1, 0.2, 0.3], trials=1)
    lock = WriteLock(url)
    lock.take()
    said: list[str] = []

    def drop_once_it_is_said(text: str) -> int:
        if "is away: database is locked" in text and not said:
            lock.drop()
        said.append(text)
        return len(text)

    monkeypatch.setattr(sys.stderr, "write", drop_once_it_is_said)
    assert run(url, rising, trials=2).states == ["complete"] * 2
    whole(url, 2)
    assert "is away: database is locked" in "".join(said)


# PostgreSQL


def cut(url: str, others: str = "true") -> None:
    """Ends sessions of the server, as its administrator would."""
    engine = create_engine(url)
    with engine.connect() as connection:
        ended = f"SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE pid <> pg_backend_pid() AND {others}"
        connection.execute(text(ended))
    engine.dispose()


@pytest.fixture
def server(postgres_server):
    names = optuna.get_all_study_names(postgres_server.url)
    for name in names:
        optuna.delete_study(study_name=name, storage=postgres_server.url)
    return postgres_server


def test_sessions_cut_again_and_again_cost_nothing(server) -> None:
    def script(job: Job) -> Iterator[float]:
        for epoch in range(1, 4):
            cut(server.url, "usename = 'hpo'")
            yield epoch / 10 + job.trial / 100

    assert run(server.url, script, trials=5, workers=2).states == ["complete"] * 5
    whole(server.url, 5)


def test_a_server_that_restarts_costs_nothing(server) -> None:
    script, _ = broken_at(1, server.stop, server.start, seconds=0.5)
    assert run(server.url, script, trials=4, workers=2).states == ["complete"] * 4
    whole(server.url, 4)


# The study's lock, lost in the midst


def test_a_coordinator_whose_lock_another_took_writes_nothing_more(url: str, monkeypatch: pytest.MonkeyPatch) -> None:
    # It would be quicker than the other.
    monkeypatch.setattr(writer, "WATCH_SECONDS", 60.0)
    monkeypatch.setattr(batched_storage, "WRITE_SECONDS", 0.5)
    database_file = Path(url.removeprefix("sqlite:///"))

    def script(job: Job) -> Iterator[float]:
        yield 0.1
        (database_file.parent / "locks" / "optuna.db.s.lock").unlink()
        other = process(TAKEN.format(url=url))
        assert other.stdout.readline() == "held\n"
        others.append(other)
        before.append(database_file.with_name("optuna.db-wal").read_bytes())
        for epoch in itertools.count(2):
            time.sleep(0.01)
            yield epoch / 100

    others: list[Any] = []
    before: list[bytes] = []
    with pytest.raises(StudyBusy, match=r"being run by process \d+ on \S+, which took it .* nothing more is written"):
        run(url, script, trials=3)
    assert database_file.with_name("optuna.db-wal").read_bytes() == before[0]
    others[0].kill()
    others[0].communicate()


TAKEN = """
import time
from hpo.storage.lock import sole_coordinator
with sole_coordinator({url!r}, "s"):
    print("held", flush=True)
    time.sleep(60)
"""


def test_a_coordinator_whose_trials_another_has_ended_stops(server) -> None:
    """The other came and went while this one's lock was lost, and nobody looked."""

    def script(job: Job) -> Iterator[float]:
        yield 0.1
        known = optuna.load_study(study_name="s", storage=server.url)
        known.tell(0, state=optuna.trial.TrialState.FAIL)
        while True:
            time.sleep(0.01)
            yield 0.2

    with pytest.raises(StudyBusy, match="another process has ended a trial that runs here"):
        run(server.url, script, trials=2)
