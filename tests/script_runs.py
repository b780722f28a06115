"""What tests of exported scripts share: how one is run, and compared with the trial that it is of."""

import ast
from dataclasses import replace
from pathlib import Path
from typing import Any

import keras
import pytest
from formatting import formatted

from hpo.data import load, save
from hpo.export.script import script_of
from hpo.loop.jobs import make_job
from hpo.plan.exported_file import Exported
from hpo.training.messages import EpochDone, Finished
from hpo.training.trial import train


class Line:
    """Keeps what a trial tells."""

    def __init__(self) -> None:
        self.events: list[Any] = []

    def emit(self, event: Any) -> None:
        self.events.append(event)

    def stop_reason(self) -> None:
        return None

    verdict = stop_reason


def executed(text: str) -> dict[str, Any]:
    """The names of a script, of which `main` has not been called."""
    names: dict[str, Any] = {"__name__": "script"}
    exec(compile(text, "best.py", "exec"), names)
    return names


def losses_of_both(file: Exported, folder: Path, capsys: pytest.CaptureFixture[str]) -> list[float]:
    """The validation losses of a trial, epoch by epoch; checks that its script has as many and the same test scores.

    Each epoch must be one batch, whose order says nothing.
    """
    dataset = load(file.plan.experiment.dataset, file.plan.folders)
    save(dataset, folder / "data")
    line = Line()
    train(make_job(file.plan, file.parameters, file.seed, lambda _: folder / "data"), line)
    assert isinstance(line.events[-1], Finished), line.events[-1]
    losses = [event.metrics["val_loss"] for event in line.events if isinstance(event, EpochDone)]

    text = script_of(replace(file, scores={**file.scores, "val_loss": min(losses)}))
    formatted(text, folder)
    keras.utils.clear_session()
    capsys.readouterr()
    executed(text)["main"]()
    told = capsys.readouterr().out.splitlines()
    assert sum(one.startswith("Epoch ") for one in told) == len(losses)
    test = ast.literal_eval(told[-1].partition("on the test part: ")[2])
    assert test == pytest.approx(dict(line.events[-1].test), rel=2e-3)
    return losses
