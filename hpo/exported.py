"""The file of an exported trial: parameters, experiment, scores, versions, data digest. Written, and read again."""

import io
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from ruamel.yaml import YAML

from hpo.errors import FileMistakes, Mistake
from hpo.plan import Plan, plan_of
from hpo.record import TrialRecord
from hpo.store import StudyView
from hpo.yaml_file import read_yaml


@dataclass(frozen=True)
class Exported:
    """What an exported file says: a plan of one configuration, and the scores that it had."""

    plan: Plan
    parameters: Mapping[str, Any]
    seed: int
    epochs: int
    """How many the trial had trained, whether or not it was stopped there."""
    scores: Mapping[str, Any]
    digest: str
    """Of the data that the scores were measured on."""


def as_yaml(view: StudyView, trial: TrialRecord) -> str:
    """A trial as YAML text: parameters, experiment, scores, versions, data digest."""
    scores: dict[str, Any] = {view.objective.metric: trial.value, "best_epoch": trial.best_epoch}
    scores |= {"epochs": trial.epochs, "test": dict(trial.test)}
    content = {
        "study": view.name,
        "trial": trial.number,
        "parameters": dict(trial.params),
        "seed": trial.seed,
        "scores": scores,
        "data": {"name": view.identity["dataset"]["name"], "digest": view.identity["dataset"]["digest"]},
        "versions": dict(view.versions),
        "experiment": dict(view.experiment),
    }
    stream = io.StringIO()
    stream.write(f"# Trial {trial.number} of study {view.name}. Train it again: hpo train THIS_FILE\n")
    yaml = YAML(typ="safe", pure=True)
    yaml.sort_base_mapping_type_on_output = False  # type: ignore[assignment]
    yaml.default_flow_style = False
    yaml.dump(content, stream)
    return stream.getvalue()


def write_yaml(view: StudyView, trial: TrialRecord, path: Path) -> None:
    """Writes `as_yaml` to a file."""
    temporary = path.with_name(f".{path.name}.tmp")
    temporary.write_text(as_yaml(view, trial), encoding="utf-8")
    temporary.replace(path)


def read_exported(path: Path) -> Exported:
    """Reads a file that `write_yaml` wrote.

    Raises:
        NotFound: there is no such file.
        FileMistakes: it is no exported trial, or its experiment has mistakes.
    """

    document = read_yaml(path)
    needed = ("experiment", "parameters", "seed", "scores", "data")
    missing = [key for key in needed if key not in document.data]
    if missing:
        rule = f"is no exported trial: it lacks {', '.join(missing)}; write one with hpo export STUDY --to {path.name}"
        raise FileMistakes([Mistake(str(path), "", rule)])
    data = document.data
    plan = plan_of(data["experiment"], path.absolute().parent)
    mistakes = [
        document.mistake(("parameters", name), complaint)
        for name, complaint in plan.space.complaints(data["parameters"]).items()
        if ":" not in plan.space.model
    ]
    if mistakes:
        raise FileMistakes(mistakes)
    try:
        return Exported(
            plan,
            data["parameters"],
            int(data["seed"]),
            int(data["scores"]["epochs"]),
            data["scores"],
            str(data["data"]["digest"]),
        )
    except (KeyError, TypeError, ValueError) as error:
        raise FileMistakes([Mistake(str(path), "", f"is no exported trial: {error!r} in it")]) from None
