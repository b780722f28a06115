"""The record: an Optuna study that its one coordinator opens, checks, writes and resumes."""

import json
import warnings
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field, replace
from typing import Any

import optuna
from optuna.storages import BaseStorage
from optuna.trial import FrozenTrial, TrialState

from hpo.config.experiment import StudySpec
from hpo.config.redacted import kept_experiment, kept_files
from hpo.config.resolved import Resolved
from hpo.config.space import SearchSpace
from hpo.errors import StoreAway, StudyBusy, StudyMismatch, UserError
from hpo.storage.batched import BatchedStorage
from hpo.storage.database import Warn
from hpo.storage.lock_holder import Lock
from hpo.storage.writer import Writer
from hpo.study.proposals import Found, Tried, Wish, begun, may_run_again, not_yet, to_run_again, tried_again
from hpo.study.record import TrialRecord
from hpo.study.samplers import derive_seed, make_pruner
from hpo.study.stored import (
    DATA,
    DECLARED,
    ENQUEUED,
    EXPERIMENT,
    FILES,
    FOLDERS,
    IDENTITY,
    JOB,
    RESULT,
    RETRY,
    VERSIONS,
    config_of,
    job_of,
    opened_patiently,
    origin_of,
    own,
    record_of,
    records_of,
    result_of,
)
from hpo.study.told_to_optuna import as_sampled, told_state
from hpo.system.versions import versions
from hpo.text.credentials import hidden_in
from hpo.text.urls import masked


class Study:
    """An Optuna study, written by one coordinator alone; `hpo.storage.lock` sees to that."""

    def __init__(self, storage: BatchedStorage, name: str, definition: "Definition", spec: StudySpec) -> None:
        pruner = make_pruner(spec.pruner, definition.epochs)
        self._study = optuna.load_study(study_name=name, storage=storage, pruner=pruner)
        self._storage = storage
        self._id = storage.get_study_id_from_name(name)
        self._spec = spec
        self._seed = definition.identity["seed"]
        self._running: dict[int, int] = {}
        # Of the file's list, what some trial had been begun with in other words.
        self._passed: list[Mapping[str, Any]] = []
        self._tried = Tried(self._study, storage, spec, self._seed)
        self.widen(definition.space)

    @property
    def store(self) -> Writer:
        """Who does what is to be done with the store."""
        return self._storage.writer

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
        endless = space.uncountable() if self._spec.sampler.name == "grid" else []
        if endless:
            raise UserError(f"sampler grid needs a step, or choices, for {', '.join(endless)}")
        self._space = space
        self._tried.widen(space)
        self._exhausted = False

    @property
    def exhausted(self) -> bool:
        """Whether a configuration was wanted, and every one of the space has been tried."""
        return self._exhausted

    def recover(self) -> list[TrialRecord]:
        """Fails what a killed coordinator left running, with reason lost; returns those trials."""
        running = [trial for trial in self._study.get_trials(deepcopy=False) if trial.state is TrialState.RUNNING]
        lost: dict[str, Any] = {"state": "failed", "failure": "lost", "error": "its coordinator was killed"}
        return [self.end(replace(record_of(trial), **lost, value=None, ended_by=None)) for trial in running]

    def ask(self, trials: int | None) -> TrialRecord | None:
        """The next configuration, or None where `trials` of them have been begun, or none is left to be tried.

        First what is to be run again (given back, lost, its worker died), then what others enqueued, then the
        file's own list, then the grid's or the sampler's next. None is handed out twice but to be run again. An
        enqueued configuration that the space does not allow, or that was tried, comes back as a failed trial, with
        reason invalid.

        Raises:
            NotNow: the store is away; to be asked again.
        """
        with self._storage.promptly():
            self._storage.refresh(self._id)
            stray = self._storage.stray(self._id)
            return self._ask(trials) if stray is None else self._take_up(stray)

    def _ask(self, trials: int | None) -> TrialRecord | None:
        known = own(self._study.get_trials(deepcopy=False))
        origins = begun(known)
        for failed in to_run_again(known, self._spec.retries):
            # The same ordinal again: where a kill left less than the whole configuration, the rest is drawn as it was.
            ordinal, config = origins.index(origin_of(failed)), config_of(failed)
            record = self._next(Wish(ordinal, config, {RETRY: tried_again(failed)}, again=config))
            if record is not None:
                return record
        ordinal = len(origins)
        if trials is not None and ordinal >= trials:
            return None
        if any(trial.state is TrialState.WAITING for trial in known):
            return self._next(Wish(ordinal, waits=True))
        while (listed := not_yet(self._spec.enqueue, known, self._passed)) is not None:
            if (record := self._next(Wish(ordinal, listed, {ENQUEUED: listed}))) is not None:
                return record
            self._passed.append(listed)
        return None if self._exhausted else self._unlisted(ordinal, trials)

    def _unlisted(self, ordinal: int, trials: int | None) -> TrialRecord | None:
        """The grid's or the sampler's next."""
        if self._spec.sampler.name == "grid":
            config = self._tried.untried({})
            record = None if config is None else self._next(Wish(ordinal, config))
            # Without a number a grid is done at its end.
            self._exhausted = record is None and trials is not None
            return record
        record = self._next(Wish(ordinal))
        self._exhausted = record is None
        return record

    def will_run_again(self, record: TrialRecord) -> bool:
        """Whether the configuration of a failed trial is to be run again."""
        known = self._study.get_trials(deepcopy=False)
        return any(trial.number == record.number for trial in to_run_again(known, self._spec.retries))

    def resolve(self, record: TrialRecord, resolved: Resolved | None) -> TrialRecord:
        """Keeps with a trial that was begun what it resolved to; returns its record."""
        record = replace(record, resolved=resolved)
        self._storage.set_trial_user_attr(self._running[record.number], JOB, job_of(record))
        return record

    def report(self, number: int, epoch: int, value: float) -> bool:
        """Records the objective after an epoch; returns whether the pruner would stop the trial."""
        trial_id = self._running[number]
        self._storage.set_trial_intermediate_value(trial_id, epoch, value)
        return self._study.pruner.prune(self._study, self._storage.get_trial(trial_id))

    def end(self, record: TrialRecord) -> TrialRecord:
        """Tells the end of a trial; what is told is kept. Returns the record with its times."""
        began_here = self._running.pop(record.number, None) is not None
        known = self._study.get_trials(deepcopy=False)
        final = not may_run_again(record, known, self._spec.retries)
        return tell(self._storage, self._study, record, instructive=began_here and final)

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

    def _next(self, wish: Wish) -> TrialRecord | None:
        """Begins a trial: its row and its parameters are written at once, so that no kill comes between them."""
        with self._storage.drafting(self._id), warnings.catch_warnings():
            # Optuna warns of values out of range, and keeps them; they are refused below.
            warnings.filterwarnings("ignore", message="Fixed parameter")
            found = self._tried.find(wish)
            if found is None and wish.waits:
                found = self._tried.repeated(wish)
            return None if found is None else self._begin(found)

    def _begin(self, found: Found) -> TrialRecord:
        drafted, config = found.trial, found.config
        retry = drafted.user_attrs.get(RETRY, {})
        attempt, seed = retry.get("attempt", 0), derive_seed(self._seed, retry.get("origin", drafted.number))
        drafted.set_user_attr(JOB, {"config": config, "seed": seed})
        trial = self._storage.keep()
        origin = retry.get("origin", trial.number)
        if origin != retry.get("origin", drafted.number):
            # Somebody enqueued a trial meanwhile, which has the number that this one was to have.
            seed = derive_seed(self._seed, origin)
            self._storage.set_trial_user_attr(trial._trial_id, JOB, {"config": config, "seed": seed})
            self._storage.flush()
        return self._begun(trial, TrialRecord(trial.number, "running", config, seed, origin, attempt), found.error)

    def _take_up(self, trial: FrozenTrial) -> TrialRecord:
        """Goes on with a trial that was written, though nobody heard of that."""
        record = record_of(trial)
        # Its number may be another than the one that its seed was made with.
        seed = derive_seed(self._seed, record.origin)
        self._storage.set_trial_user_attr(trial._trial_id, JOB, {"config": record.params, "seed": seed})
        self._storage.flush()
        complaints = self._space.complaints(record.params) if record.params else {"configuration": "cannot be made"}
        error = "; ".join(f"{name} {complaint}" for name, complaint in complaints.items())
        return self._begun(trial, replace(record, seed=seed), error)

    def _begun(self, trial: FrozenTrial, record: TrialRecord, error: str) -> TrialRecord:
        record = replace(record, started=trial.datetime_start)
        if error:
            return self.end(replace(record, state="failed", failure="invalid", error=error))
        self._tried.add(record.params, trial.number)
        self._running[trial.number] = trial._trial_id
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
    """What is known of the dataset, by `hpo.data.shared_folder.info_as_json`."""
    folders: Sequence[str] = ()
    """Where relative paths and import paths of the user's are looked for, in this order."""


def open_study(
    url: str, name: str, definition: Definition, spec: StudySpec, lock: Lock | None = None, warn: Warn | None = None
) -> Study:
    """Creates a study, or opens it to go on; the caller holds its lock.

    Raises:
        UserError: the database cannot be opened.
        StoreAway: it is away, for longer than it is waited for.
        StudyMismatch: a study of this name was defined otherwise; the message shows each difference.
    """
    storage = BatchedStorage(opened_patiently(url, warn=warn), lock, warn, as_sampled)
    identity = json.loads(json.dumps(definition.identity))
    direction = definition.identity["objective"]["direction"]
    study = optuna.create_study(study_name=name, storage=storage, direction=direction, load_if_exists=True)
    known = hidden_in(study.user_attrs.get(IDENTITY))
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
            + f"\nundo the change to go on with this one, start another with --name, or {_taken_over(name, found)}"
        )
    # An older hpo kept where things are stored, with passwords.
    for key, kept in ((FILES, kept_files), (EXPERIMENT, kept_experiment)):
        if (now := kept(was := study.user_attrs.get(key, {}))) != was:
            study.set_user_attr(key, now)
    if definition.data and DATA not in study.user_attrs:
        study.set_user_attr(DATA, dict(definition.data))
    if definition.folders and list(definition.folders) != study.user_attrs.get(FOLDERS):
        # The last ones: whoever moved the experiment and ran it again has it where it is now.
        study.set_user_attr(FOLDERS, list(definition.folders))
    return Study(storage, name, definition, spec)


@contextmanager
def discarded_if_unused(study: Study) -> Iterator[None]:
    """Takes a study out of the store again if an error or a signal ends the block before its first trial."""
    try:
        yield
    except BaseException:
        if study.unused:
            # Where the store is away, or another's by now, the study stays.
            with suppress(StoreAway, StudyBusy):
                study.discard()
        raise


def tell(storage: BaseStorage, study: optuna.Study, record: TrialRecord, instructive: bool = False) -> TrialRecord:
    """Writes the end of a trial; returns its record with its times.

    `instructive`: whether samplers shall learn from its failure, which says something of a whole configuration.
    """
    study_id = storage.get_study_id_from_name(study.study_name)
    trial_id = storage.get_trial_id_from_study_id_trial_number(study_id, record.number)
    # The state comes last: a trial that counts as ended has all its results.
    storage.set_trial_user_attr(trial_id, RESULT, result_of(record))
    for name, score in record.test.items():
        storage.set_trial_user_attr(trial_id, f"test_{name}", score)
    state = told_state(record, instructive)
    if record.state == "failed" and state is TrialState.PRUNED:
        # Optuna's own `tell` would take the last epoch's value for the trial's.
        storage.set_trial_state_values(trial_id, state)
        return record_of(storage.get_trial(trial_id))
    value = record.value if state is TrialState.COMPLETE else None
    return record_of(study.tell(record.number, value, state))


def _taken_over(name: str, found: Sequence[str]) -> str:
    """The command by which a changed study has the use of the trials of the one before."""
    if all(line.startswith("search_space.parameters") for line in found):
        return f"take over the trials that lie within the changed ranges: hpo extend {name} EXPERIMENT --name NEW"
    return f"start a study that learns from its trials: hpo warm-start EXPERIMENT --from {name} --name NEW"


def differences(known: Any, wanted: Any, key: str = "") -> Iterator[str]:
    """What differs between two definitions, a line for each key: `training.epochs: 20 -> 40`."""
    if isinstance(known, dict) and isinstance(wanted, dict):
        for name in dict.fromkeys((*known, *wanted)):
            yield from differences(known.get(name), wanted.get(name), f"{key}.{name}" if key else name)
    elif known != wanted:
        yield f"{key}: {json.dumps(known)} -> {json.dumps(wanted)}"
