"""Optuna's storage for the one coordinator of a study: it reads from memory and writes in batches.

A sampler and a pruner look at all trials several times for each parameter and epoch, and Optuna's own storage asks
the database each time, and commits each value by itself. Since a study has one writer, what stands in memory is
what stands in the database; others may only add trials that wait, which `refresh` finds. All that is done with the
database is done by a `Writer`, which waits for it while it is away: whatever ends here has ended in memory at once.
"""

import copy
import time
import weakref
from collections.abc import Callable, Container, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any, TypeVar, final

from optuna.distributions import BaseDistribution
from optuna.storages import RDBStorage, get_storage
from optuna.trial import FrozenTrial, TrialState, create_trial

from hpo.storage.abstract_lock import Lock
from hpo.storage.database import Warn
from hpo.storage.optuna_compat import insert_trial, key_of, set_key
from hpo.storage.study_storage import StudyStorage, as_json
from hpo.storage.trials_in_memory import TrialsInMemory
from hpo.storage.write_trials import End, begin_waiting, write_all
from hpo.storage.writer import NotNow, Writer

WRITE_SECONDS = 1.0
"""Epochs are written at the first report after so long; a killed coordinator loses no more of a running trial."""

# The key of a draft that the database does not know yet.
_NEW = -1

_T = TypeVar("_T")
Seen = Callable[[Sequence[FrozenTrial]], Sequence[FrozenTrial]]


@dataclass
class _Draft:
    """A trial whose parameters are still being proposed, and what its sampler noted of the study meanwhile."""

    study_id: int
    trial_id: int | None = None
    waited: FrozenTrial | None = None
    """The trial as it waited, if it is none of our own."""
    noted: dict[str, Any] = field(default_factory=dict)


@final
class BatchedStorage(StudyStorage):
    """A database of studies, for a process that alone writes the trials that it begins.

    A trial is written when `flush` is called, and before its state changes: one that counts as ended is whole. One
    that begins in a block `drafting` is written by `keep`, with its parameters: a kill leaves none without.
    """

    def __init__(
        self,
        database: RDBStorage,
        lock: Lock | None = None,
        warn: Warn | None = None,
        seen: Seen = lambda trials: trials,
    ) -> None:
        """`seen`: the trials of a study as whoever reads all of them shall see them."""
        super().__init__(get_storage(database), Writer(str(database.url), lock, warn))
        self._database = database
        # A thread that nobody gives anything to do ends.
        weakref.finalize(self, self._writer.close)
        self._seen = seen
        self._memory = TrialsInMemory()
        self._written = time.monotonic()
        self._draft: _Draft | None = None
        self._promptly = False
        self._unsure = False

    @property
    def writer(self) -> Writer:
        """Who does what is to be done with the database."""
        return self._writer

    @contextmanager
    def promptly(self) -> Iterator[None]:
        """In the block `refresh` and `keep` raise NotNow where the store is away, instead of waiting for it."""
        self._promptly = True
        try:
            yield
        finally:
            self._promptly = False

    def refresh(self, study_id: int) -> None:
        """Reads what others added to a study.

        Raises:
            NotNow: the store is away.
        """
        trials = self._do(lambda: self._backend.get_all_trials(study_id, deepcopy=False))
        self._memory.read(study_id, trials)

    def stray(self, study_id: int) -> FrozenTrial | None:
        """A trial that a `keep` began, which raised NotNow all the same; from here on it runs here."""
        found = self._memory.stray(study_id) if self._unsure else None
        self._unsure = found is not None
        return found

    def flush(self) -> None:
        """Has all that is only in memory written, in one transaction."""
        if self._write(None):
            self._writer.settle()

    def _write(self, end: End | None) -> bool:
        """Has what is only in memory written; whether that is anything."""
        changes = self._memory.take_unwritten()
        if not changes and end is None:
            return False
        self._written = time.monotonic()
        self._writer.post(lambda: write_all(self._database.engine, changes, end))
        return True

    def _do(self, action: Callable[[], _T]) -> _T:
        return self._writer.try_call(action) if self._promptly else self._writer.call(action)

    # Trials that begin here

    @contextmanager
    def drafting(self, study_id: int) -> Iterator[None]:
        """Trials that begin in the block stay in memory, the last of them at a time, unless it is kept.

        What its sampler notes of the study in the block is kept with it, or not at all.
        """
        self._draft = _Draft(study_id)
        try:
            yield
        finally:
            self.drop()
            self._draft = None

    def keep(self) -> FrozenTrial:
        """Writes the draft; returns the trial, whose key and number the database may have given otherwise.

        Raises:
            NotNow: the store is away; the trial may be in it all the same, see `stray`.
        """
        draft = self._draft
        assert draft is not None
        assert draft.trial_id is not None
        trial, changes = self.get_trial(draft.trial_id), self._memory.unwritten(draft.trial_id)
        waits = draft.waited is not None
        self.drop()
        self._draft = None

        def write() -> tuple[int, list[FrozenTrial]]:
            trial_id = key_of(trial)
            if waits:
                begin_waiting(self._database.engine, trial, changes)
            else:
                trial_id = insert_trial(self._database, draft.study_id, trial)
            for key, value in draft.noted.items():
                self._backend.set_study_system_attr(draft.study_id, key, value)
            return trial_id, self._backend.get_all_trials(draft.study_id, deepcopy=False)

        try:
            trial_id, trials = self._do(write)
        except NotNow:
            self._unsure = True
            raise
        self._attributes("system", draft.study_id).update(draft.noted)
        self._memory.read(draft.study_id, trials)
        return self._memory.begun(trial_id)

    def drop(self) -> None:
        """Forgets the draft, as if it had never begun."""
        draft = self._draft
        if draft is not None and draft.trial_id is not None:
            self._memory.take_back(draft.study_id, draft.trial_id, draft.waited)
            draft.trial_id = draft.waited = None

    def _start(self, draft: _Draft, trial: FrozenTrial, waited: FrozenTrial | None) -> int:
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
            trial.number, trial.datetime_start = len(self._all(study_id)), datetime.now()
            return self._start(self._draft, trial, None)
        trial_id = self._writer.call(lambda: self._backend.create_new_trial(study_id, template_trial))
        self.refresh(study_id)
        self._memory.begun(trial_id)
        return trial_id

    def set_trial_state_values(self, trial_id: int, state: TrialState, values: Sequence[float] | None = None) -> bool:
        """Ends a trial, with all that belongs to it written first; or begins one that waits."""
        if self._draft is not None:
            waited = self.get_trial(trial_id)
            if state is not TrialState.RUNNING or waited.state is not TrialState.WAITING:
                return False
            trial = copy.deepcopy(waited)
            trial.state, trial.datetime_start = state, datetime.now()
            self._start(self._draft, trial, waited)
            return True
        if state.is_finished() and self._memory.runs(trial_id):
            when = datetime.now()
            self._memory.end(trial_id, state, values, when)
            self._write(End(trial_id, state, values, when))
            self._writer.settle()
            return True
        self.flush()
        done = self._writer.call(lambda: self._backend.set_trial_state_values(trial_id, state, values))
        if done or state is not TrialState.RUNNING:
            self._memory.leave(trial_id)
            self.refresh(self._memory.study_of(trial_id))
            self._memory.begun(trial_id)
        return done

    def set_trial_param(
        self, trial_id: int, param_name: str, param_value_internal: float, distribution: BaseDistribution
    ) -> None:
        """Sets a parameter."""
        if self._memory.runs(trial_id):
            self._memory.set_param(trial_id, param_name, param_value_internal, distribution)
        else:
            write = self._backend.set_trial_param
            self._writer.call(lambda: write(trial_id, param_name, param_value_internal, distribution))

    def set_trial_intermediate_value(self, trial_id: int, step: int, intermediate_value: float) -> None:
        """Sets the value of an epoch; it is written with the next batch."""
        if not self._memory.runs(trial_id):
            self._writer.call(lambda: self._backend.set_trial_intermediate_value(trial_id, step, intermediate_value))
            return
        self._memory.set_intermediate_value(trial_id, step, intermediate_value)
        # While the store is away, epochs gather here.
        if time.monotonic() - self._written > WRITE_SECONDS and not self._writer.busy:
            self._write(None)

    def set_trial_user_attr(self, trial_id: int, key: str, value: Any) -> None:
        """Sets an attribute."""
        if self._memory.runs(trial_id):
            self._memory.set_user_attr(trial_id, key, as_json(value))
        else:
            self._writer.call(lambda: self._backend.set_trial_user_attr(trial_id, key, value))

    def set_trial_system_attr(self, trial_id: int, key: str, value: Any) -> None:
        """Sets an attribute of a sampler's or a pruner's."""
        if self._memory.runs(trial_id):
            self._memory.set_system_attr(trial_id, key, as_json(value))
        else:
            self._writer.call(lambda: self._backend.set_trial_system_attr(trial_id, key, value))

    # What is read

    def get_trial(self, trial_id: int) -> FrozenTrial:
        """A trial."""
        return self._memory.here(trial_id) or self._writer.call(lambda: self._backend.get_trial(trial_id))

    def get_all_trials(
        self, study_id: int, deepcopy: bool = True, states: Container[TrialState] | None = None
    ) -> list[FrozenTrial]:
        """The trials of a study by number; those of others as of the last `refresh`."""
        if self._memory.of_study(study_id) is None:
            self.refresh(study_id)
        found = [trial for trial in self._seen(self._all(study_id)) if states is None or trial.state in states]
        return copy.deepcopy(found) if deepcopy else found

    def get_trial_id_from_study_id_trial_number(self, study_id: int, trial_number: int) -> int:
        """The database's key of a trial."""
        known = self._all(study_id)
        if trial_number < len(known) and known[trial_number].number == trial_number:
            return key_of(known[trial_number])
        find = self._backend.get_trial_id_from_study_id_trial_number
        return self._writer.call(lambda: find(study_id, trial_number))

    def _all(self, study_id: int) -> Sequence[FrozenTrial]:
        return self._memory.of_study(study_id) or ()

    # Studies, apart from what every storage of studies does alike

    def delete_study(self, study_id: int) -> None:
        """Deletes a study."""
        super().delete_study(study_id)
        self._memory.forget_study(study_id)

    def set_study_system_attr(self, study_id: int, key: str, value: Any) -> None:
        """Sets a sampler's attribute of a study; while a trial is drafted, it is kept with it."""
        if self._draft is not None:
            self._draft.noted[key] = value
        else:
            super().set_study_system_attr(study_id, key, value)

    def get_study_system_attrs(self, study_id: int) -> dict[str, Any]:
        """The samplers' attributes of a study."""
        noted = self._draft.noted if self._draft is not None else {}
        return {**super().get_study_system_attrs(study_id), **copy.deepcopy(noted)}
