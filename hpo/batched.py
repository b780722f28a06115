"""Optuna's storage for the one coordinator of a study: it reads from memory and writes in batches.

A sampler and a pruner look at all trials several times for each parameter and epoch, and Optuna's own storage asks
the database each time, and commits each value by itself. Since a study has one writer, what stands in memory is
what stands in the database; others may only add trials that wait, which `refresh` finds.
"""

import copy
import time
from collections.abc import Container, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

from optuna.distributions import BaseDistribution, check_distribution_compatibility
from optuna.storages import BaseStorage, RDBStorage, get_storage
from optuna.study import StudyDirection
from optuna.study._frozen import FrozenStudy
from optuna.trial import FrozenTrial, TrialState, create_trial

from hpo.unwritten import Unwritten, write

WRITE_SECONDS = 1.0
"""Epochs are written at the first report after so long; a killed coordinator loses no more of a running trial."""


# The key of a draft that the database does not know yet.
_NEW = -1


@dataclass
class _Draft:
    """A trial whose parameters are still being proposed, and what its sampler noted of the study meanwhile."""

    study_id: int
    trial_id: int | None = None
    waited: FrozenTrial | None = None
    """The trial as it waited, if it is none of our own."""
    noted: dict[str, Any] = field(default_factory=dict)


class BatchedStorage(BaseStorage):
    """A database of studies, for a process that alone writes the trials that it begins.

    A trial is written when `flush` is called, and before its state changes: one that counts as ended is whole. One
    that begins in a block `drafting` is written by `keep`, with its parameters: a kill leaves none without.
    """

    def __init__(self, database: RDBStorage) -> None:
        self._database = database
        self._backend = get_storage(database)
        self._trials: dict[int, list[FrozenTrial]] = {}
        self._running: dict[int, FrozenTrial] = {}
        self._study_of: dict[int, int] = {}
        self._unwritten: dict[int, Unwritten] = {}
        self._written = time.monotonic()
        self._draft: _Draft | None = None

    def refresh(self, study_id: int) -> None:
        """Reads what others added to a study."""
        trials = self._backend.get_all_trials(study_id, deepcopy=False)
        self._study_of |= {trial._trial_id: study_id for trial in trials}
        self._trials[study_id] = [self._running.get(trial._trial_id, trial) for trial in trials]

    def flush(self) -> None:
        """Writes all that is only in memory, in one transaction."""
        if self._unwritten:
            with self._database.engine.begin() as connection:
                for trial_id, changes in self._unwritten.items():
                    write(connection, trial_id, changes)
        self._unwritten = {}
        self._written = time.monotonic()

    # Trials that begin here

    @contextmanager
    def drafting(self, study_id: int) -> Iterator[None]:
        """Trials that begin in the block stay in memory, the last of them at a time, unless it is kept.

        What its sampler notes of the study in the block is kept with it, or not at all.
        """
        self.refresh(study_id)
        self._draft = _Draft(study_id)
        try:
            yield
        finally:
            self.drop()
            self._draft = None

    def keep(self) -> FrozenTrial:
        """Writes the draft; returns the trial, whose key and number the database may have given otherwise."""
        draft = self._draft
        assert draft is not None
        assert draft.trial_id is not None
        trial, changes = self._running[draft.trial_id], self._changes(draft.trial_id)
        waits = draft.waited is not None
        self.drop()
        self._draft = None
        if not waits:
            trial_id = self._backend.create_new_trial(draft.study_id, trial)
        else:
            trial_id = trial._trial_id
            # The state comes last: after a kill between the two it waits with these parameters.
            with self._database.engine.begin() as connection:
                write(connection, trial_id, changes)
            self._backend.set_trial_state_values(trial_id, TrialState.RUNNING)
        for key, value in draft.noted.items():
            self._backend.set_study_system_attr(draft.study_id, key, value)
        self._begin(trial_id, draft.study_id)
        return self._running[trial_id]

    def drop(self) -> None:
        """Forgets the draft, as if it had never begun."""
        draft = self._draft
        if draft is None or draft.trial_id is None:
            return
        trial = self._running.pop(draft.trial_id)
        self._unwritten.pop(draft.trial_id, None)
        if draft.waited is None:
            self._trials[draft.study_id].pop()
        else:
            self._trials[draft.study_id][trial.number] = draft.waited
        draft.trial_id = draft.waited = None

    def _start(self, draft: _Draft, trial: FrozenTrial, waited: FrozenTrial | None) -> int:
        self.drop()
        draft.trial_id, draft.waited = trial._trial_id, waited
        self._running[trial._trial_id] = trial
        self._study_of[trial._trial_id] = draft.study_id
        trials = self._trials[draft.study_id]
        trials[trial.number : trial.number + 1] = [trial]
        return trial._trial_id

    def create_new_trial(self, study_id: int, template_trial: FrozenTrial | None = None) -> int:
        """Begins a trial, or adds one that has ended."""
        if self._draft is not None:
            self.drop()
            trial = copy.deepcopy(template_trial) if template_trial else create_trial(state=TrialState.RUNNING)
            trial._trial_id, trial.number, trial.datetime_start = _NEW, len(self._trials[study_id]), datetime.now()
            return self._start(self._draft, trial, None)
        trial_id = self._backend.create_new_trial(study_id, template_trial)
        self._begin(trial_id, study_id)
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
        self.flush()
        done = self._backend.set_trial_state_values(trial_id, state, values)
        if state is not TrialState.RUNNING:
            self._running.pop(trial_id, None)
            self.refresh(self._study_of[trial_id])
        elif done:
            self._begin(trial_id, self._study_of[trial_id])
        return done

    def set_trial_param(
        self, trial_id: int, param_name: str, param_value_internal: float, distribution: BaseDistribution
    ) -> None:
        """Sets a parameter."""
        if trial_id not in self._running:
            self._backend.set_trial_param(trial_id, param_name, param_value_internal, distribution)
            return
        for other in self._trials[self._study_of[trial_id]]:
            if param_name in other.distributions:
                check_distribution_compatibility(other.distributions[param_name], distribution)
                break
        trial = self._renewed(trial_id)
        trial.params = {**trial.params, param_name: distribution.to_external_repr(param_value_internal)}
        trial.distributions = {**trial.distributions, param_name: distribution}
        self._changes(trial_id).params[param_name] = (param_value_internal, distribution)

    def set_trial_intermediate_value(self, trial_id: int, step: int, intermediate_value: float) -> None:
        """Sets the value of an epoch; it is written with the next batch."""
        if trial_id not in self._running:
            self._backend.set_trial_intermediate_value(trial_id, step, intermediate_value)
            return
        trial = self._renewed(trial_id)
        trial.intermediate_values = {**trial.intermediate_values, step: intermediate_value}
        self._changes(trial_id).values[step] = intermediate_value
        if time.monotonic() - self._written > WRITE_SECONDS:
            self.flush()

    def set_trial_user_attr(self, trial_id: int, key: str, value: Any) -> None:
        """Sets an attribute."""
        if trial_id not in self._running:
            self._backend.set_trial_user_attr(trial_id, key, value)
            return
        trial = self._renewed(trial_id)
        trial.user_attrs = {**trial.user_attrs, key: value}
        self._changes(trial_id).user_attrs[key] = value

    def set_trial_system_attr(self, trial_id: int, key: str, value: Any) -> None:
        """Sets an attribute of a sampler's or a pruner's."""
        if trial_id not in self._running:
            self._backend.set_trial_system_attr(trial_id, key, value)
            return
        trial = self._renewed(trial_id)
        trial.system_attrs = {**trial.system_attrs, key: value}
        self._changes(trial_id).system_attrs[key] = value

    def _begin(self, trial_id: int, study_id: int) -> None:
        self.refresh(study_id)
        trial = next(trial for trial in self._trials[study_id] if trial._trial_id == trial_id)
        if not trial.state.is_finished():
            self._running[trial_id] = trial

    def _renewed(self, trial_id: int) -> FrozenTrial:
        """A copy in the place of a running trial: whoever was given it before does not see it change."""
        trial = copy.copy(self._running[trial_id])
        self._running[trial_id] = self._trials[self._study_of[trial_id]][trial.number] = trial
        return trial

    def _changes(self, trial_id: int) -> Unwritten:
        return self._unwritten.setdefault(trial_id, Unwritten())

    # What is read

    def get_trial(self, trial_id: int) -> FrozenTrial:
        """A trial."""
        return self._running.get(trial_id) or self._backend.get_trial(trial_id)

    def get_all_trials(
        self, study_id: int, deepcopy: bool = True, states: Container[TrialState] | None = None
    ) -> list[FrozenTrial]:
        """The trials of a study by number; those of others as of the last `refresh`."""
        if study_id not in self._trials:
            self.refresh(study_id)
        found = [trial for trial in self._trials[study_id] if states is None or trial.state in states]
        return copy.deepcopy(found) if deepcopy else found

    def get_trial_id_from_study_id_trial_number(self, study_id: int, trial_number: int) -> int:
        """The database's key of a trial."""
        return self._backend.get_trial_id_from_study_id_trial_number(study_id, trial_number)

    # Studies: as the database has them

    def create_new_study(self, directions: Sequence[StudyDirection], study_name: str | None = None) -> int:
        """Creates a study."""
        return self._backend.create_new_study(directions, study_name)

    def delete_study(self, study_id: int) -> None:
        """Deletes a study."""
        self._trials.pop(study_id, None)
        self._backend.delete_study(study_id)

    def set_study_user_attr(self, study_id: int, key: str, value: Any) -> None:
        """Sets an attribute of a study."""
        self._backend.set_study_user_attr(study_id, key, value)

    def set_study_system_attr(self, study_id: int, key: str, value: Any) -> None:
        """Sets a sampler's attribute of a study."""
        if self._draft is not None:
            self._draft.noted[key] = value
            return
        self._backend.set_study_system_attr(study_id, key, value)

    def get_study_id_from_name(self, study_name: str) -> int:
        """The database's key of a study."""
        return self._backend.get_study_id_from_name(study_name)

    def get_study_name_from_id(self, study_id: int) -> str:
        """The name of a study."""
        return self._backend.get_study_name_from_id(study_id)

    def get_study_directions(self, study_id: int) -> list[StudyDirection]:
        """Whether a study maximizes or minimizes."""
        return self._backend.get_study_directions(study_id)

    def get_study_user_attrs(self, study_id: int) -> dict[str, Any]:
        """The attributes of a study."""
        return self._backend.get_study_user_attrs(study_id)

    def get_study_system_attrs(self, study_id: int) -> dict[str, Any]:
        """The samplers' attributes of a study."""
        noted = self._draft.noted if self._draft is not None else {}
        return {**self._backend.get_study_system_attrs(study_id), **noted}

    def get_all_studies(self) -> list[FrozenStudy]:
        """All studies of the database."""
        return self._backend.get_all_studies()
