"""Optuna's storage for the one coordinator of a study: it reads from memory and writes in batches.

A sampler and a pruner look at all trials several times for each parameter and epoch, and Optuna's own storage asks
the database each time, and commits each value by itself. Since a study has one writer, what stands in memory is
what stands in the database; others may only add trials that wait, which `refresh` finds.
"""

import copy
import json
import time
from collections.abc import Container, Sequence
from dataclasses import dataclass, field
from typing import Any

from optuna.distributions import BaseDistribution, check_distribution_compatibility, distribution_to_json
from optuna.storages import BaseStorage, RDBStorage, get_storage
from optuna.storages._rdb import models
from optuna.study import StudyDirection
from optuna.study._frozen import FrozenStudy
from optuna.trial import FrozenTrial, TrialState
from sqlalchemy import delete, insert
from sqlalchemy.engine import Connection

WRITE_SECONDS = 1.0
"""Epochs are written at the first report after so long; a killed coordinator loses no more of a running trial."""


@dataclass
class _Unwritten:
    """What the database does not know yet of a running trial."""

    params: dict[str, tuple[float, BaseDistribution]] = field(default_factory=dict)
    user_attrs: dict[str, Any] = field(default_factory=dict)
    system_attrs: dict[str, Any] = field(default_factory=dict)
    values: dict[int, float] = field(default_factory=dict)


class BatchedStorage(BaseStorage):
    """A database of studies, for a process that alone writes the trials that it begins.

    A trial is written when `flush` is called, and before its state changes: one that counts as ended is whole.
    """

    def __init__(self, database: RDBStorage) -> None:
        self._database = database
        self._backend = get_storage(database)
        self._trials: dict[int, list[FrozenTrial]] = {}
        self._running: dict[int, FrozenTrial] = {}
        self._study_of: dict[int, int] = {}
        self._unwritten: dict[int, _Unwritten] = {}
        self._written = time.monotonic()

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
                    _write(connection, trial_id, changes)
        self._unwritten = {}
        self._written = time.monotonic()

    # Trials that run here

    def create_new_trial(self, study_id: int, template_trial: FrozenTrial | None = None) -> int:
        """Begins a trial, or adds one that has ended."""
        trial_id = self._backend.create_new_trial(study_id, template_trial)
        self._begin(trial_id, study_id)
        return trial_id

    def set_trial_state_values(self, trial_id: int, state: TrialState, values: Sequence[float] | None = None) -> bool:
        """Ends a trial, with all that belongs to it written first; or begins one that waits."""
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

    def _changes(self, trial_id: int) -> _Unwritten:
        return self._unwritten.setdefault(trial_id, _Unwritten())

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
        return self._backend.get_study_system_attrs(study_id)

    def get_all_studies(self) -> list[FrozenStudy]:
        """All studies of the database."""
        return self._backend.get_all_studies()


def _write(connection: Connection, trial_id: int, changes: _Unwritten) -> None:
    """Writes as Optuna 5 does, whose own methods commit each value by itself."""
    whose = {"trial_id": trial_id}
    if changes.params:
        connection.execute(
            insert(models.TrialParamModel),
            [
                {**whose, "param_name": name, "param_value": value, "distribution_json": distribution_to_json(kind)}
                for name, (value, kind) in changes.params.items()
            ],
        )
    for model, attributes in (
        (models.TrialUserAttributeModel, changes.user_attrs),
        (models.TrialSystemAttributeModel, changes.system_attrs),
    ):
        if attributes:
            connection.execute(delete(model).where(model.trial_id == trial_id, model.key.in_(attributes)))
            rows = [{**whose, "key": key, "value_json": json.dumps(value)} for key, value in attributes.items()]
            connection.execute(insert(model), rows)
    if changes.values:
        kinds = models.TrialIntermediateValueModel
        rows = []
        for step, value in changes.values.items():
            stored, kind = kinds.intermediate_value_to_stored_repr(value)
            rows.append({**whose, "step": step, "intermediate_value": stored, "intermediate_value_type": kind})
        connection.execute(insert(kinds), rows)
