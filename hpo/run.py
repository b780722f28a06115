"""The whole pipeline, top to bottom: from an experiment's file to its best trial. READ THIS FIRST.

    experiment.yaml -> Plan -> dataset -> study -> ask -> job -> engine -> events -> tell, log -> Result

The imports are inside the functions: `hpo --help` and every complaint about a file should answer without waiting
for the libraries.
"""

import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from hpo.errors import AllFailed, StudyFailed

if TYPE_CHECKING:
    from rich.console import Console

    from hpo.config.experiment import Objective
    from hpo.loop.budget import Ending
    from hpo.loop.jobs import Prepared
    from hpo.loop.progress import Opening
    from hpo.plan.plan import Plan
    from hpo.study.record import TrialRecord


# How many different errors are shown where all trials failed.
_MOST_ERRORS = 5
# Configurations of which the notes about the model tell.
_EXAMPLES = 20


@dataclass(frozen=True, repr=False)
class Result:
    """The outcome of a run."""

    name: str
    """Name of the study."""
    ended: "Ending"
    """done, timeout, target, exhausted: every configuration of the space has been tried; or worthwhile: more of the
    budget was expected to gain too little."""
    trials: "Sequence[TrialRecord]"
    """All trials of the study, in the order of their numbers; those of earlier runs too."""
    best: "TrialRecord | None"
    """The trial with the best validation score, if any has one."""
    objective: "Objective"
    """What the study improves."""
    storage: str
    """SQLAlchemy URL of the study, without password."""
    tracking_uri: str
    """MLflow tracking URI of the runs, without password."""
    home: Path
    seconds: float
    """Wall time of this run."""
    unlogged: int = 0
    """How many MLflow runs wait for a store that is away; `hpo log` and the next run of the study send them."""

    def __repr__(self) -> str:
        best = "" if self.best is None else f", best {self.objective.metric} {self.best.value} of {self.best.label}"
        return f"Result({self.name!r}, {self.ended}, {len(self.trials)} trials{best})"


def run(
    experiment: "str | Path | Mapping[str, Any] | Plan",
    *,
    overrides: Sequence[str] = (),
    home: str | Path | None = None,
    console: "Console | None" = None,
    began: float | None = None,
) -> Result:
    """Runs an experiment, or continues it, and returns its result.

    Args:
        experiment: its YAML file, or a mapping with the keys that the file would have; or its plan.
        overrides: assignments such as `study.trials=10`, which replace values of the file.
        home: the folder for everything that the run writes; by default HPO_HOME, or else ./mlruns.
        console: where progress is shown; by default nowhere.
        began: when the run's time began, by `time.monotonic`; by default now.

    Raises:
        UserError: a mistake in the files or the data, or a study that cannot continue; nothing was changed.
        AllFailed: no trial of the study has a score, and some failed.
        StudyFailed: too many configurations in a row failed with the same error.
        StoreAway: the store of the study was locked, full or unreachable for too long; the same call continues.
        Interrupted: Ctrl-C stopped the run; the same call continues.
    """
    from hpo.loop.progress import Opening

    began = time.monotonic() if began is None else began
    with Opening(console) as opening:
        from hpo.loop.as_begun import as_begun
        from hpo.loop.finished import finished, log_what_is_missing, print_finished
        from hpo.loop.jobs import prepared
        from hpo.plan.plan import Plan, load_plan

        plan = experiment if isinstance(experiment, Plan) else load_plan(experiment, overrides, home)
        if (over := finished(plan)) is not None:
            opening.close()
            print_finished(console, plan, over)
            unlogged = log_what_is_missing(plan, over, console)
            ended, trials = over.ended, over.trials
        else:
            opening.start_workers()
            plan = as_begun(plan)
            with prepared(plan) as ready:
                ended, trials, unlogged = _study(ready, _Shown(console, opening), began)
    result = replace(_result(plan, ended, trials, time.monotonic() - began), unlogged=unlogged)
    if result.best is None and (failed := _failed(trials)):
        raise AllFailed(_why_all_failed(result, failed), result)
    return result


@dataclass(frozen=True)
class _Shown:
    """Where progress is shown, and what is shown before there is any."""

    console: "Console | None"
    opening: "Opening"


def _failed(trials: "Sequence[TrialRecord]") -> "Sequence[TrialRecord]":
    """The trials that failed for good; interrupted and lost ones are trained again by the next run."""
    from hpo.study.failure import GIVEN_BACK

    return [trial for trial in trials if trial.state == "failed" and trial.reason not in GIVEN_BACK]


def _why_all_failed(result: Result, failed: "Sequence[TrialRecord]") -> str:
    by_error: dict[str, list[TrialRecord]] = {}
    for trial in failed:
        by_error.setdefault(str(trial.failure), []).append(trial)
    lines = [f"study {result.name}: no trial has a score, {len(failed)} of {len(result.trials)} failed"]
    for error, trials in list(by_error.items())[:_MOST_ERRORS]:
        several = f" and {len(trials) - 1} more" if len(trials) > 1 else ""
        lines.append(f"  trial {trials[0].number}{several}: {error}")
    return "\n".join([*lines, _more_of(result.name, failed[0].number, result.home)])


def _more_of(study: str, trial: int, home: Path) -> str:
    elsewhere = "" if home == Path.cwd() / "mlruns" else f" --home {home}"
    return f"hpo show {study} {trial}{elsewhere} shows more"


def _study(ready: "Prepared", shown: "_Shown", began: float) -> "tuple[Ending, Sequence[TrialRecord], int]":
    from hpo import models
    from hpo.data.scaling import scaling_in_words
    from hpo.loop.driving import opened, run_study
    from hpo.loop.mlflow_observer import tracked
    from hpo.loop.progress import Progress
    from hpo.study.more_epochs import more_epochs_note

    plan = ready.plan
    progress = Progress(shown.console, plan.experiment.objective, plan.trials, plan.experiment.study.timeout)
    with opened(plan, ready.info, progress.warn) as study:
        with tracked(plan, ready.info, bool(study.trials()), progress) as log:
            progress.note(scaling_in_words(ready.info))
            about_model = models.notes(plan.space.model, map(plan.space.settings, plan.space.examples(_EXAMPLES)))
            for note in (*ready.info.notes, *about_model):
                progress.note(note)
            if (more := more_epochs_note(study.trials(), study.lengthened, study.definition)) is not None:
                progress.note(more)
            for warning in plan.warnings(ready.info.task):
                progress.warn(str(warning))
            shown.opening.close()
            with progress.shown(study.trials()):
                try:
                    ended = run_study(study, ready, began, (log, progress))
                except StudyFailed as error:
                    more = _more_of(plan.experiment.name, _failed(study.trials())[-1].number, plan.home)
                    raise StudyFailed(f"{error}\n{more}") from None
        return ended, study.trials(), log.waiting


def _result(plan: "Plan", ended: "Ending", trials: "Sequence[TrialRecord]", seconds: float) -> Result:
    from hpo.study.record import best_trial
    from hpo.text.urls import masked

    return Result(
        name=plan.experiment.name,
        ended=ended,
        trials=trials,
        best=best_trial(trials, plan.experiment.objective),
        objective=plan.experiment.objective,
        storage=masked(plan.storage),
        tracking_uri=masked(plan.tracking_uri),
        home=plan.home,
        seconds=seconds,
    )
