"""Optuna's storage for the one coordinator of a study: it reads from memory and writes in batches.

Optuna's own storage asks the database whenever a sampler or a pruner looks at the trials, and commits each value
separately. Since a study has one writer, memory and database agree; other processes may only add trials, which
`refresh` finds. A `Writer` does everything with the database, and waits for it while it is away. So a trial that ends
here has ended in memory at once.
"""

import copy
import time
import weakref
from collections.abc import Callable, Container, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import replace
from datetime import datetime
from typing import Any, TypeVar, final

from optuna.distributions import BaseDistribution
from optuna.storages import RDBStorage, get_storage
from optuna.trial import FrozenTrial, TrialState, create_trial

from hpo.storage.abstract_lock import Lock
from hpo.storage.batches import Batches
from hpo.storage.database import Warn
from hpo.storage.drafts import Draft, write_draft
from hpo.storage.optuna_compat import key_of, set_key
from hpo.storage.study_storage import StudyStorage, as_json
from hpo.storage.trials_in_memory import TrialsInMemory, View
from hpo.storage.write_trials import End, news, reopen, write_all
from hpo.storage.writer import NotNow, Writer

WRITE_SECONDS = 1.0
"""Seconds between writes of epochs; a killed coordinator loses no more than that of a running trial."""

_T = TypeVar("_T")

# The key of a draft that the database does not know yet.
_NEW = -1
# The views of trials in memory.
_SEEN, _PROPOSING = 0, 1
# How many of the trials that wait are looked at before one begins: somebody may have taken them out of the queue.
_WAITING = 100


@final
class BatchedStorage(StudyStorage):
    """A database of studies, for a process that is the only one to write the trials it begins.

    A trial is written when `flush` is called, and before its state changes, so a trial that counts as ended is
    complete. One that begins in a block `drafting` is written by `keep`, together with its parameters.
    """

    def __init__(
        self,
        database: RDBStorage,
        lock: Lock | None = None,
        warn: Warn | None = None,
        seen: View = lambda trial: trial,
        proposing: View = lambda trial: trial,
    ) -> None:
        """`seen` changes a trial for readers of a study's trials; within a block `drafting` it is `proposing`."""
        super().__init__(get_storage(database), Writer(str(database.url), lock, warn))
        self._database = database
        # The thread must end when nobody uses the storage any more.
        weakref.finalize(self, self._writer.close)
        self._memory = TrialsInMemory((seen, proposing))
        self.batches = Batches(lambda changes, ends: write_all(database.engine, changes, ends), self._writer)
        """How the changes of trials are written."""
        self._draft: Draft | None = None
        self._promptly = self._unsure = False

    @property
    def writer(self) -> Writer:
        """The thread that reads and writes the database."""
        return self._writer

    @contextmanager
    def promptly(self) -> Iterator[None]:
        """Within the block `refresh` and `keep` raise NotNow if the store is away, instead of waiting for it."""
        self._promptly = True
        try:
            yield
        finally:
            self._promptly = False

    def refresh(self, study_id: int) -> None:
        """Reads the trials that other processes added to a study; the first time, all trials.

        Raises:
            NotNow: the store is away.
        """
        self._memory.read(study_id, self._do(lambda: self._news(study_id)))

    def _news(self, study_id: int, after: int | None = None) -> Sequence[FrozenTrial]:
        """Trials newer than `after`, by default than those in memory, and those that no longer wait; see `refresh`."""
        if self._memory.of_study(study_id) is None:
            return self._backend.get_all_trials(study_id, deepcopy=False)
        after = self._memory.last_key(study_id) if after is None else after
        waiting = self._memory.waiting(study_id, _WAITING)
        return [self._database.get_trial(key) for key in news(self._database.engine, study_id, after, waiting)]

    def _directly(self, trial_id: int, write: Callable[[], _T]) -> _T:
        """Changes a trial in the database alone, and then reads it from there."""
        done = self._writer.call(write)
        if self._memory.known(trial_id) is not None:
            trial = self._writer.call(lambda: self._database.get_trial(trial_id))
            self._memory.leave(trial_id)
            self._memory.read(self._memory.study_of(trial_id), [trial])
        return done

    def take_changed(self, study_id: int) -> list[FrozenTrial]:
        """The trials of a study that are new in memory, or have changed there, since the last call; in order."""
        return self._memory.take_changed(study_id)

    def stray(self, study_id: int) -> FrozenTrial | None:
        """A trial that reached the store although `keep` raised NotNow; from now on it runs here."""
        found = self._memory.stray(study_id) if self._unsure else None
        self._unsure = found is not None
        return found

    def take_over(self, trial_id: int) -> None:
        """A trial that an earlier coordinator left running runs here from now on."""
        self._memory.runs(trial_id)

    def flush(self) -> None:
        """Writes everything that is only in memory, in one transaction."""
        self.batches.post(self._memory.take_unwritten())
        self.batches.settle()

    def _do(self, action: Callable[[], _T]) -> _T:
        return self._writer.try_call(action) if self._promptly else self._writer.call(action)

    # Trials that begin here

    @contextmanager
    def drafting(self, study_id: int) -> Iterator[None]:
        """A trial that begins in the block stays in memory until `keep`; a new one replaces it.

        Study attributes that its sampler sets in the block are written with it, or not at all.
        """
        self._draft = Draft(study_id)
        try:
            yield
        finally:
            self.drop()
            self._draft = None

    def keep(self) -> FrozenTrial:
        """Writes the draft; returns the trial, whose key and number may differ from the draft's.

        Raises:
            NotNow: the store is away; the trial may have reached it all the same, see `stray`.
        """
        assert self._draft is not None
        draft = replace(self._draft)
        assert draft.trial_id is not None
        trial, changes = copy.copy(self.get_trial(draft.trial_id)), self._memory.unwritten(draft.trial_id)
        self.drop()
        self._draft = None

        def write() -> Sequence[FrozenTrial]:
            before = self._memory.last_key(draft.study_id)
            mine = write_draft(self._database, self._backend, draft, trial, changes)
            others = [one for one in self._news(draft.study_id, before) if key_of(one) != key_of(mine)]
            return sorted([*others, mine], key=key_of)

        try:
            trials = self._do(write)
        except NotNow:
            self._unsure = True
            raise
        self._attributes("system", draft.study_id).update(draft.noted)
        self._memory.read(draft.study_id, trials)
        return self._memory.begun(key_of(trial))

    def drop(self) -> None:
        """Forgets the draft, as if it had never begun."""
        draft = self._draft
        if draft is not None and draft.trial_id is not None:
            self._memory.take_back(draft.study_id, draft.trial_id, draft.waited)
            draft.trial_id = draft.waited = None

    def _start(self, draft: Draft, trial: FrozenTrial, waited: FrozenTrial | None) -> int:
        self.drop()
        draft.trial_id, draft.waited = key_of(trial), waited
        self._memory.put(draft.study_id, trial)
        return key_of(trial)

    def create_new_trial(self, study_id: int, template_trial: FrozenTrial | None = None) -> int:
        """Begins a trial, or adds one that has ended."""
        if self._draft is not None:
            self.drop()
            trial = copy.deepcopy(template_trial) if template_trial else create_trial(state=TrialState.RUNNING)
            set_key(trial, _NEW)
            trial.number, trial.datetime_start = len(self._memory.of_study(study_id) or ()), datetime.now()
            return self._start(self._draft, trial, None)
        trial_id = self._writer.call(lambda: self._backend.create_new_trial(study_id, template_trial))
        self.refresh(study_id)
        return key_of(self._memory.begun(trial_id))

    def set_trial_state_values(self, trial_id: int, state: TrialState, values: Sequence[float] | None = None) -> bool:
        """Ends a trial, after everything that belongs to it is written; or begins one that waits."""
        if self._draft is not None:
            waited = self.get_trial(trial_id)
            if begins := state is TrialState.RUNNING and waited.state is TrialState.WAITING:
                trial = copy.deepcopy(waited)
                trial.state, trial.datetime_start = state, datetime.now()
                self._start(self._draft, trial, waited)
            return begins
        if state.is_finished() and self._memory.runs(trial_id):
            when = datetime.now()
            self._memory.end(trial_id, state, values, when)
            self.batches.post(self._memory.take_unwritten(), End(trial_id, state, values, when))
            self.batches.settle()
            return True
        self.flush()
        done = self._directly(trial_id, lambda: self._backend.set_trial_state_values(trial_id, state, values))
        if done and self._memory.known(trial_id) is not None:
            self._memory.begun(trial_id)
        return done

    def reopen(self, trial_id: int, attributes: Mapping[str, Any]) -> FrozenTrial:
        """Has a trial that had ended run on here, under its number, with these user attributes alone; or NotNow."""
        self._do(lambda: reopen(self._database.engine, trial_id, attributes))
        return self._memory.reopen(trial_id, as_json(dict(attributes)))

    def set_trial_param(
        self, trial_id: int, param_name: str, param_value_internal: float, distribution: BaseDistribution
    ) -> None:
        """Sets a parameter."""
        if self._memory.runs(trial_id):
            self._memory.set_param(trial_id, param_name, param_value_internal, distribution)
        else:
            value = param_value_internal
            self._directly(trial_id, lambda: self._backend.set_trial_param(trial_id, param_name, value, distribution))

    def set_trial_intermediate_value(self, trial_id: int, step: int, intermediate_value: float) -> None:
        """Sets the value of an epoch; it is written with the next batch."""
        if not self._memory.runs(trial_id):
            self._writer.call(lambda: self._backend.set_trial_intermediate_value(trial_id, step, intermediate_value))
            return
        self._memory.set_intermediate_value(trial_id, step, intermediate_value)
        # While the store is away, epochs gather here.
        if time.monotonic() - self.batches.posted > WRITE_SECONDS and not self._writer.busy:
            self.batches.post(self._memory.take_unwritten())

    def set_trial_user_attr(self, trial_id: int, key: str, value: Any) -> None:
        """Sets an attribute."""
        if self._memory.runs(trial_id):
            self._memory.set_user_attr(trial_id, key, as_json(value))
        else:
            self._directly(trial_id, lambda: self._backend.set_trial_user_attr(trial_id, key, value))

    def set_trial_system_attr(self, trial_id: int, key: str, value: Any) -> None:
        """Sets an attribute that a sampler or a pruner uses."""
        if self._memory.runs(trial_id):
            self._memory.set_system_attr(trial_id, key, as_json(value))
        else:
            self._directly(trial_id, lambda: self._backend.set_trial_system_attr(trial_id, key, value))

    # What is read

    def get_trial(self, trial_id: int) -> FrozenTrial:
        """A trial."""
        return self._memory.here(trial_id) or self._writer.call(lambda: self._backend.get_trial(trial_id))

    def get_all_trials(
        self, study_id: int, deepcopy: bool = True, states: Container[TrialState] | None = None
    ) -> list[FrozenTrial]:
        """The trials of a study by number; those that other processes added are as of the last `refresh`."""
        if self._memory.of_study(study_id) is None:
            self.refresh(study_id)
        seen = self._memory.of_study(study_id, _SEEN if self._draft is None else _PROPOSING) or ()
        found = list(seen) if states is None else [trial for trial in seen if trial.state in states]
        return copy.deepcopy(found) if deepcopy else found

    def get_trial_id_from_study_id_trial_number(self, study_id: int, trial_number: int) -> int:
        """The database's key of a trial."""
        known = self._memory.of_study(study_id) or ()
        if trial_number < len(known) and known[trial_number].number == trial_number:
            return key_of(known[trial_number])
        return self._writer.call(lambda: self._backend.get_trial_id_from_study_id_trial_number(study_id, trial_number))

    # Studies: only where drafts or memory matter, see StudyStorage

    def delete_study(self, study_id: int) -> None:
        """Deletes a study."""
        super().delete_study(study_id)
        self._memory.forget_study(study_id)

    def set_study_system_attr(self, study_id: int, key: str, value: Any) -> None:
        """Sets an attribute of a study that a sampler uses; in a block `drafting` it is written with the trial."""
        if self._draft is not None:
            self._draft.noted[key] = value
        else:
            super().set_study_system_attr(study_id, key, value)

    def get_study_system_attrs(self, study_id: int) -> dict[str, Any]:
        """The attributes of a study that samplers use."""
        return {**super().get_study_system_attrs(study_id), **copy.deepcopy(self._draft.noted if self._draft else {})}
