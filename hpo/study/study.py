"""The record: an Optuna study that its one coordinator opens, checks, writes and resumes."""

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
from hpo.study.next_configuration import Found, Tried, Wish, begun, not_yet
from hpo.study.record import TrialRecord, failed, lost
from hpo.study.retries import may_run_again, to_run_again, tried_again
from hpo.study.samplers import derive_seed, make_pruner
from hpo.study.stored_trial import config_of, job_of, origin_of, own, record_of, records_of
from hpo.study.tell import tell


class Study:
    """An Optuna study, written by one coordinator alone; `hpo.storage.lock` sees to that."""

    def __init__(self, storage: BatchedStorage, name: str, definition: Definition, spec: StudySpec) -> None:
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
        self._space = definition.space
        stored = self._study.user_attrs.get(DECLARED)
        self._declared = definition.declared if stored is None else Declared(stored)
        self._widen()

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
        """What its trials vary: the file's, and what the model declares."""
        return self._whole_space

    def trials(self) -> list[TrialRecord]:
        """All trials, but those that only wait to be handed out."""
        return records_of(self._study.get_trials(deepcopy=False))

    @property
    def unused(self) -> bool:
        """Whether nothing is in it: no trial of its own, and none that was observed elsewhere."""
        return not self._study.get_trials(deepcopy=False)

    def _widen(self) -> None:
        """Goes on with all that the model is known to declare.

        Raises:
            UserError: a grid cannot run through them.
        """
        space = self._declared.added_to(self._space)
        endless = space.uncountable() if self._spec.sampler.name == "grid" else []
        if endless:
            raise UserError(f"sampler grid needs a step, or choices, for {', '.join(endless)}")
        self._whole_space = space
        self._tried.widen(space)
        self._exhausted = False

    @property
    def exhausted(self) -> bool:
        """Whether a configuration was wanted, and every one of the space has been tried."""
        return self._exhausted

    def recover(self) -> list[TrialRecord]:
        """Fails what a killed coordinator left running, with reason lost; returns those trials."""
        running = [trial for trial in self._study.get_trials(deepcopy=False) if trial.state is TrialState.RUNNING]
        return [self.end(lost(record_of(trial))) for trial in running]

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
        for last in to_run_again(known, self._spec.retries):
            # The same ordinal again: where a kill left less than the whole configuration, the rest is drawn as it was.
            ordinal, config = origins.index(origin_of(last)), config_of(last)
            record = self._next(Wish(ordinal, config, {RETRY: tried_again(last)}, again=config))
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

    def declare(self, found: Declared) -> None:
        """Keeps what a trial's model declared beyond what was known: later trials, also of the next run, vary it.

        Raises:
            UserError: a grid cannot run through it.
        """
        self._declared = self._declared.widened(found)
        self._study.set_user_attr(DECLARED, self._declared.config)
        self._widen()

    @property
    def declared(self) -> Declared:
        """What the model is known to declare."""
        return self._declared

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
            self._storage.set_trial_user_attr(key_of(trial), JOB, {"config": config, "seed": seed})
            self._storage.flush()
        return self._begun(trial, TrialRecord(trial.number, "running", config, seed, origin, attempt), found.error)

    def _take_up(self, trial: FrozenTrial) -> TrialRecord:
        """Goes on with a trial that was written, though nobody heard of that."""
        record = record_of(trial)
        # Its number may be another than the one that its seed was made with.
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
        self._tried.add(record.params, trial.number)
        self._running[trial.number] = key_of(trial)
        return record
