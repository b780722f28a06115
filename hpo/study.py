"""The record: an Optuna study that its one coordinator opens, checks, writes and resumes."""

import json
import warnings
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from datetime import datetime
from typing import Any

import optuna
from optuna.storages import BaseStorage
from optuna.trial import FrozenTrial, Trial, TrialState, create_trial

from hpo.batched import BatchedStorage
from hpo.errors import StudyMismatch, UserError
from hpo.experiment import Named, StudySpec
from hpo.record import TrialRecord
from hpo.samplers import derive_seed, make_pruner, make_sampler
from hpo.space import SearchSpace
from hpo.store import (
    DATA,
    DECLARED,
    ENQUEUED,
    EXPERIMENT,
    FILES,
    IDENTITY,
    JOB,
    RESULT,
    RETRY,
    STATES,
    VERSIONS,
    attempt_of,
    config_of,
    failure_of,
    open_database,
    origin_of,
    own,
    record_of,
    records_of,
    result_of,
)
from hpo.urls import masked
from hpo.versions import versions

# Failures after which a configuration is run again: always, and within `retries`. After others it is not.
GIVEN_BACK = ("lost", "interrupted")
RETRIED = ("killed", "crashed", "out_of_memory")


class Study:
    """An Optuna study, written by one coordinator alone; `hpo.lock` sees to that."""

    def __init__(self, storage: BatchedStorage, name: str, definition: "Definition", spec: StudySpec) -> None:
        pruner = make_pruner(spec.pruner, definition.epochs)
        self._study = optuna.load_study(study_name=name, storage=storage, pruner=pruner)
        self._storage = storage
        self._id = storage.get_study_id_from_name(name)
        self._spec = spec
        self._seed = definition.identity["seed"]
        self._running: dict[int, Trial] = {}
        self._handed_out = {_text(config_of(trial)) for trial in own(self._study.get_trials(deepcopy=False))}
        self.widen(definition.space)

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
        return records_of(self._study.get_trials(deepcopy=False))

    @property
    def unused(self) -> bool:
        """Whether nothing is in it: no trial of its own, and none that was observed elsewhere."""
        return not self._study.get_trials(deepcopy=False)

    def widen(self, space: SearchSpace) -> None:
        """Goes on with a space to which a model declared more parameters.

        Raises:
            UserError: a grid cannot run through them.
        """
        self._space = space
        self._grid: Iterator[Mapping[str, Any]] | None = None
        if self._spec.sampler.name == "grid":
            if endless := space.uncountable():
                raise UserError(f"sampler grid needs a step, or choices, for {', '.join(endless)}")
            self._grid = space.configurations()

    def recover(self) -> list[TrialRecord]:
        """Fails what a killed coordinator left running, with reason lost; returns those trials."""
        running = [trial for trial in self._study.get_trials(deepcopy=False) if trial.state is TrialState.RUNNING]
        lost: dict[str, Any] = {"state": "failed", "failure": "lost", "error": "its coordinator was killed"}
        return [self.end(replace(record_of(trial), **lost, value=None, ended_by=None)) for trial in running]

    def ask(self, trials: int | None) -> TrialRecord | None:
        """The next configuration, or None where `trials` of them have been begun, or the grid is done.

        First what is to be run again (given back, lost, its worker died), then what others enqueued, then the
        file's own list, then the grid's or the sampler's next. An enqueued configuration that the space does not
        allow comes back as a failed trial, with reason invalid.
        """
        known = own(self._study.get_trials(deepcopy=False))
        begun = {origin_of(trial) for trial in known if trial.state is not TrialState.WAITING}
        ordinal = len(begun)
        again = next(_to_run_again(known, self._spec.retries), None)
        if again is not None:
            retry = {RETRY: {"origin": origin_of(again), "attempt": attempt_of(again) + 1}}
            return self._begin(self._start(config_of(again), retry, ordinal))
        if trials is not None and ordinal >= trials:
            return None
        listed = _not_yet(self._spec.enqueue, known)
        self._study.sampler = make_sampler(self._spec.sampler, self._seed, ordinal)
        if any(trial.state is TrialState.WAITING for trial in known):
            return self._begin(self._study.ask())
        if listed is not None:
            return self._begin(self._start(listed, {ENQUEUED: listed}))
        if self._grid is None:
            return self._begin(self._study.ask())
        config = next((config for config in self._grid if _text(config) not in self._handed_out), None)
        return None if config is None else self._begin(self._start(config, {}, ordinal))

    def will_run_again(self, record: TrialRecord) -> bool:
        """Whether the configuration of a failed trial is to be run again."""
        known = self._study.get_trials(deepcopy=False)
        return any(trial.number == record.number for trial in _to_run_again(known, self._spec.retries))

    def report(self, number: int, epoch: int, value: float) -> bool:
        """Records the objective after an epoch; returns whether the pruner would stop the trial."""
        trial = self._running[number]
        trial.report(value, step=epoch)
        return trial.should_prune()

    def end(self, record: TrialRecord) -> TrialRecord:
        """Tells the end of a trial; what is told is kept. Returns the record with its times."""
        self._running.pop(record.number, None)
        return tell(self._storage, self._study, record)

    def discard(self) -> None:
        """Takes the study out of the store."""
        optuna.delete_study(study_name=self.name, storage=self._storage)

    def declare(self, config: Mapping[str, Any]) -> None:
        """Keeps what a KerasTuner model declared so far, for the next run."""
        self._study.set_user_attr(DECLARED, config)

    @property
    def declared(self) -> Mapping[str, Any] | None:
        """What a KerasTuner model declared in earlier runs."""
        return self._study.user_attrs.get(DECLARED)

    def _start(self, config: Mapping[str, Any], attributes: Mapping[str, Any], complete: int | None = None) -> Trial:
        """Begins a trial with a given configuration; `complete`: which one it is, where nothing is left to sample.

        Not by way of Optuna's queue, where what others enqueued could come first.
        """
        if complete is not None:
            # Samplers that keep their state in the study would take the trial for one of their own.
            self._study.sampler = make_sampler(Named(name="random"), self._seed, complete)
        fixed = {"fixed_params": self._space.to_optuna(config)}
        template = create_trial(state=TrialState.RUNNING, system_attrs=fixed, user_attrs=dict(attributes))
        return Trial(self._study, self._storage.create_new_trial(self._id, template))

    def _begin(self, trial: Trial) -> TrialRecord:
        retry = trial.user_attrs.get(RETRY, {})
        origin, attempt = retry.get("origin", trial.number), retry.get("attempt", 0)
        seed = derive_seed(self._seed, origin)
        config: Mapping[str, Any] = {}
        try:
            with warnings.catch_warnings():
                # Optuna warns of values out of range, and keeps them; they are refused below.
                warnings.filterwarnings("ignore", message="Fixed parameter")
                config = self._space.suggest(trial)
            error = "; ".join(f"{name} {complaint}" for name, complaint in self._space.complaints(config).items())
        except ValueError as problem:
            error = str(problem)
        trial.set_user_attr(JOB, {"config": config, "seed": seed})
        # A kill from here on leaves on record what is to be run again.
        self._storage.flush()
        self._handed_out.add(_text(config))
        record = TrialRecord(trial.number, "running", config, seed, origin, attempt, started=datetime.now())
        if error:
            return self.end(replace(record, state="failed", failure="invalid", error=error))
        self._running[trial.number] = trial
        return record


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
    data: Mapping[str, Any] = field(default_factory=dict)
    """What is known of the dataset, by `hpo.data.store.info_as_json`."""


def open_study(url: str, name: str, definition: Definition, spec: StudySpec) -> Study:
    """Creates a study, or opens it to go on; the caller holds its lock.

    Raises:
        UserError: the database cannot be opened.
        StudyMismatch: a study of this name was defined otherwise; the message shows each difference.
    """
    storage = BatchedStorage(open_database(url))
    identity = json.loads(json.dumps(definition.identity))
    direction = definition.identity["objective"]["direction"]
    study = optuna.create_study(study_name=name, storage=storage, direction=direction, load_if_exists=True)
    known = study.user_attrs.get(IDENTITY)
    if known is None:
        if study.get_trials(deepcopy=False) or [one.name.lower() for one in study.directions] != [direction]:
            raise StudyMismatch(f"study {name} in {masked(url)} was not made by hpo; choose another name with --name")
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", optuna.exceptions.ExperimentalWarning)
            study.set_metric_names([definition.identity["objective"]["metric"]])
        study.set_user_attr(FILES, dict(definition.files))
        study.set_user_attr(EXPERIMENT, dict(definition.experiment))
        study.set_user_attr(VERSIONS, versions())
        study.set_user_attr(IDENTITY, identity)
    elif found := list(differences(known, identity)):
        raise StudyMismatch(
            f"study {name} was defined otherwise:\n"
            + "\n".join(f"  {line}" for line in found)
            + "\nstart another study with --name, or undo the change to go on with this one"
        )
    if definition.data and DATA not in study.user_attrs:
        study.set_user_attr(DATA, dict(definition.data))
    return Study(storage, name, definition, spec)


@contextmanager
def discarded_if_unused(study: Study) -> Iterator[None]:
    """Takes a study out of the store again if an error ends the block before its first trial."""
    try:
        yield
    except Exception:
        if study.unused:
            study.discard()
        raise


def tell(storage: BaseStorage, study: optuna.Study, record: TrialRecord) -> TrialRecord:
    """Writes the end of a trial; returns its record with its times."""
    study_id = storage.get_study_id_from_name(study.study_name)
    trial_id = storage.get_trial_id_from_study_id_trial_number(study_id, record.number)
    # The state comes last: a trial that counts as ended has all its results.
    storage.set_trial_user_attr(trial_id, RESULT, result_of(record))
    for name, score in record.test.items():
        storage.set_trial_user_attr(trial_id, f"test_{name}", score)
    state = next(state for state, name in STATES.items() if name == record.state)
    value = record.value if state is TrialState.COMPLETE else None
    return record_of(study.tell(record.number, value, state))


def _text(config: Mapping[str, Any]) -> str:
    return json.dumps(config, sort_keys=True)


def _to_run_again(trials: Sequence[FrozenTrial], retries: int) -> Iterator[FrozenTrial]:
    """The failed trials whose configuration is to be run again, and is not yet."""
    latest: dict[int, FrozenTrial] = {}
    deaths: Counter[int] = Counter()
    for trial in trials:
        latest[origin_of(trial)] = trial
        deaths[origin_of(trial)] += failure_of(trial) in RETRIED
    for origin, trial in latest.items():
        failure = failure_of(trial)
        if failure in GIVEN_BACK or (failure in RETRIED and deaths[origin] <= retries):
            yield trial


def _not_yet(configs: Sequence[dict[str, Any]], trials: Sequence[FrozenTrial]) -> dict[str, Any] | None:
    """The first configuration of the file's list that no trial was begun with."""
    begun = [trial.user_attrs[ENQUEUED] for trial in trials if ENQUEUED in trial.user_attrs]
    return next((config for config in configs if config not in begun), None)


def differences(known: Any, wanted: Any, key: str = "") -> Iterator[str]:
    """What differs between two definitions, a line for each key: `training.epochs: 20 -> 40`."""
    if isinstance(known, dict) and isinstance(wanted, dict):
        for name in dict.fromkeys((*known, *wanted)):
            yield from differences(known.get(name), wanted.get(name), f"{key}.{name}" if key else name)
    elif known != wanted:
        yield f"{key}: {json.dumps(known)} -> {json.dumps(wanted)}"
