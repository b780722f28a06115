"""A study's trials in Optuna: what its one coordinator asks for, writes and resumes."""

import warnings
from collections.abc import Collection, Mapping
from contextlib import nullcontext
from dataclasses import asdict, replace
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
from hpo.study.alone import Alone
from hpo.study.attributes import DECLARED, ENQUEUED, EXPECTED, JOB, RESULT, RETRY
from hpo.study.definition import Definition
from hpo.study.failure import Failure
from hpo.study.known_trials import KnownTrials
from hpo.study.more_epochs import to_lengthen
from hpo.study.next_configuration import ConfigurationFinder, Found, Wish, next_enqueued
from hpo.study.record import Reached, TrialRecord, failed, lost
from hpo.study.retries import next_attempt
from hpo.study.samplers import derive_seed, make_pruner
from hpo.study.scheduled import Scheduled
from hpo.study.stored_trial import config_of, has_paused, job_of, origin_of, record_of, records_of
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
        self.name, self.definition, self._seed = name, definition, definition.identity["seed"]
        self._running: dict[int, int] = {}
        # Entries of the file's list that mean a configuration which a trial was begun with already.
        self._skipped: list[Mapping[str, Any]] = []
        self._known = KnownTrials(storage, self._id, spec.retries)
        self._finder = ConfigurationFinder(self._study, storage, spec, self._seed)
        self._space = definition.space
        self.scheduled = Scheduled(spec, definition)
        """Its schedule, and the trials as that sees them."""
        self._alone = Alone(self._known, self.scheduled, self._running)
        self._step: Step | None = None
        stored = self._study.user_attrs.get(DECLARED)
        self.declared = definition.declared if stored is None else Declared(stored)
        """The parameters that the model is known to declare."""
        self.exhausted = False
        """Whether another configuration was asked for after all of the space had been tried."""
        self._widen()

    @property
    def store(self) -> Writer:
        """The thread that reads and writes the store."""
        return self._storage.writer

    @property
    def space(self) -> SearchSpace:
        """The search space of its trials: the file's, with the parameters that the model declares itself."""
        return self._whole_space

    def trials(self) -> list[TrialRecord]:
        """All trials, without those that still wait to be handed out."""
        return records_of(self._study.get_trials(deepcopy=False))

    def _widen(self) -> None:
        """Adds all parameters that the model is known to declare to the space.

        Raises:
            UserError: a grid cannot enumerate them.
        """
        space = self.declared.added_to(self._space)
        if self._spec.sampler.name == "grid" and (endless := space.uncountable()):
            raise UserError(f"sampler grid needs a step, or choices, for {', '.join(endless)}")
        self._whole_space = space
        self._finder.widen(space)
        self.scheduled.read(space, self._study.get_trials(deepcopy=False))
        self.exhausted = self._used_up = False

    def recover(self, resumable: Collection[int] = ()) -> list[TrialRecord]:
        """Marks trials that a killed coordinator left running as failed, with reason lost; returns them.

        Those that had paused stay, if they are among the `resumable`: there is a checkpoint of them. Of these, trials
        that ended only since an earlier run did may go on too, under their numbers; and those that came to the last of
        fewer epochs, in other attempts. The store has all this afterwards.

        Raises:
            StoreAway: the store has been away for too long.
        """
        trials = self._study.get_trials(deepcopy=False)
        running = [trial for trial in trials if trial.state is TrialState.RUNNING]
        waiting = {trial.number: key_of(trial) for trial in running if has_paused(trial) and trial.number in resumable}
        self._running |= waiting
        for key in waiting.values():
            self._storage.take_over(key)
        self.scheduled.rest(trials, resumable)
        # Those that go on now that the study has more epochs.
        self.lengthened = to_lengthen(trials, self.definition, resumable)
        self._known.attempts.lengthen(self.lengthened)
        ended = [self.end(lost(record_of(trial))) for trial in running if trial.number not in waiting]
        self.store.drain()
        return ended

    def ask(self, trials: int | None) -> TrialRecord | None:
        """Begins the next trial, or goes on with a paused one, as the schedule decides; None if there is nothing to do.

        None is begun if `trials` configurations have been begun, or none is left to be tried. First come configurations
        that are to be run again (interrupted, lost, their worker died, or they have more epochs now), then those that
        others enqueued, then the file's `enqueue` list, then the grid's, the schedule's or the sampler's next. Only to
        be run again is one handed out twice. An enqueued one that the space does not allow, or that was tried, comes
        back as a failed trial with reason invalid.

        Raises:
            NotNow: the store is away; ask again later.
        """
        with self._storage.promptly():
            self._storage.refresh(self._id)
            if (stray := self._storage.stray(self._id)) is not None:
                return self._take_up(stray)
            self.scheduled.trials = trials
            again = self._known.attempts.to_run_again
            return None if self._alone.waits(*again[:1]) else self._again() or self._scheduled_next()

    def _again(self) -> TrialRecord | None:
        """Begins a trial with a configuration that is to be run again."""
        for last in map(self._known.trial, self._known.attempts.to_run_again):
            # The same ordinal again: if a kill left only a part of the configuration, the rest is drawn as before.
            ordinal, config = self._known.ordinal(origin_of(last)), config_of(last)
            if record := self._next(Wish(ordinal, config, {RETRY: next_attempt(last)}, again=config)):
                return record
        return None

    def _scheduled_next(self) -> TrialRecord | None:
        self._step = step = self.scheduled.next(self._may_begin())
        if isinstance(step, Wait) or (isinstance(step, GoOn) and self._alone.waits(step.trial)):
            return None
        if isinstance(step, GoOn):
            trial = self._known.going_on(step.trial)
            self._running[trial.number] = key_of(trial)
            self.scheduled.go_on(step)
            return replace(record_of(trial), why=step.why)
        record = self._begin_next()
        if record is None and not self._used_up:
            # Nothing is left to begin, but paused trials may go on.
            self._used_up = True
            return self._scheduled_next()
        return record

    def _begin_next(self) -> TrialRecord | None:
        """Begins a trial with a configuration that was enqueued, or else with the next that is found."""
        ordinal = self._known.begun
        if self._known.waits:
            return self._next(Wish(ordinal, waits=True))
        while (listed := next_enqueued(self._spec.enqueue, [*self._known.enqueued, *self._skipped])) is not None:
            config = self._proposed(ordinal, listed) or listed
            if (record := self._next(Wish(ordinal, config, {ENQUEUED: listed}))) is not None:
                return record
            self._skipped.append(listed)
        return None if self._used_up else self._unlisted(ordinal)

    def _may_begin(self) -> bool:
        most = self.scheduled.trials
        return (most is None or self._known.begun < most) and (not self._used_up or self._known.waits)

    def _proposed(self, ordinal: int, fixed: Mapping[str, Any]) -> Mapping[str, Any] | None:
        """The schedule's proposal with some values fixed; None if the sampler is to propose."""
        if not self.scheduled.proposes or self._whole_space.complaints(fixed):
            return None
        return self.scheduled.proposal(ordinal, fixed, lambda config: self._finder.first_trial(config) is not None)

    def _unlisted(self, ordinal: int) -> TrialRecord | None:
        """Begins a trial with the next configuration of the grid or the sampler."""
        if self._spec.sampler.name == "grid":
            config = self._finder.untried({})
            record = None if config is None else self._next(Wish(ordinal, config))
            # Where no number of trials is set, a grid is done at its end, not exhausted.
            self.exhausted = record is None and self.scheduled.trials is not None
            return record
        first = {} if ordinal else self._whole_space.defaults()
        record = self._next(Wish(ordinal, self._proposed(ordinal, first) or first))
        self.exhausted = record is None
        return record

    def trains_alone(self, record: TrialRecord) -> bool:
        """Whether no other trial trains while a trial does: its configuration ran out of memory before."""
        return self._alone.needs(record.number)

    def will_run_again(self, record: TrialRecord) -> bool:
        """Whether the configuration of a failed trial will be run again."""
        return record.number in self._known.attempts.to_run_again

    def resolve(self, record: TrialRecord, resolved: Resolved | None) -> TrialRecord:
        """Stores all settings of a trial that was begun; returns its record."""
        record = replace(record, resolved=resolved)
        self._storage.set_trial_user_attr(self._running[record.number], JOB, job_of(record))
        return record

    def report(self, number: int, reached: Reached, may_pause: bool) -> Verdict:
        """Records the objective after an epoch; returns what the schedule, or the pruner, would have the trial do."""
        trial_id = self._running[number]
        self._storage.set_trial_intermediate_value(trial_id, reached.step, reached.value)
        self.scheduled.unit_done(number, reached.value, reached.seconds)
        if self.scheduled.pauses:
            return self.scheduled.verdict(number, self._may_begin(), may_pause)
        return "stop" if self._study.pruner.prune(self._study, self._storage.get_trial(trial_id)) else "proceed"

    def pause(self, record: TrialRecord) -> None:
        """Stores how far a trial has come that paused. For Optuna it runs on; samplers see it as pruned."""
        self._storage.set_trial_user_attr(self._running[record.number], RESULT, result_of(record))
        with self._storage.batches.unhurried():
            self._storage.flush()
        self.scheduled.pause(record.number)

    def start_over(self, number: int) -> None:
        """A trial that was to go on begins with its first epoch again."""
        self.scheduled.start_over(number)

    def end(self, record: TrialRecord) -> TrialRecord:
        """Records the end of a trial, and returns it with its times. The end holds even while the store is away."""
        began_here = self._running.pop(record.number, None) is not None
        final = not self._known.attempts.will_run_again(record)
        # What a paused trial ends with is stored already: nothing is lost if that it ends is written a moment later.
        waits = nullcontext() if self.scheduled.trains(record.number) else self._storage.batches.unhurried()
        self.scheduled.end(record)
        with waits:
            return tell(self._storage, self._study, record, instructive=began_here and final)

    def discard_if_unused(self) -> None:
        """Deletes the study from the store if it has no trials of its own, and none of other studies."""
        if not self._study.get_trials(deepcopy=False):
            optuna.delete_study(study_name=self.name, storage=self._storage)

    def declare(self, found: Declared) -> None:
        """Stores parameters that a trial's model newly declared: later trials vary them, in later runs too.

        Raises:
            UserError: a grid cannot enumerate them.
        """
        self.declared = self.declared.widened(found)
        self._study.set_user_attr(DECLARED, self.declared.config)
        self._widen()

    def _next(self, wish: Wish) -> TrialRecord | None:
        """Begins a trial: its row and its parameters are written together, so that no kill can come between them."""
        with self._storage.drafting(self._id), warnings.catch_warnings():
            # Optuna warns about values out of range, and accepts them; they are refused below.
            warnings.filterwarnings("ignore", message="Fixed parameter")
            found = self._finder.find(wish) or (self._finder.repeated(wish) if wish.waits else None)
            return None if found is None else self._begin(found)

    def _begin(self, found: Found) -> TrialRecord:
        drafted, config = found.trial, found.config
        retry = drafted.user_attrs.get(RETRY, {})
        attempt, seed = retry.get("attempt", 0), derive_seed(self._seed, retry.get("origin", drafted.number))
        drafted.set_user_attr(JOB, {"config": config, "seed": seed})
        if (expected := self.scheduled.expected) is not None:
            drafted.set_user_attr(EXPECTED, asdict(expected))
        trial = self._storage.keep()
        origin = retry.get("origin", trial.number)
        if origin != retry.get("origin", drafted.number):
            # Another process enqueued a trial meanwhile, which got the number that this one was to have.
            seed = self._with_new_seed(trial, config, origin)
        return self._begun(trial, TrialRecord(trial.number, "running", config, seed, origin, attempt), found.error)

    def _take_up(self, trial: FrozenTrial) -> TrialRecord:
        """Continues with a trial that was written to the store although the write seemed to fail."""
        record = record_of(trial)
        # Its number may differ from the one that its seed was made with.
        seed = self._with_new_seed(trial, record.params, record.origin)
        none = {"configuration": "cannot be made"}
        complaints = self._whole_space.complaints(record.params) if record.params else none
        error = "; ".join(f"{name} {complaint}" for name, complaint in complaints.items())
        return self._begun(trial, replace(record, seed=seed), error)

    def _with_new_seed(self, trial: FrozenTrial, config: Mapping[str, Any], origin: int) -> int:
        seed = derive_seed(self._seed, origin)
        self._storage.set_trial_user_attr(key_of(trial), JOB, {"config": config, "seed": seed})
        self._storage.flush()
        return seed

    def _begun(self, trial: FrozenTrial, record: TrialRecord, error: str) -> TrialRecord:
        record = replace(record, started=trial.datetime_start)
        if error:
            return self.end(failed(record, Failure("invalid", error)))
        self._finder.add(record.params, trial.number)
        self._running[trial.number] = key_of(trial)
        self.scheduled.begin(record, self._step)
        return replace(record, why=self.scheduled.why(trial.number))
