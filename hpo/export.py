"""Exporting a trial: as a YAML file that can be trained again, and as a Keras model."""

import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING

from hpo.compare import read_studies
from hpo.errors import NotFound, UserError
from hpo.exported import write_yaml
from hpo.record import TrialRecord, ranked
from hpo.retrain import Retrained, retrain

if TYPE_CHECKING:
    from hpo.store import StudyView


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
    return retrain(plan_of(view.experiment), trial.params, trial.seed, trial.epochs, save_to=path)


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
