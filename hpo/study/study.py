"""A study's trials in Optuna: what its one coordinator asks for, writes and resumes."""

import math
import warnings
from collections.abc import Collection, Mapping, Sequence
from dataclasses import replace
from typing import Any

import optuna
from optuna.trial import FrozenTrial, TrialState

from hpo.config.declared import Declared
from hpo.config.experiment import StudySpec
from hpo.config.resolved import Resolved
from hpo.config.space import SearchSpace
from hpo.errors import UserError
from hpo.schedule import GoOn, Step, Verdict, Wait
from hpo.storage.batched_storage import BatchedStorage
from hpo.storage.optuna_compat import key_of
from hpo.storage.writer import Writer
from hpo.study.attributes import DECLARED, ENQUEUED, JOB, RESULT, RETRY
from hpo.study.definition import Definition
from hpo.study.failure import Failure
from hpo.study.next_configuration import ConfigurationFinder, Found, Wish, first_trials, next_enqueued
from hpo.study.record import Reached, TrialRecord, failed, lost
from hpo.study.retries import next_attempt, to_run_again, will_run_again
from hpo.study.samplers import derive_seed, make_pruner
from hpo.study.scheduled import Scheduled
from hpo.study.stored_trial import config_of, has_paused, job_of, origin_of, own_trials, record_of, records_of
from hpo.study.tell import tell
from hpo.study.trial_results import result_of


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
        self._scheduled = Scheduled(spec, definition)
        self._trials: int | None = None
        self._step: Step | None = None
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
        self._scheduled.read(space, self._study.get_trials(deepcopy=False))
        self._exhausted = self._used_up = False

    @property
    def exhausted(self) -> bool:
        """Whether another configuration was asked for after all of the space had been tried."""
        return self._exhausted

    def recover(self, resumable: Collection[int] = ()) -> list[TrialRecord]:
        """Marks trials that a killed coordinator left running as failed, with reason lost; returns them.

        Those that had paused stay, if they are among the `resumable`: there is a checkpoint of them.
        """
        running = [trial for trial in self._study.get_trials(deepcopy=False) if trial.state is TrialState.RUNNING]
        waiting = {trial.number: key_of(trial) for trial in running if has_paused(trial) and trial.number in resumable}
        self._running |= waiting
        return [self.end(lost(record_of(trial))) for trial in running if trial.number not in waiting]

    def ask(self, trials: int | None) -> TrialRecord | None:
        """Begins the next trial, or goes on with a paused one, as the schedule decides; None if there is nothing to do.

        None is begun if `trials` configurations have been begun, or none is left to be tried. First come configurations
        that are to be run again (interrupted, lost, or their worker died), then those that others enqueued, then the
        file's `enqueue` list, then the grid's, the schedule's or the sampler's next. No configuration is handed out
        twice, except to be run again. An enqueued configuration that the space does not allow, or that was tried, comes
        back as a failed trial with reason invalid.

        Raises:
            NotNow: the store is away; ask again later.
        """
        with self._storage.promptly():
            self._storage.refresh(self._id)
            stray = self._storage.stray(self._id)
            if stray is not None:
                return self._take_up(stray)
            known = own_trials(self._study.get_trials(deepcopy=False))
            self._trials = trials
            return self._again(known) or self._scheduled_next(known)

    def _again(self, known: Sequence[FrozenTrial]) -> TrialRecord | None:
        """Begins a trial with a configuration that is to be run again."""
        origins = first_trials(known)
        for last in to_run_again(known, self._spec.retries):
            # The same ordinal again: if a kill left only a part of the configuration, the rest is drawn as before.
            ordinal, config = origins.index(origin_of(last)), config_of(last)
            record = self._next(Wish(ordinal, config, {RETRY: next_attempt(last)}, again=config))
            if record is not None:
                return record
        return None

    def _scheduled_next(self, known: Sequence[FrozenTrial]) -> TrialRecord | None:
        self._step = step = self._scheduled.next(self._may_begin())
        if isinstance(step, GoOn):
            self._scheduled.go_on(step)
            trial = next(trial for trial in known if trial.number == step.trial)
            return replace(record_of(trial), why=step.why)
        if isinstance(step, Wait):
            return None
        record = self._begin_next(known)
        if record is None and not self._used_up:
            # Nothing is left to begin, but paused trials may go on.
            self._used_up = True
            return self._scheduled_next(known)
        return record

    def _begin_next(self, known: Sequence[FrozenTrial]) -> TrialRecord | None:
        """Begins a trial with a configuration that was enqueued, or else with the next that is found."""
        ordinal = len(first_trials(known))
        if any(trial.state is TrialState.WAITING for trial in known):
            return self._next(Wish(ordinal, waits=True))
        while (listed := next_enqueued(self._spec.enqueue, known, self._skipped)) is not None:
            config = self._proposed(ordinal, listed) or listed
            if (record := self._next(Wish(ordinal, config, {ENQUEUED: listed}))) is not None:
                return record
            self._skipped.append(listed)
        return None if self._used_up else self._unlisted(ordinal)

    def _may_begin(self) -> bool:
        known = own_trials(self._study.get_trials(deepcopy=False))
        if self._trials is not None and len(first_trials(known)) >= self._trials:
            return False
        return not self._used_up or any(trial.state is TrialState.WAITING for trial in known)

    def _proposed(self, ordinal: int, fixed: Mapping[str, Any]) -> Mapping[str, Any] | None:
        """The schedule's proposal with some values fixed; None if the sampler is to propose."""
        if not self._scheduled.proposes or self._whole_space.complaints(fixed):
            return None
        return self._scheduled.proposal(ordinal, fixed, lambda config: self._finder.first_trial(config) is not None)

    def _unlisted(self, ordinal: int) -> TrialRecord | None:
        """Begins a trial with the next configuration of the grid or the sampler."""
        if self._spec.sampler.name == "grid":
            config = self._finder.untried({})
            record = None if config is None else self._next(Wish(ordinal, config))
            # Where no number of trials is set, a grid is done at its end, not exhausted.
            self._exhausted = record is None and self._trials is not None
            return record
        first = {} if ordinal else self._whole_space.defaults()
        record = self._next(Wish(ordinal, self._proposed(ordinal, first) or first))
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

    def report(self, number: int, reached: Reached, may_pause: bool) -> Verdict:
        """Records the objective after an epoch; returns what the schedule, or the pruner, would have the trial do."""
        trial_id = self._running[number]
        self._storage.set_trial_intermediate_value(trial_id, reached.step, reached.value)
        self._scheduled.unit_done(number, reached.value, reached.seconds)
        if self._scheduled.pauses:
            return self._scheduled.verdict(number, self._may_begin(), may_pause)
        return "stop" if self._study.pruner.prune(self._study, self._storage.get_trial(trial_id)) else "proceed"

    def pause(self, record: TrialRecord) -> None:
        """Stores how far a trial has come that paused. For Optuna it runs on; samplers see it as pruned."""
        self._storage.set_trial_user_attr(self._running[record.number], RESULT, result_of(record))
        self._storage.flush()
        self._scheduled.pause(record.number)

    def start_over(self, number: int) -> None:
        """A trial that was to go on begins with its first epoch again."""
        self._scheduled.start_over(number)

    def end_by(self, deadline: float | None) -> None:
        """Sets the deadline that the schedule plans for, by `time.monotonic`."""
        self._scheduled.deadline = math.inf if deadline is None else deadline

    def end(self, record: TrialRecord) -> TrialRecord:
        """Records the end of a trial, and returns it with its times. The end holds even while the store is away."""
        began_here = self._running.pop(record.number, None) is not None
        known = self._study.get_trials(deepcopy=False)
        final = not will_run_again(record, known, self._spec.retries)
        self._scheduled.end(record)
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
        self._scheduled.begin(trial.number, record.params, self._step)
        return replace(record, why=self._scheduled.why(trial.number))
