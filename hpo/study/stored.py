"""Optuna's store: how studies and trials stand in it, and how they are read; `study` alone writes."""

import logging
import time
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field
from functools import cached_property
from pathlib import Path
from typing import Any

import optuna
from optuna.storages import BaseStorage, RDBStorage, get_storage
from optuna.trial import FrozenTrial, TrialState
from sqlalchemy.engine import make_url
from sqlalchemy.exc import DBAPIError, IntegrityError

from hpo.config.experiment import Objective
from hpo.config.redacted import kept_experiment, kept_files
from hpo.config.resolved import Resolved
from hpo.errors import NotFound, nearest
from hpo.storage import database
from hpo.storage.database import Warn, engine_options, patiently, read_patiently
from hpo.storage.lock import database_errors
from hpo.storage.read_only import may_only_be_read, opener
from hpo.storage.trial_tables import Sampled, light_trials, sampled
from hpo.study.confirmation import Confirmation
from hpo.study.record import Confirms, State, TrialRecord
from hpo.system.private_files import private_file, private_folder
from hpo.system.safe_paths import is_kept_model
from hpo.text.cleaning import clean
from hpo.text.credentials import hidden_in
from hpo.text.urls import masked

STATES: Mapping[TrialState, State] = {
    TrialState.RUNNING: "running",
    TrialState.COMPLETE: "complete",
    TrialState.PRUNED: "pruned",
    TrialState.FAIL: "failed",
}

# Attributes of studies and trials.
IDENTITY, FILES, DECLARED = "hpo:identity", "hpo:files", "hpo:declared"
EXPERIMENT, VERSIONS, CONFIRMATION = "hpo:experiment", "hpo:versions", "hpo:confirmation"
FOLDERS = "hpo:folders"
JOB, RETRY, ENQUEUED, RESULT = "hpo:job", "hpo:retry", "hpo:enqueued", "hpo:result"
CONFIRMS = "hpo:confirms"
# Of a study: its data's DatasetInfo, and the studies that it goes on from, or that go on from it.
DATA, EXTENDS, EXTENDED_BY = "hpo:data", "hpo:extends", "hpo:extended_by"
# Of a trial: where it was run, if not in this study; a trial of this study all the same, or known to its sampler alone.
CARRIED, OBSERVED = "hpo:carried", "hpo:observed"
_READ = (JOB, RETRY, RESULT, CONFIRMS, CARRIED, OBSERVED)

optuna.logging.set_verbosity(logging.ERROR)


@dataclass(frozen=True)
class StudyView:
    """A study as it stands in the store."""

    name: str
    identity: Mapping[str, Any]
    """What defines the study: search_space, objective, dataset, training, seed."""
    files: Mapping[str, str]
    """The YAML files: experiment, search_space."""
    experiment: Mapping[str, Any]
    """The experiment with all defaults and overrides in place, and its search space within."""
    versions: Mapping[str, str]
    """Of the packages with which the study was begun."""
    trials: Sequence[TrialRecord]
    storage: str
    confirmation: Confirmation | None = None
    """What `hpo confirm` found, once it has run."""
    data: Mapping[str, Any] = field(default_factory=dict)
    """What is known of its dataset; `hpo.data.shared_folder.info_from_json` reads it."""
    folders: Sequence[str] = ()
    """Where relative paths and import paths of the user's were looked for when it was run last, in this order."""
    links: Mapping[str, str] = field(default_factory=dict)
    """extends, extended_by -> the name of the study, or names with commas between."""

    @cached_property
    def objective(self) -> Objective:
        """What the study improves."""
        return Objective.model_validate(self.identity["objective"])

    def trial(self, number: int) -> TrialRecord:
        """The trial of that number.

        Raises:
            NotFound: there is none; says which there are.
        """
        for trial in self.trials:
            if trial.number == number:
                return trial
        numbers = [trial.number for trial in self.trials]
        there = f"its trials are {min(numbers)} to {max(numbers)}" if numbers else "it has none yet"
        raise NotFound(f"study {self.name} has no trial {number}; {there}")


@read_patiently
def read_study(url: str, name: str) -> StudyView:
    """Reads a study, changing nothing.

    Raises:
        NotFound: there is no such study; names the nearest.
    """
    database = open_database(url, must_exist=True)
    study = _loaded(database, url, name)
    known = light_trials(database, database.get_study_id_from_name(name), _READ, needs=JOB)
    return view_of(study, url, known)


@read_patiently
def read_sampled(url: str, name: str) -> dict[int, Sampled]:
    """The sampled parameters of a study's trials, by number, with their ranges as the sampler saw them.

    Raises:
        NotFound: there is no store.
    """
    database = open_database(url, must_exist=True)
    return sampled(database, database.get_study_id_from_name(name))


@read_patiently
def known_study(url: str, name: str) -> optuna.Study:
    """Optuna's own study, for those who read it with Optuna's own tools.

    Raises:
        NotFound: there is no such study; names the nearest.
    """
    return _loaded(open_storage(url, must_exist=True), url, name)


def _loaded(storage: BaseStorage, url: str, name: str) -> optuna.Study:
    names = optuna.get_all_study_names(storage)
    if name not in names:
        known = study_names(url)
        hint = nearest(name, known) if known else "there are none yet"
        raise NotFound(f"no study {name!r} in {masked(url)}; {hint}")
    study = optuna.load_study(study_name=name, storage=storage)
    if IDENTITY not in study.user_attrs:
        raise NotFound(f"study {name} in {masked(url)} was not made by hpo")
    return study


def view_of(study: optuna.Study, url: str, trials: Sequence[FrozenTrial] | None = None) -> StudyView:
    """A study as it stands in the store at `url`; with these trials, where they have been read already."""
    attributes = study.user_attrs
    confirmed = attributes.get(CONFIRMATION)
    return StudyView(
        name=study.study_name,
        identity=hidden_in(attributes[IDENTITY]),
        # What an older hpo kept has where things are stored, too.
        files=kept_files(attributes[FILES]),
        experiment=kept_experiment(attributes[EXPERIMENT]),
        versions=attributes[VERSIONS],
        trials=records_of(study.get_trials(deepcopy=False) if trials is None else trials),
        storage=url,
        confirmation=None if confirmed is None else Confirmation.model_validate(confirmed),
        data=hidden_in(attributes.get(DATA, {})),
        folders=attributes.get(FOLDERS, ()),
        links={key.removeprefix("hpo:"): attributes[key] for key in (EXTENDS, EXTENDED_BY) if key in attributes},
    )


@read_patiently
def study_names(url: str) -> list[str]:
    """The names of all studies of a store that hpo made; none where there is no store yet."""
    try:
        storage = open_storage(url, must_exist=True)
    except NotFound:
        return []
    summaries = optuna.get_all_study_summaries(storage, include_best_trial=False)
    return [summary.study_name for summary in summaries if IDENTITY in summary.user_attrs]


def confirming_study(study: str) -> str:
    """The name of the Optuna study in which the confirming runs of a study stand; no user can choose it."""
    return f"{study}@confirm"


@read_patiently
def confirming_runs(url: str, study: str) -> list[TrialRecord]:
    """The confirming runs of a study, in the order in which they began; none where it was never confirmed.

    Raises:
        NotFound: there is no store.
    """
    storage = open_storage(url, must_exist=True)
    try:
        known = optuna.load_study(study_name=confirming_study(study), storage=storage)
    except KeyError:
        return []
    return records_of(known.get_trials(deepcopy=False))


def open_storage(url: str, must_exist: bool = False) -> BaseStorage:
    """Optuna's storage over a database, with the cache of finished trials that Optuna puts in front.

    Raises:
        UserError: the database cannot be opened.
        NotFound: it must exist and does not.
    """
    return get_storage(open_database(url, must_exist))


def opened_patiently(url: str, must_exist: bool = False, warn: Warn | None = None) -> RDBStorage:
    """Optuna's storage over a database, for a command that writes: waits for it where it is away.

    Raises:
        UserError: the database cannot be opened.
        NotFound: it must exist and does not.
        StoreAway: it is away, for longer than it is waited for.
    """
    return patiently(url, lambda: open_database(url, must_exist), database.START_SECONDS, warn)


def open_database(url: str, must_exist: bool = False) -> RDBStorage:
    """Optuna's storage over a database.

    Raises:
        UserError: the database cannot be opened.
        NotFound: it must exist and does not.
    """
    with database_errors(url):
        address = make_url(url)
        sqlite = address.get_backend_name() == "sqlite"
        if sqlite and address.database:
            file = Path(address.database)
            if must_exist and not file.exists():
                raise NotFound(f"no studies yet: there is no {file}; start one with hpo run")
            if may_only_be_read(file):
                return _connect(url, {"creator": opener(file)})
            private_folder(file.parent)
            private_file(file)
        storage = _connect(url, engine_options(address))
        if sqlite:
            with storage.engine.connect() as connection:
                connection.exec_driver_sql("PRAGMA journal_mode=WAL")
    return storage


def _connect(url: str, options: dict[str, Any]) -> RDBStorage:
    """Opens a database; waits while another process creates its tables, with which Optuna's own attempt collides."""
    for _ in range(20):
        try:
            return RDBStorage(url, engine_kwargs=options)
        except DBAPIError as error:
            if not isinstance(error, IntegrityError) and "already exists" not in str(error):
                raise
            time.sleep(0.1)
    return RDBStorage(url, engine_kwargs=options)


def records_of(trials: Sequence[FrozenTrial]) -> list[TrialRecord]:
    """The trials, but those that only wait to be handed out."""
    return [record_of(trial) for trial in own(trials) if trial.state is not TrialState.WAITING]


def own(trials: Sequence[FrozenTrial]) -> list[FrozenTrial]:
    """A study's own trials, without those of which only its sampler and its pruner know."""
    return [trial for trial in trials if OBSERVED not in trial.user_attrs]


def record_of(trial: FrozenTrial) -> TrialRecord:
    """What is known of a trial."""
    job, result = trial.user_attrs.get(JOB, {}), trial.user_attrs.get(RESULT, {})
    if result.get("error"):
        # What an older hpo kept may be megabytes, or what no terminal can print.
        result = {**result, "error": clean(result["error"])}
    if result.get("model_file") and not is_kept_model(result["model_file"]):
        result = {**result, "model_file": None}
    return TrialRecord(
        number=trial.number, state=state_of(trial), params=config_of(trial), seed=job.get("seed", 0),
        origin=origin_of(trial), attempt=attempt_of(trial), started=trial.datetime_start, ended=trial.datetime_complete,
        confirms=Confirms(**trial.user_attrs[CONFIRMS]) if CONFIRMS in trial.user_attrs else None,
        resolved=Resolved(**job["resolved"]) if job.get("resolved") else None, source=source_of(trial), **result,
    )  # fmt: skip


def job_of(record: TrialRecord) -> dict[str, Any]:
    """What is kept of a trial's beginning: its configuration, its seed, and once its job is made all its settings."""
    job = {"config": record.params, "seed": record.seed}
    return job if record.resolved is None else {**job, "resolved": asdict(record.resolved)}


def result_of(record: TrialRecord) -> dict[str, Any]:
    """What is kept of a trial's end, beside Optuna's own state, value and times."""
    return {
        "value": record.value, "best_epoch": record.best_epoch, "curves": record.curves, "test": record.test,
        "ended_by": record.ended_by, "failure": record.failure, "error": record.error,
        "model_parameters": record.model_parameters, "note": record.note, "model_file": record.model_file,
        **({"fold_best_epochs": record.fold_best_epochs} if record.fold_best_epochs else {}),
        **({"test_note": record.test_note} if record.test_note else {}),
        **({"model_note": record.model_note} if record.model_note else {}),
    }  # fmt: skip


def config_of(trial: FrozenTrial) -> Mapping[str, Any]:
    """A trial's configuration; of one that was killed as it began, what is known of it."""
    begun = {**trial.system_attrs.get("fixed_params", {}), **trial.params}
    config: Mapping[str, Any] = trial.user_attrs.get(JOB, {}).get("config", begun)
    return config


def origin_of(trial: FrozenTrial) -> int:
    """The trial that first had this configuration."""
    return int(trial.user_attrs.get(RETRY, {}).get("origin", trial.number))


def attempt_of(trial: FrozenTrial) -> int:
    """How often the configuration had been tried before."""
    return int(trial.user_attrs.get(RETRY, {}).get("attempt", 0))


def source_of(trial: FrozenTrial) -> str | None:
    """Where the trial was run, if not in this study."""
    carried = trial.user_attrs.get(CARRIED)
    return None if carried is None else f"trial {carried['trial']} of {carried['source']}"


def failure_of(trial: FrozenTrial) -> str | None:
    """Why the trial failed, in whatever state Optuna keeps it."""
    failure: str | None = None
    if trial.state.is_finished():
        failure = trial.user_attrs.get(RESULT, {}).get("failure")
    return failure


def state_of(trial: FrozenTrial) -> State:
    """The trial's state: failed for whatever reason, though Optuna may have been told otherwise: `told_to_optuna`."""
    return "failed" if failure_of(trial) is not None else STATES[trial.state]
