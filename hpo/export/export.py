"""Exports a trial: as a file to train again, as a Keras model or script, or as a version in the model registry."""

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
    """The targets of an export; None where a target is not wanted."""

    to: Path | None = None
    """A file: .yaml or .json for hpo train, or .py for a Keras script."""
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
    """True: the confirmed choice. False: the best single trial. None: the confirmed choice, if there is one."""


def chosen(view: "StudyView", number: int | None) -> TrialRecord:
    """The trial with that number, or the best trial if `number` is None.

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
    """The trial to export, and the reason for this trial as text.

    Raises:
        NotFound: no such trial, or none with a score.
        UserError: the trial has no score, or the confirmed one is requested and the study was not confirmed.
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
    averaged = f", {trial.averaged}" if trial.averaged else ""
    scored = f"{view.objective.metric} {score(trial.value)}{averaged}"
    if which.trial is not None:
        return trial, f"trial {trial.number}, as requested: {scored}"
    kind = "trial" if averaged else "single run"
    why = f"trial {trial.number}, the best {kind} of {count(len(view.trials))}: {scored}"
    if confirmation is not None:
        return trial, f"{why}; the confirmed choice is trial {confirmation.chosen}"
    return trial, f"{why}; hpo confirm {view.name} says how much of that is luck"


def write_model(view: "StudyView", trial: TrialRecord, path: Path) -> Retrained | None:
    """Writes a trial's model to a .keras file. The file includes the scaling, so it takes features without scaling.

    The best model of a study was saved and is copied. Others are trained again from their seed; the result of that
    training is returned. A trial that was stopped and then confirmed is trained in full, as it was confirmed.

    Raises:
        HpoError: the model cannot be saved; the message says why.
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
    """Exports a trial. Yields a line that names the trial and why it was chosen, then a line for each target.

    Raises:
        UserError: no target is named, a file has the wrong suffix or no folder, or there is no such study or trial.
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
        return f"{path}: train it again with hpo train {path}"
    from hpo.export.script import script_of

    text = script_of(exported_of(view, trial))
    with replaced(path) as temporary:
        temporary.write_text(text, encoding="utf-8")
    once = "; it trains once, from the seed of the first execution" if trial.averaged else ""
    return f"{path}: train it without hpo with python {path}{once}"


def _written(view: "StudyView", trial: TrialRecord, path: Path) -> str:
    again = write_model(view, trial, path)
    how = f", trained again from its seed to {score(again.value)}" if again and again.value is not None else ""
    note = f"; it {again.model_note}" if again and again.model_note else ""
    epoch = f"the best epoch of the best of its {trial.executions} executions" if trial.executions else "its best epoch"
    return f"of trial {trial.number} at {epoch}{how}{note}"


def _register(
    view: "StudyView", trial: TrialRecord, why: str, targets: Targets, where: tuple[str | Path | None, str | None]
) -> Iterator[str]:
    """Registers the model that was just written, or else one that is written for this."""
    from hpo.export.registration import register

    with scratch_folder() as folder:
        if targets.model is None:
            model, how = folder / "model.keras", _written(view, trial, folder / "model.keras")
        else:
            model, how = targets.model, ""
        version = register(view, trial, why, model, str(targets.register), *where)
    yield f"models:/{targets.register}@champion: version {version}{', the model ' + how if how else ''}"
