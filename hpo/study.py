"""The record: an Optuna study that its one coordinator opens, checks, writes and resumes."""

import json
import logging
import warnings
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from pathlib import Path
from typing import Any

import optuna
from optuna.storages import RDBStorage
from optuna.trial import FrozenTrial, Trial, TrialState
from sqlalchemy.engine import make_url
from sqlalchemy.exc import ArgumentError, SQLAlchemyError

from hpo.errors import NotFound, StudyMismatch, UserError, nearest
from hpo.experiment import Objective, StudySpec
from hpo.record import State, TrialRecord
from hpo.samplers import derive_seed, make_pruner, make_sampler
from hpo.space import SearchSpace
from hpo.urls import masked
from hpo.versions import versions

# What a failed trial's configuration is owed: run again always, again within `retries`, or nothing.
_GIVEN_BACK = ("lost", "interrupted")
_RETRIED = ("killed", "crashed", "out_of_memory")

_STATES: Mapping[TrialState, State] = {
    TrialState.RUNNING: "running",
    TrialState.COMPLETE: "complete",
    TrialState.PRUNED: "pruned",
    TrialState.FAIL: "failed",
}

# Attributes of studies and trials.
_IDENTITY, _FILES, _DECLARED = "hpo:identity", "hpo:files", "hpo:declared"
_EXPERIMENT, _VERSIONS = "hpo:experiment", "hpo:versions"
_JOB, _RETRY, _ENQUEUED, _RESULT = "hpo:job", "hpo:retry", "hpo:enqueued", "hpo:result"

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

    @property
    def objective(self) -> Objective:
        """What the study improves."""
        return Objective.model_validate(self.identity["objective"])


class Study:
    """An Optuna study, written by one coordinator alone; `hpo.lock` sees to that."""

    def __init__(self, storage: RDBStorage, name: str, definition: "Definition", spec: StudySpec) -> None:
        pruner = make_pruner(spec.pruner, definition.epochs)
        self._study = optuna.load_study(study_name=name, storage=storage, pruner=pruner)
        self._storage = storage
        self._id = storage.get_study_id_from_name(name)
        self._spec = spec
        self._seed = definition.identity["seed"]
        self._space = definition.space
        self._running: dict[int, Trial] = {}

    @property
    def name(self) -> str:
        """The study's name."""
        return self._study.study_name

    @property
    def space(self) -> SearchSpace:
        """What its trials vary."""
        return self._space

    def trials(self) -> list[TrialRecord]:
        """All trials, but those that only wait to be handed out."""
        return _records(self._study.get_trials(deepcopy=False))

    def widen(self, space: SearchSpace) -> None:
        """Goes on with a space to which a model declared more parameters."""
        self._space = space

    def recover(self) -> list[TrialRecord]:
        """Fails what a killed coordinator left running, with reason lost; returns those trials."""
        running = [trial for trial in self._study.get_trials(deepcopy=False) if trial.state is TrialState.RUNNING]
        return [
            self.end(replace(_record(trial), state="failed", failure="lost", error="its coordinator was killed"))
            for trial in running
        ]

    def ask(self, trials: int | None) -> TrialRecord | None:
        """The next configuration, or None where `trials` of them have been begun, or the grid is done.

        First what is owed (given back, lost, to be tried again), then what is enqueued, then the grid's or the
        sampler's next.
        """
        known = self._study.get_trials(deepcopy=False)
        waiting = next((trial for trial in known if trial.state is TrialState.WAITING), None)
        begun = {_origin(trial) for trial in known if trial.state is not TrialState.WAITING}
        may_begin = trials is None or len(begun) < trials
        if waiting is None:
            retry = next(_owed(known, self._spec.retries), None)
            if retry is not None:
                self._enqueue(retry.params, {_RETRY: {"origin": _origin(retry), "attempt": _attempt(retry) + 1}})
            elif (may_begin and not self._propose(known)) or not may_begin:
                return None
        elif not may_begin and _RETRY not in waiting.user_attrs:
            return None
        number = waiting.number if waiting is not None else len(known)
        self._study.sampler = make_sampler(self._spec.sampler, self._seed, number)
        return self._begin(self._study.ask())

    def report(self, number: int, epoch: int, value: float) -> bool:
        """Records the objective after an epoch; returns whether the pruner would stop the trial."""
        trial = self._running[number]
        trial.report(value, step=epoch)
        return trial.should_prune()

    def end(self, record: TrialRecord) -> TrialRecord:
        """Tells the end of a trial; what is told is kept. Returns the record with its times."""
        trial_id = self._storage.get_trial_id_from_study_id_trial_number(self._id, record.number)
        result = {
            "value": record.value, "best_epoch": record.best_epoch, "curves": record.curves, "test": record.test,
            "ended_by": record.ended_by, "failure": record.failure, "error": record.error,
            "model_parameters": record.model_parameters, "model_file": record.model_file,
        }  # fmt: skip
        # The state comes last: a trial that counts as ended has all its results.
        self._storage.set_trial_user_attr(trial_id, _RESULT, result)
        for name, score in record.test.items():
            self._storage.set_trial_user_attr(trial_id, f"test_{name}", score)
        state = next(state for state, name in _STATES.items() if name == record.state)
        value = record.value if state is TrialState.COMPLETE else None
        self._running.pop(record.number, None)
        return _record(self._study.tell(record.number, value, state))

    def declare(self, config: Mapping[str, Any]) -> None:
        """Keeps what a KerasTuner model declared so far, for the next run."""
        self._study.set_user_attr(_DECLARED, config)

    @property
    def declared(self) -> Mapping[str, Any] | None:
        """What a KerasTuner model declared in earlier runs."""
        return self._study.user_attrs.get(_DECLARED)

    def _propose(self, known: Sequence[FrozenTrial]) -> bool:
        """Enqueues the next configuration of the file's list, else of the grid; False where the grid is done."""
        taken = {trial.user_attrs.get(_ENQUEUED) for trial in known}
        for index, config in enumerate(self._spec.enqueue):
            if index not in taken:
                self._enqueue(config, {_ENQUEUED: index})
                return True
        if self._spec.sampler.name != "grid":
            return True
        done = [_config(trial) for trial in known]
        for config in self._space.configurations():
            if config not in done:
                self._enqueue(config, {})
                return True
        return False

    def _enqueue(self, config: Mapping[str, Any], attributes: Mapping[str, Any]) -> None:
        self._study.enqueue_trial(dict(config), dict(attributes))

    def _begin(self, trial: Trial) -> TrialRecord:
        config = self._space.suggest(trial)
        retry = trial.user_attrs.get(_RETRY, {})
        seed = derive_seed(self._seed, retry.get("origin", trial.number))
        trial.set_user_attr(_JOB, {"config": config, "seed": seed})
        self._running[trial.number] = trial
        return TrialRecord(
            trial.number, "running", config, seed, retry.get("origin", trial.number), retry.get("attempt", 0),
            started=datetime.now(),
        )  # fmt: skip


@dataclass(frozen=True)
class Definition:
    """What makes a study this study: under one name it must not change."""

    space: SearchSpace
    epochs: int
    identity: Mapping[str, Any]
    """search_space, objective, dataset, training, seed; JSON values."""
    files: Mapping[str, str]
    """The YAML files as the user wrote them."""
    experiment: Mapping[str, Any]
    """The experiment with all defaults and overrides in place, and its search space within; JSON values."""


def open_study(url: str, name: str, definition: Definition, spec: StudySpec) -> Study:
    """Creates a study, or opens it to go on; the caller holds its lock.

    Raises:
        UserError: the database cannot be opened.
        StudyMismatch: a study of this name was defined otherwise; the message shows each difference.
    """
    storage = _storage(url)
    identity = json.loads(json.dumps(definition.identity))
    direction = definition.identity["objective"]["direction"]
    study = optuna.create_study(study_name=name, storage=storage, direction=direction, load_if_exists=True)
    known = study.user_attrs.get(_IDENTITY)
    if known is None:
        if study.get_trials(deepcopy=False):
            raise StudyMismatch(f"study {name} in {masked(url)} was not made by hpo; choose another name with --name")
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", optuna.exceptions.ExperimentalWarning)
            study.set_metric_names([definition.identity["objective"]["metric"]])
        study.set_user_attr(_FILES, dict(definition.files))
        study.set_user_attr(_EXPERIMENT, dict(definition.experiment))
        study.set_user_attr(_VERSIONS, versions())
        study.set_user_attr(_IDENTITY, identity)
    elif differences := list(_differences(known, identity)):
        raise StudyMismatch(
            f"study {name} was defined otherwise:\n"
            + "\n".join(f"  {line}" for line in differences)
            + "\nstart another study with --name, or undo the change to go on with this one"
        )
    return Study(storage, name, definition, spec)


def read_study(url: str, name: str) -> StudyView:
    """Reads a study, changing nothing.

    Raises:
        NotFound: there is no such study; names the nearest.
    """
    storage = _storage(url, must_exist=True)
    names = optuna.get_all_study_names(storage)
    if name not in names:
        hint = nearest(name, names) if names else "there are none yet"
        raise NotFound(f"no study {name!r} in {masked(url)}; {hint}")
    study = optuna.load_study(study_name=name, storage=storage)
    attributes = study.user_attrs
    if _IDENTITY not in attributes:
        raise NotFound(f"study {name} in {masked(url)} was not made by hpo")
    trials = _records(study.get_trials(deepcopy=False))
    return StudyView(
        name, attributes[_IDENTITY], attributes[_FILES], attributes[_EXPERIMENT], attributes[_VERSIONS], trials, url
    )


def study_names(url: str) -> list[str]:
    """The names of all studies of a store that hpo made."""
    summaries = optuna.get_all_study_summaries(_storage(url, must_exist=True), include_best_trial=False)
    return [summary.study_name for summary in summaries if _IDENTITY in summary.user_attrs]


def _storage(url: str, must_exist: bool = False) -> RDBStorage:
    try:
        address = make_url(url)
    except ArgumentError:
        raise UserError("storage: not a database URL; an example: sqlite:///mlruns/optuna.db") from None
    sqlite = address.get_backend_name() == "sqlite"
    if sqlite and address.database:
        if must_exist and not Path(address.database).exists():
            raise NotFound(f"no studies yet: there is no {address.database}; start one with hpo run")
        Path(address.database).parent.mkdir(parents=True, exist_ok=True)
    try:
        storage = RDBStorage(url, engine_kwargs={"connect_args": {"timeout": 60}} if sqlite else None)
    except ModuleNotFoundError as error:
        raise UserError(f"storage {masked(url)} needs a driver: python3 -m pip install {error.name}") from None
    except (SQLAlchemyError, RuntimeError) as error:
        cause = str(getattr(error, "orig", None) or error).strip().splitlines()[0]
        raise UserError(f"storage {masked(url)} cannot be opened: {cause}") from None
    if sqlite:
        with storage.engine.connect() as connection:
            connection.exec_driver_sql("PRAGMA journal_mode=WAL")
    return storage


def _records(trials: Sequence[FrozenTrial]) -> list[TrialRecord]:
    return [_record(trial) for trial in trials if trial.state is not TrialState.WAITING]


def _record(trial: FrozenTrial) -> TrialRecord:
    job, result = trial.user_attrs.get(_JOB, {}), trial.user_attrs.get(_RESULT, {})
    return TrialRecord(
        number=trial.number, state=_STATES[trial.state], params=_config(trial), seed=job.get("seed", 0),
        origin=_origin(trial), attempt=_attempt(trial), started=trial.datetime_start, ended=trial.datetime_complete,
        **result,
    )  # fmt: skip


def _config(trial: FrozenTrial) -> Mapping[str, Any]:
    config: Mapping[str, Any] = trial.user_attrs.get(_JOB, {}).get("config", trial.params)
    return config


def _origin(trial: FrozenTrial) -> int:
    return int(trial.user_attrs.get(_RETRY, {}).get("origin", trial.number))


def _attempt(trial: FrozenTrial) -> int:
    return int(trial.user_attrs.get(_RETRY, {}).get("attempt", 0))


def _owed(trials: Sequence[FrozenTrial], retries: int) -> Iterator[FrozenTrial]:
    """The failed trials whose configuration is to be run again, and is not yet."""
    latest = {_origin(trial): trial for trial in trials}
    for origin, trial in latest.items():
        if trial.state is not TrialState.FAIL:
            continue
        failure = trial.user_attrs.get(_RESULT, {}).get("failure")
        deaths = sum(
            other.user_attrs.get(_RESULT, {}).get("failure") in _RETRIED for other in trials if _origin(other) == origin
        )
        if failure in _GIVEN_BACK or (failure in _RETRIED and deaths <= retries):
            yield trial


def _differences(known: Any, wanted: Any, key: str = "") -> Iterator[str]:
    if isinstance(known, dict) and isinstance(wanted, dict):
        for name in dict.fromkeys((*known, *wanted)):
            yield from _differences(known.get(name), wanted.get(name), f"{key}.{name}" if key else name)
    elif known != wanted:
        yield f"{key}: {json.dumps(known)} -> {json.dumps(wanted)}"
