"""Worker processes: how they start, die, are replaced, and leave with their coordinator."""

import json
import os
import pickle
import signal
import subprocess
import sys
import time
from dataclasses import replace

import psutil
import pytest
from processes import start

from hpo.engines import local
from hpo.engines.local import LocalEngine
from hpo.errors import HpoError
from hpo.training.messages import EpochDone, Event, Finished, Lost, Started


@pytest.fixture(scope="module")
def engine(tmp_path_factory):
    engine = LocalEngine(workers=1, threads_per_worker=1, log=tmp_path_factory.mktemp("log") / "workers.log")
    yield engine
    engine.close()


def test_a_killed_worker_is_noticed_and_the_engine_goes_on(engine, job_of, await_event, drive):
    engine.submit(job_of(1, "slow", epochs=9))
    pid = await_event(engine, Started)[-1].pid
    os.kill(pid, signal.SIGKILL)
    (lost,) = await_event(engine, Lost, seconds=2.0)
    assert (lost.trial, lost.reason) == (1, "killed")
    assert lost.message == "the worker's process was killed (SIGKILL)"
    assert lost.printed.startswith("Its last output:\n")
    assert "hello from the slow model" in lost.printed
    engine.submit(job_of(2))
    started, *_, finished = drive(engine)
    assert isinstance(finished, Finished)
    assert started.pid != pid


def test_a_trial_finds_its_worker_as_the_first_one_did(engine, job_of, iris, drive):
    engine.discover("engine_models:counted", iris, job_of(1).import_paths)
    for trial in (40, 41):
        engine.submit(job_of(trial, "counted", epochs=1))
        assert isinstance(drive(engine)[-1], Finished)


def test_a_worker_that_dies_idle_is_replaced_before_the_next_job(engine, job_of, drive):
    (pid,) = engine.pids()
    os.kill(pid, signal.SIGKILL)
    while psutil.pid_exists(pid):
        time.sleep(0.05)
    time.sleep(0.5)  # the forkserver tells its death a moment after
    engine.submit(job_of(3))
    assert isinstance(drive(engine)[-1], Finished)


def at_end(engine, job_of, await_event, trial, **more):
    """Submits a job and waits until its worker takes the next."""
    engine.submit(job_of(trial, epochs=1, **more))
    assert await_event(engine, EpochDone)[-1].last


def test_a_worker_takes_its_next_job_before_it_is_done_with_the_last(engine, job_of, await_event, drive):
    at_end(engine, job_of, await_event, 20)
    engine.submit(job_of(21))
    assert drive(engine)[-1].trial == 20
    assert drive(engine)[-1].trial == 21


def test_a_job_that_waits_for_its_worker_can_be_stopped_and_killed(engine, job_of, await_event, drive):
    at_end(engine, job_of, await_event, 22)
    engine.submit(job_of(23))
    engine.stop(23, "deadline")
    assert await_event(engine, Finished) == [Finished(23, "deadline", None)]
    engine.submit(job_of(24))
    engine.kill(24)
    assert drive(engine)[-1].trial == 22
    assert engine.events(timeout=0.5) == []


def test_a_job_that_waits_for_a_worker_that_dies_goes_to_the_next_one(engine, job_of, await_event, drive):
    at_end(engine, job_of, await_event, 25)
    engine.submit(job_of(26))
    os.kill(engine.pids()[0], signal.SIGKILL)
    ended = [drive(engine)[-1], drive(engine)[-1]]
    assert [event.trial for event in ended] == [25, 26]
    assert isinstance(ended[1], Finished)


def test_a_worker_that_exits_is_reported_with_the_last_lines_it_printed(engine, job_of, drive):
    engine.submit(job_of(4, "exits"))
    (lost,) = drive(engine)
    assert (lost.reason, lost.message) == ("crashed", "the worker's process left with exit code 3")
    assert lost.printed.splitlines()[1:] == [f"line {number}" for number in range(5, 20)]


def test_the_last_words_of_a_worker_count_although_it_has_died_meanwhile(engine, job_of, await_event, drive):
    engine.submit(job_of(27, "exits_once_finished", epochs=1))
    (pid,) = engine.pids()
    assert await_event(engine, EpochDone)[-1].last
    engine.submit(job_of(28))
    while psutil.pid_exists(pid):
        time.sleep(0.05)
    time.sleep(0.5)  # the forkserver tells its death a moment after
    for trial in (27, 28):
        event = drive(engine)[-1]
        assert isinstance(event, Finished)
        assert event.trial == trial


def test_one_worker_dies_and_the_other_trains_on(job_of, drive, tmp_path):
    engine = LocalEngine(workers=2, threads_per_worker=1, log=tmp_path / "workers.log")
    engine.submit(job_of(1))
    engine.submit(job_of(2, "exits"))
    ends: dict[int, Event] = {}
    while len(ends) < 2:
        ends |= {event.trial: event for event in drive(engine) if isinstance(event, Finished | Lost)}
    engine.close()
    assert isinstance(ends[1], Finished)
    assert isinstance(ends[2], Lost)
    # Each worker has a log of its own.
    assert "hello" not in ends[2].printed


def test_a_job_that_is_alone_has_the_memory_of_all_workers(job_of, drive, tmp_path):
    engine = LocalEngine(workers=2, threads_per_worker=1, log=tmp_path / "workers.log")
    two = engine.pids()
    engine.submit(replace(job_of(1), alone=True))
    started, *_, finished = drive(engine)
    assert isinstance(finished, Finished)
    assert engine.pids() == [started.pid]
    assert not any(map(psutil.pid_exists, two))
    engine.submit(job_of(2))
    assert isinstance(drive(engine)[-1], Finished)
    assert len(engine.pids()) == 2
    engine.close()


def test_a_segmentation_fault_is_reported_with_its_place(engine, job_of, drive):
    engine.submit(job_of(5, "segfaults"))
    (lost,) = drive(engine)
    assert lost.reason == "crashed"
    assert lost.message == "the worker's process was ended by SIGSEGV"
    assert "Fatal Python error: Segmentation fault" in lost.printed
    assert "in string_at" in lost.printed
    assert "engine_models.py" in lost.printed


def test_a_worker_that_dies_while_it_explores_a_model(engine, job_of, iris, drive):
    with pytest.raises(
        HpoError, match=r"(?s)^engine_models:exits_tuned: while the model was explored, .* code 3.*line 19$"
    ):
        engine.discover("engine_models:exits_tuned", iris, job_of(0).import_paths)
    engine.submit(job_of(6))
    assert isinstance(drive(engine)[-1], Finished)


def test_a_model_that_takes_too_long_to_build_is_left_to_its_trial(engine, job_of, drive):
    with pytest.raises(HpoError, match=r"engine_models:hangs: was not built within 0\.5 s"):
        engine.examine([job_of(0, "hangs")], 0.5)
    engine.submit(job_of(6))
    assert isinstance(drive(engine)[-1], Finished)


def test_a_new_worker_is_ready_within_seconds(engine, job_of, await_event, drive):
    engine.submit(job_of(7, "slow"))
    await_event(engine, Started)
    engine.kill(7)
    engine.submit(job_of(8, epochs=1))
    worker = psutil.Process(await_event(engine, Started)[-1].pid)
    took, imports = (one.cpu_times().user + one.cpu_times().system for one in (worker, worker.parent()))
    drive(engine)
    # It has built its first model in less time than its server, of which it is a fork, took to import TensorFlow.
    assert took < imports


def test_a_worker_has_as_many_compute_threads_as_it_was_given(engine, job_of, drive):
    engine.submit(job_of(9, "as_wide_as_threads", epochs=1))
    # One unit for each intra-op thread, one for each inter-op thread, and three outputs with a bias.
    assert drive(engine)[0].model_parameters == 4 + 1 + 6


def test_a_worn_worker_is_replaced_between_two_trials(engine, job_of, drive, monkeypatch):
    monkeypatch.setattr(local, "_GROWTH", 0)
    pids = []
    for trial in (10, 11):
        engine.submit(job_of(trial, epochs=1))
        pids.append(drive(engine)[0].pid)
        engine.events(timeout=0.5)  # the worker says how large it is
    assert pids[0] != pids[1]


def test_workers_that_cannot_start_end_the_run(drive, tmp_path):
    engine = LocalEngine(workers=1, threads_per_worker=1, log=tmp_path / "no such folder" / "workers.log")
    assert engine.pids()  # asked for, the worker is started
    with pytest.raises(HpoError, match="workers die as they start: the worker's process left with exit code 1"):
        drive(engine)
    engine.close()


SCRIPT = """
import json, multiprocessing.forkserver, pickle, signal, sys
from pathlib import Path

signal.signal(signal.SIGINT, lambda *_: None)
with open("runs.txt", "a") as file:
    file.write("once\\n")

from hpo.engines.local import LocalEngine
from hpo.training.messages import EpochDone, Finished

def train(trial):
    engine.submit(pickle.loads(Path(f"{trial}.pickle").read_bytes()))
    found = []
    while not any(isinstance(event, Finished) for event in found):
        for event in engine.events(timeout=5):
            found.append(event)
            if isinstance(event, EpochDone):
                engine.proceed(event.trial)
    return found[0].pid

engine = LocalEngine(workers=2, threads_per_worker=1, log=Path("workers.log"))
forkserver = multiprocessing.forkserver._forkserver._forkserver_pid
print(json.dumps([forkserver, train(1), *engine.pids()]), flush=True)
sys.stdin.readline()
print(json.dumps([forkserver, train(2), *engine.pids()]), flush=True)
engine.submit(pickle.loads(Path("3.pickle").read_bytes()))
sys.stdin.readline()
"""


@pytest.fixture
def coordinator(job_of, tmp_path):
    """A script without `if __name__ == "__main__"` that runs an engine, in a process group of its own."""
    for trial, model in ((1, "quick"), (2, "quick"), (3, "slow")):
        (tmp_path / f"{trial}.pickle").write_bytes(pickle.dumps(job_of(trial, model, epochs=1)))
    (tmp_path / "script.py").write_text(SCRIPT)
    environment = {name: value for name, value in os.environ.items() if name != "TF_CPP_MIN_LOG_LEVEL"}
    stderr = (tmp_path / "stderr.txt").open("w")
    process = start(
        [sys.executable, "script.py"],
        cwd=tmp_path, env=environment, text=True,
        stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=stderr,
    )  # fmt: skip
    yield process
    process.kill()
    process.wait()
    process.stdin.close()
    process.stdout.close()
    stderr.close()


def test_workers_heed_no_ctrl_c_keep_silent_and_leave_with_a_killed_coordinator(coordinator, tmp_path):
    forkserver, trainer, *workers = pids = json.loads(coordinator.stdout.readline())
    assert trainer in workers
    os.killpg(coordinator.pid, signal.SIGINT)
    time.sleep(0.3)
    coordinator.stdin.write("\n")
    coordinator.stdin.flush()
    assert json.loads(coordinator.stdout.readline()) == pids

    os.kill(coordinator.pid, signal.SIGKILL)
    assert coordinator.stdout.read() == ""
    processes = [psutil.Process(pid) for pid in {forkserver, *workers} if psutil.pid_exists(pid)]
    _, alive = psutil.wait_procs(processes, timeout=5)
    assert [process for process in alive if process.status() != psutil.STATUS_ZOMBIE] == []

    assert (tmp_path / "runs.txt").read_text() == "once\n"
    assert (tmp_path / "stderr.txt").read_text() == ""
    assert "hello from the model" in "".join(path.read_text() for path in tmp_path.glob("workers-*.log"))
