"""Recognizes a study with nothing left to run, from its stored trials alone: without workers and without data."""

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

from hpo import models
from hpo.config.declared import Declared
from hpo.config.redacted import kept_experiment, kept_files
from hpo.data.info_json import info_from_json
from hpo.errors import HpoError
from hpo.loop.checkpoints_folder import checkpoints_of
from hpo.loop.definition import definition_of, files_read
from hpo.plan.plan import Plan
from hpo.storage.database import is_database_error
from hpo.storage.open import open_database
from hpo.storage.read_trials import light_trials
from hpo.study.attributes import (
    DATA,
    DECLARED,
    ENQUEUED,
    EXPERIMENT,
    FILES,
    FOLDERS,
    IDENTITY,
    JOB,
)
from hpo.study.definition import Definition
from hpo.study.more_epochs import to_lengthen
from hpo.study.next_configuration import first_trials, next_enqueued
from hpo.study.record import TrialRecord, best_trial
from hpo.study.retries import to_run_again
from hpo.study.scheduled import would_go_on
from hpo.study.stored_trial import READ, own_trials, records_of
from hpo.system.home import expanded
from hpo.text.credentials import hidden_in
from hpo.training.checkpoint_file import found_in

if TYPE_CHECKING:
    from rich.console import Console

    from hpo.loop.budget import Ending

# The sections of an experiment that define a study. The digest of the data is left out: they would have to be loaded.
_DEFINING = ("dataset", "training", "objective", "search_space")
# A folder with more files than this is not searched for changes.
_MOST_FILES = 10_000


@dataclass(frozen=True)
class Finished:
    """The outcome of a finished study."""

    ended: "Ending"
    trials: Sequence[TrialRecord]
    begun: int
    """The number of configurations that were begun."""
    data: dict[str, Any]
    """What is known about its dataset, for `hpo.data.info_json.info_from_json`."""


def finished(plan: Plan) -> Finished | None:
    """The outcome of the plan's study; None if it may have to be run, or refused.

    None means that the study has to be opened: its definition differs, its data may have changed, or trials are left.
    """
    try:
        return _finished(plan)
    except HpoError:
        return None
    except Exception as error:
        if is_database_error(error):
            return None
        raise


def print_finished(console: "Console | None", plan: Plan, over: Finished) -> None:
    """Prints that the study is finished, and how to add trials."""
    if console is None:
        return
    wider = "hpo extend begins a study with a wider space"
    if over.ended == "target":
        why = "its target has been reached; with another target the same command continues"
    elif over.ended == "exhausted" or plan.trials is None:
        why = f"every configuration of its search space has been tried; {wider}"
    else:
        more = over.begun + plan.trials
        why = f"{over.begun} configurations are done; to add trials, the same command with --trials {more}"
    console.print(f"Study {plan.experiment.name} is finished: {why}.", soft_wrap=True, markup=False)


def log_what_is_missing(plan: Plan, over: Finished, console: "Console | None") -> int:
    """Logs to MLflow what a killed run did not log; every run does this. Returns how many runs still wait."""
    from hpo.data.info_json import info_from_json
    from hpo.loop.mlflow_observer import tracked
    from hpo.loop.progress import Progress
    from hpo.storage.lock import sole_coordinator

    progress = Progress(console, plan.experiment.objective, plan.trials, None)
    with (
        sole_coordinator(plan.storage, plan.experiment.name, progress.warn),
        tracked(plan, info_from_json(over.data), True, progress) as log,
    ):
        pass
    return log.waiting


def _finished(plan: Plan) -> Finished | None:
    database = open_database(plan.storage, must_exist=True)
    try:
        study = database.get_study_id_from_name(plan.experiment.name)
    except KeyError:
        return None
    known = database.get_study_user_attrs(study)
    if IDENTITY not in known or not known.get(DATA) or not _as_defined(plan, known):
        return None
    trials = light_trials(database, study, (*READ, ENQUEUED), needs=JOB)
    mine, spec = own_trials(trials), plan.experiment.study
    records = records_of(mine)
    waits = len(records) < len(mine) or any(record.state == "running" for record in records)
    listed = next_enqueued(spec.enqueue, [one.user_attrs[ENQUEUED] for one in mine if ENQUEUED in one.user_attrs])
    if waits or not records or listed is not None or to_run_again(mine, spec.retries):
        return None
    ended = _ending(plan, records, len(first_trials(mine)))
    if ended is None or _changed_since(plan, records):
        return None
    left = found_in(checkpoints_of(plan)) if ended != "target" else ()
    definition = _definition(plan, known)
    if left and (would_go_on(spec, definition, mine, left) or to_lengthen(mine, definition, left)):
        # The last run ended before these trials went on: at its deadline, or it was interrupted.
        return None
    return Finished(ended, records, len(first_trials(mine)), known[DATA])


def _as_defined(plan: Plan, known: dict[str, Any]) -> bool:
    """Whether a stored study equals the plan's, in every part that a run would compare or write again."""
    space = hidden_in(plan.space.model_dump(mode="json"))
    mine = kept_experiment({**plan.experiment.model_dump(mode="json"), "search_space": space})
    mine, kept = json.loads(json.dumps(mine)), known.get(EXPERIMENT, {})
    return (
        all(mine.get(key) == kept.get(key) for key in _DEFINING)
        and mine["study"].get("seed") == (kept.get("study") or {}).get("seed")
        and known[IDENTITY].get("search_space") == space
        and kept_experiment(kept) == kept
        and kept_files(known.get(FILES, {})) == known.get(FILES)
        and known[IDENTITY].get("files", {}) == files_read(plan)
        and known.get(FOLDERS) == list(map(str, plan.folders))
    )


def _ending(plan: Plan, records: Sequence[TrialRecord], count: int) -> "Ending | None":
    """Why nothing is left to run; None if something is."""
    objective, study = plan.experiment.objective, plan.experiment.study
    best = best_trial(records, objective)
    score = None if best is None else best.score(objective)
    if score is not None and score.reaches(study.target):
        return "target"
    if plan.trials is not None and count >= plan.trials:
        return "done"
    # The parameters that a KerasTuner model declares are not known before it is built.
    if models.keys(plan.space.model) is None or plan.space.uncountable():
        return None
    tried = {plan.space.key(record.params) for record in records}
    if any(plan.space.key(config) not in tried for config in plan.space.configurations()):
        return None
    return "done" if study.sampler.name == "grid" and plan.trials is None else "exhausted"


def _definition(plan: Plan, known: Mapping[str, Any]) -> Definition:
    """The definition of the stored study, with the parameters that its model has declared."""
    found = definition_of(plan, info_from_json(known[DATA]))
    return replace(found, declared=Declared(known[DECLARED])) if DECLARED in known else found


def _changed_since(plan: Plan, records: Sequence[TrialRecord]) -> bool:
    """Whether the data may have changed since the trials: a function makes them, or files were modified since."""
    spec = plan.experiment.dataset
    if spec.function is not None:
        return True
    if spec.path is None:
        return False
    began = min((record.started.timestamp() for record in records if record.started), default=0.0)
    found = [place for folder in plan.folders if (place := folder / expanded(spec.path)).exists()]
    files = [file for place in found for file in ([place] if place.is_file() else [place, *place.rglob("*")])]
    if not files or len(files) > _MOST_FILES:
        return True
    try:
        return max(max(file.stat().st_mtime, file.stat().st_ctime) for file in files) >= began
    except OSError:
        # Such as a link to nothing. Who reads the data says so.
        return True
