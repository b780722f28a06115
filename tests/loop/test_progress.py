"""What the user sees while a run only waits for its logging."""

import io
import re
from dataclasses import replace

import pytest
from rich.console import Console

from hpo.config.experiment import Objective
from hpo.loop.progress import Progress
from hpo.study.record import TrialRecord
from hpo.text.console import SafeConsole, is_live
from hpo.text.console import console as console_of


def shown(terminal: bool) -> str:
    console = Console(file=io.StringIO(), force_terminal=terminal, width=80)
    with Progress(console, Objective(metric="val_accuracy"), 5, None).logging() as left:
        for runs in (312, 12, 1):
            left(runs)
    assert isinstance(console.file, io.StringIO)
    return console.file.getvalue()


def test_in_a_pipe_one_line() -> None:
    assert shown(terminal=False) == "logging 312 runs\n"


def test_on_a_terminal_in_place() -> None:
    text = shown(terminal=True)
    assert "logging 1 run\n" in text
    assert text.endswith("\x1b[2K"), "and gone with the waiting"


def test_no_message_if_no_runs_are_left_to_log() -> None:
    console = Console(file=io.StringIO(), force_terminal=True)
    with Progress(console, Objective(metric="val_accuracy"), 5, None).logging():
        pass
    assert isinstance(console.file, io.StringIO)
    assert "logging" not in console.file.getvalue()


@pytest.mark.parametrize("width", [70, 80, 200])
def test_a_trial_is_a_line_that_fits_the_window(width: int) -> None:
    console = SafeConsole(file=io.StringIO(), force_terminal=True, width=width, color_system=None)
    params = {f"parameter_{number}": 0.1234 * number for number in range(16)}
    trial = TrialRecord(
        number=3, state="complete", params=params, seed=0, origin=3, value=0.5, best_epoch=1, curves={"loss": [1.0]}
    )
    progress = Progress(console, Objective(metric="val_loss"), 12, 600)
    progress.trial_ended(trial, trial)
    assert isinstance(console.file, io.StringIO)
    (line,) = console.file.getvalue().splitlines()
    assert len(line) <= width
    assert line.startswith("[1/12] trial 3   complete val_loss 0.5000 at epoch 1 of 1")
    assert "  best" in line
    assert all(re.fullmatch(r"parameter_\d+=[\d.]+", word) for word in line.split() if "=" in word)


def test_trials_that_pause_are_shown_and_why_others_train() -> None:
    console = SafeConsole(file=io.StringIO(), force_terminal=True, width=100, color_system=None)
    progress = Progress(console, Objective(metric="val_loss", direction="minimize"), 12, None)
    trial = TrialRecord(3, "running", {"width": 8}, 0, 3, curves={"val_loss": [0.5, 0.25]}, why="among best at 2")
    for one in (trial, replace(trial, number=4, origin=4)):
        progress.trial_started(one)
        progress.trial_paused(one, "its checkpoint cannot be written: disk full" if one.number == 4 else None)
    progress.trial_started(trial)
    console.print(progress._render())
    assert isinstance(console.file, io.StringIO)
    first, _, warning, summary, row = (line.rstrip() for line in console.file.getvalue().splitlines())
    assert first == "[0/12] trial 3   paused   val_loss 0.2500 after epoch 2  width=8"
    assert warning == "warning: trial 4 begins again if it goes on: its checkpoint cannot be written: disk full"
    assert "0/12 trials, 1 paused, about" in summary
    assert row == "  trial 3    epoch   0  training  among best at 2  width=8"


def test_no_estimate_before_the_first_trial() -> None:
    console = SafeConsole(file=io.StringIO(), force_terminal=True, width=80, color_system=None)
    with Progress(console, Objective(metric="val_loss"), 12, 600).shown([]):
        pass
    assert isinstance(console.file, io.StringIO)
    assert "Starting workers..." in console.file.getvalue()
    assert "left" not in console.file.getvalue()


def test_colours_in_a_file_where_they_are_forced_and_nothing_that_moves(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("NO_COLOR", raising=False)
    monkeypatch.setenv("FORCE_COLOR", "1")
    monkeypatch.setattr("sys.stdout", io.StringIO())
    assert (console_of().color_system, is_live(console_of())) == ("standard", False)
    monkeypatch.setenv("NO_COLOR", "1")
    assert console_of().color_system is None
