"""What the user sees while a run only waits for its logging."""

import io

from rich.console import Console

from hpo.experiment import Objective
from hpo.progress import Progress


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


def test_where_nothing_is_left_nothing_is_said() -> None:
    console = Console(file=io.StringIO(), force_terminal=True)
    with Progress(console, Objective(metric="val_accuracy"), 5, None).logging():
        pass
    assert isinstance(console.file, io.StringIO)
    assert "logging" not in console.file.getvalue()
