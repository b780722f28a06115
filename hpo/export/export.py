"""Exporting a trial: as a file that can be trained again, a Keras model or script, a version in the model registry."""

import shutil
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from hpo.compare.compare import read_studies
from hpo.errors import NotFound, UserError
from hpo.export.retrain import Retrained, require_model, retrain
from hpo.plan.exported_file import exported_of, write_exported
from hpo.statistics.decision import with_interval
from hpo.study.record import TrialRecord, best_trial
from hpo.system.scratch import scratch_folder
from hpo.system.whole_files import check_writable, replaced
from hpo.text.values import count, score

if TYPE_CHECKING:
    from hpo.study.read import StudyView

_FILES, _MODELS = (".yaml", ".yml", ".json", ".py"), (".keras",)


@dataclass(frozen=True)
class Targets:
    """What a trial is exported to."""

    to: Path | None = None
    """A file: .yaml or .json, which hpo train takes, or .py, a Keras script."""
    model: Path | None = None
    """A Keras file (.keras)."""
    register: str | None = None
    """A name in MLflow's model registry."""


@dataclass(frozen=True)
class Which:
    """Which trial is exported."""

    trial: int | None = None
    """A trial's number."""
    confirmed: bool | None = None
    """The confirmed choice, or the best single trial; None: the confirmed choice once there is one."""


def chosen(view: "StudyView", number: int | None) -> TrialRecord:
    """The trial of that number, or the best.

    Raises:
        NotFound: no such trial, or none with a score.
    """
    if number is None:
        best = best_trial(view.trials, view.objective)
        if best is None:
            raise NotFound(f"study {view.name} has no trial with a score yet")
        return best
    return view.trial(number)


def choose(view: "StudyView", which: Which) -> tuple[TrialRecord, str]:
    """The trial to export, and why it is that one.

    Raises:
        NotFound: no such trial, or none with a score.
        UserError: a trial without a score, or a confirmed one is wanted and nothing was confirmed.
    """
    confirmation = view.confirmation
    if which.confirmed and which.trial is not None:
        raise UserError("--trial and --confirmed exclude each other")
    if which.confirmed and confirmation is None:
        raise UserError(f"study {view.name} was not confirmed: hpo confirm {view.name}, or leave out --confirmed")
    if confirmation is not None and which.trial is None and which.confirmed is not False:
        winner = confirmation.winner
        expected = confirmation.estimate
        scored = "" if expected is None else f": {confirmation.metric} {with_interval(expected)}"
        return chosen(view, winner.trial), f"trial {winner.trial}, the confirmed choice{scored}"
    trial = chosen(view, which.trial)
    if trial.value is None:
        raise UserError(f"trial {trial.number} of study {view.name} has no score: it is {trial.outcome}")
    scored = f"{view.objective.metric} {score(trial.value)}"
    if which.trial is not None:
        return trial, f"trial {trial.number}, as asked for: {scored}"
    why = f"trial {trial.number}, the best single run of {count(len(view.trials))}: {scored}"
    if confirmation is not None:
        return trial, f"{why}; the confirmed choice is trial {confirmation.chosen}"
    return trial, f"{why}; hpo confirm {view.name} says how much of that is luck"


def write_model(view: "StudyView", trial: TrialRecord, path: Path) -> Retrained | None:
    """Writes a trial's model to a .keras file, its scaling in front: it takes features as they came.

    The best model of a study was kept and is copied; others are trained again from their seed, and what that
    came to is returned. A trial that was stopped and then confirmed is trained in full, as it was confirmed.

    Raises:
        HpoError: it cannot be saved; says why.
    """
    exported = exported_of(view, trial)
    as_kept = exported.limit == exported.stopped_after
    if trial.model_file is not None and Path(trial.model_file).is_file() and as_kept:
        with replaced(path) as temporary:
            shutil.copyfile(trial.model_file, temporary)
        return None
    with replaced(path) as temporary:
        again = retrain(exported.plan, trial.params, trial.seed, exported.limit, save_to=temporary)
        require_model(again, path)
        return again


def export(
    study: str,
    targets: Targets,
    which: Which = Which(),
    home: str | Path | None = None,
    storage: str | None = None,
    tracking_uri: str | None = None,
) -> Iterator[str]:
    """Exports a trial; yields a line that says which and why, then one for each thing made.

    Raises:
        UserError: nothing is named, a file has the wrong suffix or no folder, or there is no such study or trial.
    """
    if targets == Targets():
        raise UserError(
            "nothing to export: name --to best.yaml, best.json or best.py, --model best.keras or --register NAME"
        )
    for path, suffixes in ((targets.to, _FILES), (targets.model, _MODELS)):
        if path is not None:
            if path.suffix not in suffixes:
                raise UserError(f"{path}: must end in {' or '.join(suffixes)}")
            check_writable(path)
    (view,) = read_studies([study], home, storage)
    trial, why = choose(view, which)
    yield why
    yield from (f"trial {trial.number}, {remark}" for remark in trial.remarks)
    if targets.to is not None:
        yield _write_file(view, trial, targets.to)
    if targets.model is not None:
        yield f"{targets.model}: the model {_written(view, trial, targets.model)}"
    if targets.register is not None:
        yield from _register(view, trial, why, targets, (home, tracking_uri))


def _write_file(view: "StudyView", trial: TrialRecord, path: Path) -> str:
    if path.suffix != ".py":
        write_exported(view, trial, path)
        return f"{path}: train it again: hpo train {path}"
    from hpo.export.script import script_of

    text = script_of(exported_of(view, trial))
    with replaced(path) as temporary:
        temporary.write_text(text, encoding="utf-8")
    return f"{path}: trains it without hpo: python {path}"


def _written(view: "StudyView", trial: TrialRecord, path: Path) -> str:
    again = write_model(view, trial, path)
    how = f", trained again from its seed to {score(again.value)}" if again and again.value is not None else ""
    note = f"; it {again.model_note}" if again and again.model_note else ""
    return f"of trial {trial.number} at its best epoch{how}{note}"


def _register(
    view: "StudyView", trial: TrialRecord, why: str, targets: Targets, where: tuple[str | Path | None, str | None]
) -> Iterator[str]:
    """Registers the model, the one just written where there is one."""
    from hpo.export.registration import register

    with scratch_folder() as folder:
        if targets.model is None:
            model, how = folder / "model.keras", _written(view, trial, folder / "model.keras")
        else:
            model, how = targets.model, ""
        version = register(view, trial, why, model, str(targets.register), *where)
    yield f"models:/{targets.register}@champion: version {version}{', the model ' + how if how else ''}"
