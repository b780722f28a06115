"""What Optuna's database does not know yet of a running trial, and its rows, written in one transaction."""

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any

from optuna.distributions import BaseDistribution, distribution_to_json
from optuna.storages import RDBStorage
from optuna.storages._rdb import models
from optuna.trial import FrozenTrial, TrialState
from sqlalchemy import delete, insert, select, update
from sqlalchemy.engine import Connection, Engine
from sqlalchemy.orm import sessionmaker

from hpo.errors import StoreAway, StudyBusy


@dataclass
class Unwritten:
    """What the database does not know yet of a running trial."""

    params: dict[str, tuple[float, BaseDistribution]] = field(default_factory=dict)
    user_attrs: dict[str, Any] = field(default_factory=dict)
    system_attrs: dict[str, Any] = field(default_factory=dict)
    values: dict[int, float] = field(default_factory=dict)


@dataclass(frozen=True)
class End:
    """The end of a trial."""

    trial_id: int
    state: TrialState
    values: Sequence[float] | None
    when: datetime
    """In local time, without saying so, as Optuna has it."""


def begin(database: RDBStorage, study_id: int, trial: FrozenTrial) -> int:
    """Writes a trial that begins, in one transaction; returns its key.

    Not by `RDBStorage.create_new_trial`, which does it again where the commit failed, though that may have arrived.
    """
    with sessionmaker(database.engine).begin() as session:
        models.StudyModel.find_or_raise_by_id(study_id, session, for_update=True)
        return int(database._get_prepared_new_trial(study_id, trial, session).trial_id)


def begin_waiting(engine: Engine, trial: FrozenTrial, changes: Unwritten) -> None:
    """Writes that a trial which waited begins, in one transaction."""
    trials = models.TrialModel.__table__
    with engine.begin() as connection:
        state = _states(connection, [trial._trial_id])[trial._trial_id]
        if state is TrialState.WAITING:
            write(connection, trial._trial_id, changes)
            started = {"state": TrialState.RUNNING, "datetime_start": _utc(trial.datetime_start or datetime.now())}
            connection.execute(update(trials).where(trials.c.trial_id == trial._trial_id).values(**started))


def write_all(engine: Engine, changes: Mapping[int, Unwritten], end: End | None = None) -> None:
    """Writes what is new of running trials, and the end of one of them, in one transaction; twice is as once.

    Raises:
        StudyBusy: somebody else has ended one of them.
        StoreAway: one of them is no longer there.
    """
    trials = models.TrialModel.__table__
    with engine.begin() as connection:
        states = _states(connection, [*changes, *([end.trial_id] if end else [])])
        if end is not None and states[end.trial_id] is end.state:
            # It has arrived, though the connection was lost before that was said.
            return
        for state in states.values():
            if state.is_finished():
                raise StudyBusy(
                    f"another process has ended a trial that runs here (it is {state.name}): this one had lost the "
                    "study's lock; nothing more is written"
                )
        for trial_id, change in changes.items():
            write(connection, trial_id, change)
        if end is not None:
            _write_values(connection, end)
            ended = {"state": end.state, "datetime_complete": _utc(end.when)}
            connection.execute(update(trials).where(trials.c.trial_id == end.trial_id).values(**ended))


def _states(connection: Connection, trial_ids: Sequence[int]) -> dict[int, TrialState]:
    trials = models.TrialModel.__table__
    query = select(trials.c.trial_id, trials.c.state).where(trials.c.trial_id.in_(trial_ids)).with_for_update()
    found: dict[int, TrialState] = {row.trial_id: row.state for row in connection.execute(query)}
    if len(found) < len(set(trial_ids)):
        raise StoreAway("the study was taken out of the store while it ran")
    return found


def _write_values(connection: Connection, end: End) -> None:
    kinds = models.TrialValueModel
    connection.execute(delete(kinds).where(kinds.trial_id == end.trial_id))
    for objective, value in enumerate(end.values or ()):
        stored, kind = kinds.value_to_stored_repr(value)
        row = {"trial_id": end.trial_id, "objective": objective, "value": stored, "value_type": kind}
        connection.execute(insert(kinds), row)


def _utc(local: datetime) -> datetime:
    return local.astimezone(UTC).replace(tzinfo=None)


def write(connection: Connection, trial_id: int, changes: Unwritten) -> None:
    """Writes as Optuna 5 does, whose own methods commit each value by itself; what is there already is replaced."""
    whose = {"trial_id": trial_id}
    if changes.params:
        parameters = models.TrialParamModel
        mine = parameters.trial_id == trial_id
        connection.execute(delete(parameters).where(mine, parameters.param_name.in_(changes.params)))
        connection.execute(
            insert(parameters),
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
        connection.execute(delete(kinds).where(kinds.trial_id == trial_id, kinds.step.in_(changes.values)))
        connection.execute(insert(kinds), rows)
