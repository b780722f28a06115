"""A study's trials in Optuna: what its one coordinator asks for, writes and resumes."""

import warnings
from collections.abc import Mapping
from dataclasses import replace
from typing import Any

import optuna
from optuna.trial import FrozenTrial, TrialState

from hpo.config.declared import Declared
from hpo.config.experiment import StudySpec
from hpo.config.resolved import Resolved
from hpo.config.space import SearchSpace
from hpo.errors import UserError
from hpo.storage.batched_storage import BatchedStorage
from hpo.storage.optuna_compat import key_of
from hpo.storage.writer import Writer
from hpo.study.attributes import DECLARED, ENQUEUED, JOB, RETRY
from hpo.study.definition import Definition
from hpo.study.failure import Failure
from hpo.study.next_configuration import ConfigurationFinder, Found, Wish, first_trials, next_enqueued
from hpo.study.record import TrialRecord, failed, lost
from hpo.study.retries import next_attempt, to_run_again, will_run_again
from hpo.study.samplers import derive_seed, make_pruner
from hpo.study.stored_trial import config_of, job_of, origin_of, own_trials, record_of, records_of
from hpo.study.tell import tell


class Study:
    """An Optuna study, written by one coordinator only; `hpo.storage.lock` ensures that."""

    def __init__(self, storage: BatchedStorage, name: str, definition: Definition, spec: StudySpec) -> None:
        pruner = make_pruner(spec.pruner, definition.epochs)
        self._study = optuna.load_study(study_name=name, storage=storage, pruner=pruner)
        self._storage = storage
        self._id = storage.get_study_id_from_name(name)
        self._spec = spec
        self._seed = definition.identity["seed"]
        self._running: dict[int, int] = {}
        # Entries of the file's list that mean a configuration which a trial was begun with already.
        self._skipped: list[Mapping[str, Any]] = []
        self._finder = ConfigurationFinder(self._study, storage, spec, self._seed)
        self._space = definition.space
        stored = self._study.user_attrs.get(DECLARED)
        self._declared = definition.declared if stored is None else Declared(stored)
        self._widen()

    @property
    def store(self) -> Writer:
        """The thread that reads and writes the store."""
        return self._storage.writer

    @property
    def name(self) -> str:
        """The study's name."""
        return self._study.study_name

    @property
    def space(self) -> SearchSpace:
        """The search space of its trials: the file's, with the parameters that the model declares itself."""
        return self._whole_space

    def trials(self) -> list[TrialRecord]:
        """All trials, without those that still wait to be handed out."""
        return records_of(self._study.get_trials(deepcopy=False))

    @property
    def unused(self) -> bool:
        """Whether it is empty: it has no trials of its own, and none of other studies."""
        return not self._study.get_trials(deepcopy=False)

    def _widen(self) -> None:
        """Adds all parameters that the model is known to declare to the space.

        Raises:
            UserError: a grid cannot enumerate them.
        """
        space = self._declared.added_to(self._space)
        endless = space.uncountable() if self._spec.sampler.name == "grid" else []
        if endless:
            raise UserError(f"sampler grid needs a step, or choices, for {', '.join(endless)}")
        self._whole_space = space
        self._finder.widen(space)
        self._exhausted = False

    @property
    def exhausted(self) -> bool:
        """Whether another configuration was asked for after all of the space had been tried."""
        return self._exhausted

    def recover(self) -> list[TrialRecord]:
        """Marks trials that a killed coordinator left running as failed, with reason lost; returns them."""
        running = [trial for trial in self._study.get_trials(deepcopy=False) if trial.state is TrialState.RUNNING]
        return [self.end(lost(record_of(trial))) for trial in running]

    def ask(self, trials: int | None) -> TrialRecord | None:
        """Begins the next trial; None if `trials` configurations have been begun, or none is left to be tried.

        First come configurations that are to be run again (interrupted, lost, or their worker died), then those that
        others enqueued, then the file's `enqueue` list, then the grid's or the sampler's next. No configuration is
        handed out twice, except to be run again. An enqueued configuration that the space does not allow, or that was
        tried, comes back as a failed trial with reason invalid.

        Raises:
            NotNow: the store is away; ask again later.
        """
        with self._storage.promptly():
            self._storage.refresh(self._id)
            stray = self._storage.stray(self._id)
            return self._ask(trials) if stray is None else self._take_up(stray)

    def _ask(self, trials: int | None) -> TrialRecord | None:
        known = own_trials(self._study.get_trials(deepcopy=False))
        origins = first_trials(known)
        for last in to_run_again(known, self._spec.retries):
            # The same ordinal again: if a kill left only a part of the configuration, the rest is drawn as before.
            ordinal, config = origins.index(origin_of(last)), config_of(last)
            record = self._next(Wish(ordinal, config, {RETRY: next_attempt(last)}, again=config))
            if record is not None:
                return record
        ordinal = len(origins)
        if trials is not None and ordinal >= trials:
            return None
        if any(trial.state is TrialState.WAITING for trial in known):
            return self._next(Wish(ordinal, waits=True))
        while (listed := next_enqueued(self._spec.enqueue, known, self._skipped)) is not None:
            if (record := self._next(Wish(ordinal, listed, {ENQUEUED: listed}))) is not None:
                return record
            self._skipped.append(listed)
        return None if self._exhausted else self._unlisted(ordinal, trials)

    def _unlisted(self, ordinal: int, trials: int | None) -> TrialRecord | None:
        """Begins a trial with the next configuration of the grid or the sampler."""
        if self._spec.sampler.name == "grid":
            config = self._finder.untried({})
            record = None if config is None else self._next(Wish(ordinal, config))
            # Where no number of trials is set, a grid is done at its end, not exhausted.
            self._exhausted = record is None and trials is not None
            return record
        record = self._next(Wish(ordinal))
        self._exhausted = record is None
        return record

    def will_run_again(self, record: TrialRecord) -> bool:
        """Whether the configuration of a failed trial will be run again."""
        known = self._study.get_trials(deepcopy=False)
        return any(trial.number == record.number for trial in to_run_again(known, self._spec.retries))

    def resolve(self, record: TrialRecord, resolved: Resolved | None) -> TrialRecord:
        """Stores all settings of a trial that was begun; returns its record."""
        record = replace(record, resolved=resolved)
        self._storage.set_trial_user_attr(self._running[record.number], JOB, job_of(record))
        return record

    def report(self, number: int, epoch: int, value: float) -> bool:
        """Records the objective after an epoch; returns whether the pruner would stop the trial."""
        trial_id = self._running[number]
        self._storage.set_trial_intermediate_value(trial_id, epoch, value)
        return self._study.pruner.prune(self._study, self._storage.get_trial(trial_id))

    def end(self, record: TrialRecord) -> TrialRecord:
        """Records the end of a trial, and returns it with its times. The end holds even while the store is away."""
        began_here = self._running.pop(record.number, None) is not None
        known = self._study.get_trials(deepcopy=False)
        final = not will_run_again(record, known, self._spec.retries)
        return tell(self._storage, self._study, record, instructive=began_here and final)

    def discard(self) -> None:
        """Deletes the study from the store."""
        optuna.delete_study(study_name=self.name, storage=self._storage)

    def declare(self, found: Declared) -> None:
        """Stores parameters that a trial's model newly declared: later trials vary them, in later runs too.

        Raises:
            UserError: a grid cannot enumerate them.
        """
        self._declared = self._declared.widened(found)
        self._study.set_user_attr(DECLARED, self._declared.config)
        self._widen()

    @property
    def declared(self) -> Declared:
        """The parameters that the model is known to declare."""
        return self._declared

    def _next(self, wish: Wish) -> TrialRecord | None:
        """Begins a trial: its row and its parameters are written together, so that no kill can come between them."""
        with self._storage.drafting(self._id), warnings.catch_warnings():
            # Optuna warns about values out of range, and accepts them; they are refused below.
            warnings.filterwarnings("ignore", message="Fixed parameter")
            found = self._finder.find(wish)
            if found is None and wish.waits:
                found = self._finder.repeated(wish)
            return None if found is None else self._begin(found)

    def _begin(self, found: Found) -> TrialRecord:
        drafted, config = found.trial, found.config
        retry = drafted.user_attrs.get(RETRY, {})
        attempt, seed = retry.get("attempt", 0), derive_seed(self._seed, retry.get("origin", drafted.number))
        drafted.set_user_attr(JOB, {"config": config, "seed": seed})
        trial = self._storage.keep()
        origin = retry.get("origin", trial.number)
        if origin != retry.get("origin", drafted.number):
            # Another process enqueued a trial meanwhile, which got the number that this one was to have.
            seed = derive_seed(self._seed, origin)
            self._storage.set_trial_user_attr(key_of(trial), JOB, {"config": config, "seed": seed})
            self._storage.flush()
        return self._begun(trial, TrialRecord(trial.number, "running", config, seed, origin, attempt), found.error)

    def _take_up(self, trial: FrozenTrial) -> TrialRecord:
        """Continues with a trial that was written to the store although the write seemed to fail."""
        record = record_of(trial)
        # Its number may differ from the one that its seed was made with.
        seed = derive_seed(self._seed, record.origin)
        self._storage.set_trial_user_attr(key_of(trial), JOB, {"config": record.params, "seed": seed})
        self._storage.flush()
        complaints = (
            self._whole_space.complaints(record.params) if record.params else {"configuration": "cannot be made"}
        )
        error = "; ".join(f"{name} {complaint}" for name, complaint in complaints.items())
        return self._begun(trial, replace(record, seed=seed), error)

    def _begun(self, trial: FrozenTrial, record: TrialRecord, error: str) -> TrialRecord:
        record = replace(record, started=trial.datetime_start)
        if error:
            return self.end(failed(record, Failure("invalid", error)))
        self._finder.add(record.params, trial.number)
        self._running[trial.number] = key_of(trial)
        return record
