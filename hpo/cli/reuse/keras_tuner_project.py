"""A KerasTuner project folder, read without KerasTuner: its oracle.json and trial.json files."""

import json
import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from hpo.config.experiment import Objective
from hpo.errors import NotFound, UserError


@dataclass(frozen=True)
class KerasTunerTrial:
    """The content of a trial.json."""

    name: str
    """Its id."""
    status: str
    """COMPLETED, FAILED, INVALID, RUNNING, STOPPED, ..."""
    values: Mapping[str, Any]
    """Hyperparameter -> value."""
    metrics: Mapping[str, Sequence[float]]
    """Metric -> its values, each the mean over the executions at one step."""

    @property
    def epochs(self) -> int | None:
        """The limit of epochs that Hyperband set; None with another oracle."""
        epochs = self.values.get("tuner/epochs")
        return None if epochs is None else int(epochs)

    def best(self, objective: Objective) -> float | None:
        """The best finite value of the objective's metric."""
        finite = [value for value in self.metrics.get(objective.metric, ()) if math.isfinite(value)]
        return max(finite, key=objective.merit, default=None)


def is_project(path: Path) -> bool:
    """Whether a text is the path of a folder, not the name of a study."""
    return path.is_dir() or len(path.parts) > 1


def read_project(folder: Path) -> list[KerasTunerTrial]:
    """The trials of a project, in the order in which they began.

    Raises:
        NotFound: the folder is no project. The message names a project in it.
        UserError: a file in it is broken.
    """
    if not (folder / "oracle.json").is_file():
        below = sorted(path.parent.name for path in folder.glob("*/oracle.json"))
        hint = f"; did you mean {folder / below[0]}?" if below else ""
        raise NotFound(f"{folder}: must be a KerasTuner project, a folder with oracle.json{hint}")
    order = {name: place for place, name in enumerate(_read(folder / "oracle.json").get("start_order", []))}
    trials = [_trial(path) for path in sorted(folder.glob("trial_*/trial.json"))]
    return sorted(trials, key=lambda trial: order.get(trial.name, len(order)))


def _trial(path: Path) -> KerasTunerTrial:
    content = _read(path)
    try:
        metrics = content["metrics"]["metrics"]
        return KerasTunerTrial(
            str(content["trial_id"]),
            str(content["status"]),
            content["hyperparameters"]["values"],
            {
                name: [sum(point["value"]) / len(point["value"]) for point in metric["observations"]]
                for name, metric in metrics.items()
            },
        )
    except (KeyError, TypeError, ZeroDivisionError) as error:
        raise UserError(f"{path}: is no trial of KerasTuner: {error!r} in it") from None


def _read(path: Path) -> dict[str, Any]:
    try:
        content = json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError) as error:
        raise UserError(f"{path}: must be a JSON file: {error}") from None
    if not isinstance(content, dict):
        raise UserError(f"{path}: must be a JSON object, got {type(content).__name__}")
    return content
