"""Exporting a trial: as a YAML file that can be trained again, and as a Keras model."""

import io
import shutil
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from hpo.compare import read_studies
from hpo.errors import FileMistakes, Mistake, NotFound, UserError
from hpo.record import TrialRecord, ranked
from hpo.retrain import Retrained, retrain

if TYPE_CHECKING:
    from hpo.plan import Plan
    from hpo.study import StudyView


@dataclass(frozen=True)
class Exported:
    """What an exported file says: a plan of one configuration, and the scores that it had."""

    plan: "Plan"
    parameters: Mapping[str, Any]
    seed: int
    scores: Mapping[str, Any]
    digest: str
    """Of the data that the scores were measured on."""


def chosen(view: "StudyView", number: int | None) -> TrialRecord:
    """The trial of that number, or the best.

    Raises:
        NotFound: no such trial, or none with a score.
    """
    if number is None:
        best = next(iter(ranked(view.trials, view.objective)), None)
        if best is None:
            raise NotFound(f"study {view.name} has no trial with a score yet")
        return best
    for trial in view.trials:
        if trial.number == number:
            return trial
    numbers = [trial.number for trial in view.trials]
    there = f"its trials are {min(numbers)} to {max(numbers)}" if numbers else "it has none yet"
    raise NotFound(f"study {view.name} has no trial {number}; {there}")


def as_yaml(view: "StudyView", trial: TrialRecord) -> str:
    """A trial as YAML text: parameters, experiment, scores, versions, data digest."""
    from ruamel.yaml import YAML

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


def write_yaml(view: "StudyView", trial: TrialRecord, path: Path) -> None:
    """Writes `as_yaml` to a file."""
    temporary = path.with_name(f".{path.name}.tmp")
    temporary.write_text(as_yaml(view, trial), encoding="utf-8")
    temporary.replace(path)


def write_model(view: "StudyView", trial: TrialRecord, path: Path) -> Retrained | None:
    """Writes a trial's model to a .keras file, its scaling in front: it takes features as they came.

    The best model of a study was kept and is copied; others are trained again from their seed, and what that
    came to is returned.
    """
    from hpo.plan import plan_of

    if trial.model_file is not None and Path(trial.model_file).is_file():
        temporary = path.with_name(f".{path.name}.tmp")
        shutil.copyfile(trial.model_file, temporary)
        temporary.replace(path)
        return None
    return retrain(plan_of(view.experiment), trial.params, trial.seed, save_to=path)


def read_exported(path: Path) -> Exported:
    """Reads a file that `write_yaml` wrote.

    Raises:
        NotFound: there is no such file.
        FileMistakes: it is no exported trial, or its experiment has mistakes.
    """
    from hpo.plan import plan_of
    from hpo.yaml_file import read_yaml

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
    return Exported(plan, data["parameters"], int(data["seed"]), data["scores"], data["data"]["digest"])


def export(
    study: str,
    number: int | None,
    to: Path | None,
    model: Path | None,
    home: str | Path | None = None,
    storage: str | None = None,
) -> Iterator[str]:
    """Exports a trial, the best one where no number is given; yields a line for each file written.

    Raises:
        UserError: no file is named, one has the wrong suffix, or there is no such study or trial.
    """
    if to is None and model is None:
        raise UserError("nothing to export: name a file, --to best.yaml or --model best.keras")
    for path, suffixes in ((to, (".yaml", ".yml")), (model, (".keras",))):
        if path is not None and path.suffix not in suffixes:
            raise UserError(f"{path}: must end in {' or '.join(suffixes)}")
    (view,) = read_studies([study], home, storage)
    trial = chosen(view, number)
    if trial.value is None:
        raise UserError(f"trial {trial.number} of study {study} has no score: it is {trial.failure or trial.state}")
    if to is not None:
        write_yaml(view, trial, to)
        yield f"{to}: trial {trial.number}, {view.objective.metric} {trial.value:.4f}; train it again: hpo train {to}"
    if model is not None:
        again = write_model(view, trial, model)
        how = f", trained again from its seed to {again.value:.4f}" if again and again.value is not None else ""
        yield f"{model}: the model of trial {trial.number} at its best epoch{how}"
