"""Signals at every moment of a command: one line, the exit code, no process and no running trial left."""

import json
import os
import signal
import sys
import tempfile
import time
from pathlib import Path

import psutil
import pytest
from processes import start
from studies import process
from tiny import tiny

from hpo.errors import NotFound, UserError
from hpo.study.read import read_study

HEED = """
import signal, sys, time
from hpo.system import signals
signals.heed()
signals._PATIENCE = {patience}
print("heeding", flush=True)
"""


def heeding(code: str, patience: float = 1.0):
    other = process(HEED.format(patience=patience) + code)
    assert other.stdout.readline() == "heeding\n"
    return other


def test_code_that_lets_no_signal_through_is_left_after_a_while():
    other = heeding("""
while True:
    try:
        print("within", flush=True)
        time.sleep(60)
    except BaseException:
        pass
""")
    assert other.stdout.readline() == "within\n"
    other.send_signal(signal.SIGTERM)
    _, errors = other.communicate(timeout=50)
    assert (other.returncode, errors) == (143, "interrupted\n")


def test_a_second_signal_ends_it_at_once():
    other = heeding(
        """
try:
    print("within", flush=True)
    time.sleep(60)
finally:
    print("cleaning up", flush=True)
    time.sleep(1000)
""",
        patience=1000.0,
    )
    assert other.stdout.readline() == "within\n"
    other.send_signal(signal.SIGINT)
    assert other.stdout.readline() == "cleaning up\n"
    other.send_signal(signal.SIGINT)
    _, errors = other.communicate(timeout=60)
    assert (other.returncode, errors) == (130, "interrupted\n")


def test_a_signal_in_a_finalizer_leaves_no_trace_and_is_heeded():
    other = heeding("""
class Slow:
    def __del__(self):
        print("finalizing", flush=True)
        time.sleep(0.5)
Slow()
time.sleep(60)
""")
    assert other.stdout.readline() == "finalizing\n"
    other.send_signal(signal.SIGHUP)
    _, errors = other.communicate(timeout=50)
    assert (other.returncode, errors) == (129, "interrupted\n")


def test_signals_that_a_process_was_started_to_ignore_stay_ignored():
    code = (
        HEED.format(patience=4.0)
        + "print(signal.getsignal(1) is signal.SIG_IGN, signal.getsignal(2) is signal.SIG_IGN)"
    )
    other = start(["sh", "-c", "trap '' HUP INT; exec \"$@\"", "sh", sys.executable, "-c", code], stdout=-1, text=True)
    assert other.communicate(timeout=30)[0] == "heeding\nTrue True\n"


# What a user's function finds itself in: the moment of the test is when the mark is there.
USER = """
import os, pathlib, time
import numpy as np

def mark():
    pathlib.Path("mark").touch()
    time.sleep(60)

def data():
    if os.environ["MOMENT"] == "preparation":
        mark()
    if os.environ["MOMENT"] == "end":
        from hpo.tracking.tracker import Tracker
        Tracker.close = lambda *given: mark()
    x = np.arange(90.0).reshape(30, 3)
    return {"train": (x, np.arange(30) % 2)}

def build(params, dataset):
    # It is built once before the first trial.
    tried = pathlib.Path("tried")
    if os.environ["MOMENT"] == "training" and tried.exists():
        mark()
    tried.touch()
    raise SystemExit("not today")
"""


@pytest.mark.parametrize(
    ("moment", "number", "everyone"),
    [
        ("preparation", signal.SIGINT, True),
        ("preparation", signal.SIGKILL, False),
        ("training", signal.SIGTERM, False),
        ("training", signal.SIGHUP, True),
        ("end", signal.SIGTERM, True),
    ],
)
def test_a_signal_at_any_moment(moment, number, everyone, tmp_path, monkeypatch):
    # Of a short path: sockets are named in it.
    temporary = Path(tempfile.mkdtemp(prefix="s-"))
    (tmp_path / "user.py").write_text(USER)
    experiment = tiny(
        dataset={"function": "user:data"}, study={"trials": 2}, engine={"workers": 1},
        search_space={"model": "user:build", "parameters": {"width": {"type": "int", "low": 1, "high": 9}}},
    )  # fmt: skip
    (tmp_path / "e.yaml").write_text(json.dumps(experiment))
    environment = {**os.environ, "MOMENT": moment, "TMPDIR": str(temporary)}
    other = start(
        [sys.executable, "-m", "hpo", "run", "e.yaml"], cwd=tmp_path, env=environment, stdout=-1, stderr=-1, text=True
    )
    end = time.monotonic() + 120
    while not (tmp_path / "mark").exists():
        assert other.poll() is None, other.communicate()
        assert time.monotonic() < end
        time.sleep(0.02)
    (os.killpg if everyone else os.kill)(other.pid, number)
    # The forkserver may stay as long as the coordinator, whose tracker has a few seconds more.
    wait_for_the_end(other.pid, workers_alone=number is not signal.SIGKILL)
    _, errors = other.communicate(timeout=30)
    wait_for_the_end(other.pid, workers_alone=False)
    if number is signal.SIGKILL:
        assert other.returncode == -signal.SIGKILL
        return
    assert other.returncode == 128 + number, errors
    assert errors.startswith("interrupted")
    assert len(errors.splitlines()) == 1
    assert list(temporary.iterdir()) == []
    states = {"preparation": [], "training": ["interrupted"], "end": ["error", "error"]}[moment]
    assert trials(tmp_path) == states


def wait_for_the_end(leader: int, workers_alone: bool) -> None:
    """What a test starts would go on for a minute."""
    began = time.monotonic()
    while left := living(leader, workers_alone):
        assert time.monotonic() - began < 20, left
        time.sleep(0.05)


def living(leader: int, workers_alone: bool) -> list[psutil.Process]:
    """The processes that a leader's session still has; its workers are children of its children."""
    found = []
    for one in psutil.process_iter():
        try:
            if os.getsid(one.pid) == leader and one.status() != psutil.STATUS_ZOMBIE:
                found += [] if workers_alone and leader in (one.pid, one.ppid()) else [one]
        except (OSError, psutil.NoSuchProcess):
            continue
    return found


def trials(folder: Path) -> list[str]:
    try:
        return [one.outcome for one in read_study(f"sqlite:///{folder}/mlruns/optuna.db", "tiny").trials]
    except (NotFound, UserError):
        return []
