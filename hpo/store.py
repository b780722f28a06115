"""Optuna's store: how studies and trials stand in it, and how they are read; `study` alone writes."""

import logging
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import optuna
from optuna.storages import BaseStorage, RDBStorage, get_storage
from optuna.trial import FrozenTrial, TrialState
from sqlalchemy.engine import make_url
from sqlalchemy.exc import DBAPIError, IntegrityError

from hpo.confirmation import Confirmation
from hpo.errors import NotFound, nearest
from hpo.experiment import Objective
from hpo.lock import database_errors
from hpo.record import State, TrialRecord
from hpo.urls import masked

STATES: Mapping[TrialState, State] = {
    TrialState.RUNNING: "running",
    TrialState.COMPLETE: "complete",
    TrialState.PRUNED: "pruned",
    TrialState.FAIL: "failed",
}

# Attributes of studies and trials.
IDENTITY, FILES, DECLARED = "hpo:identity", "hpo:files", "hpo:declared"
EXPERIMENT, VERSIONS, CONFIRMATION = "hpo:experiment", "hpo:versions", "hpo:confirmation"
JOB, RETRY, ENQUEUED, RESULT = "hpo:job", "hpo:retry", "hpo:enqueued", "hpo:result"

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

    @property
    def objective(self) -> Objective:
        """What the study improves."""
        return Objective.model_validate(self.identity["objective"])


def read_study(url: str, name: str) -> StudyView:
    """Reads a study, changing nothing.

    Raises:
        NotFound: there is no such study; names the nearest.
    """
    storage = open_storage(url, must_exist=True)
    names = optuna.get_all_study_names(storage)
    if name not in names:
        hint = nearest(name, names) if names else "there are none yet"
        raise NotFound(f"no study {name!r} in {masked(url)}; {hint}")
    study = optuna.load_study(study_name=name, storage=storage)
    attributes = study.user_attrs
    if IDENTITY not in attributes:
        raise NotFound(f"study {name} in {masked(url)} was not made by hpo")
    confirmed = attributes.get(CONFIRMATION)
    return StudyView(
        name=name,
        identity=attributes[IDENTITY],
        files=attributes[FILES],
        experiment=attributes[EXPERIMENT],
        versions=attributes[VERSIONS],
        trials=records_of(study.get_trials(deepcopy=False)),
        storage=url,
        confirmation=None if confirmed is None else Confirmation.model_validate(confirmed),
    )


def study_names(url: str) -> list[str]:
    """The names of all studies of a store that hpo made; none where there is no store yet."""
    try:
        storage = open_storage(url, must_exist=True)
    except NotFound:
        return []
    summaries = optuna.get_all_study_summaries(storage, include_best_trial=False)
    return [summary.study_name for summary in summaries if IDENTITY in summary.user_attrs]


def open_storage(url: str, must_exist: bool = False) -> BaseStorage:
    """Optuna's storage over a database.

    Raises:
        UserError: the database cannot be opened.
        NotFound: it must exist and does not.
    """
    with database_errors(url):
        address = make_url(url)
        sqlite = address.get_backend_name() == "sqlite"
        if sqlite and address.database:
            if must_exist and not Path(address.database).exists():
                raise NotFound(f"no studies yet: there is no {address.database}; start one with hpo run")
            Path(address.database).parent.mkdir(parents=True, exist_ok=True)
        storage = _connect(url, {"connect_args": {"timeout": 60}} if sqlite else {})
        if sqlite:
            with storage.engine.connect() as connection:
                connection.exec_driver_sql("PRAGMA journal_mode=WAL")
    return get_storage(storage)  # with the cache of finished trials that Optuna puts in front


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
    return [record_of(trial) for trial in trials if trial.state is not TrialState.WAITING]


def record_of(trial: FrozenTrial) -> TrialRecord:
    """What is known of a trial."""
    job, result = trial.user_attrs.get(JOB, {}), trial.user_attrs.get(RESULT, {})
    return TrialRecord(
        number=trial.number, state=STATES[trial.state], params=config_of(trial), seed=job.get("seed", 0),
        origin=origin_of(trial), attempt=attempt_of(trial), started=trial.datetime_start, ended=trial.datetime_complete,
        **result,
    )  # fmt: skip


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


def failure_of(trial: FrozenTrial) -> str | None:
    """Why the trial failed."""
    failure: str | None = None
    if trial.state is TrialState.FAIL:
        failure = trial.user_attrs.get(RESULT, {}).get("failure")
    return failure
