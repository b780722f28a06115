"""What Optuna's database does not know yet of running trials, and how it is written in one transaction."""

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any

from optuna.distributions import BaseDistribution, distribution_to_json
from optuna.trial import FrozenTrial, TrialState
from sqlalchemy import delete, insert, select, update
from sqlalchemy.engine import Connection, Engine

from hpo.errors import StoreAway, StudyBusy
from hpo.storage.optuna_compat import key_of, stored_intermediate_value, stored_value, tables


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


def begin_waiting(engine: Engine, trial: FrozenTrial, changes: Unwritten) -> None:
    """Writes that a trial which waited begins, in one transaction."""
    trials = tables().trials
    with engine.begin() as connection:
        key = key_of(trial)
        if _states(connection, [key])[key] is TrialState.WAITING:
            write(connection, key, changes)
            started = {"state": TrialState.RUNNING, "datetime_start": _utc(trial.datetime_start or datetime.now())}
            connection.execute(update(trials).where(trials.c.trial_id == key).values(**started))


def write_all(engine: Engine, changes: Mapping[int, Unwritten], end: End | None = None) -> None:
    """Writes what is new of running trials, and the end of one of them, in one transaction; twice is as once.

    Raises:
        StudyBusy: somebody else has ended one of them.
        StoreAway: one of them is no longer there.
    """
    trials = tables().trials
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
    trials = tables().trials
    query = select(trials.c.trial_id, trials.c.state).where(trials.c.trial_id.in_(trial_ids)).with_for_update()
    found: dict[int, TrialState] = {row.trial_id: row.state for row in connection.execute(query)}
    if len(found) < len(set(trial_ids)):
        raise StoreAway("the study was taken out of the store while it ran")
    return found


def _write_values(connection: Connection, end: End) -> None:
    values = tables().values
    connection.execute(delete(values).where(values.c.trial_id == end.trial_id))
    for objective, value in enumerate(end.values or ()):
        row = {"trial_id": end.trial_id, "objective": objective, **stored_value(value)}
        connection.execute(insert(values), row)


def _utc(local: datetime) -> datetime:
    return local.astimezone(UTC).replace(tzinfo=None)


def write(connection: Connection, trial_id: int, changes: Unwritten) -> None:
    """Writes as Optuna 5 does, whose own methods commit each value by itself; what is there already is replaced."""
    whose, known = {"trial_id": trial_id}, tables()
    if changes.params:
        params = known.params
        mine = params.c.trial_id == trial_id
        connection.execute(delete(params).where(mine, params.c.param_name.in_(changes.params)))
        connection.execute(
            insert(params),
            [
                {**whose, "param_name": name, "param_value": value, "distribution_json": distribution_to_json(kind)}
                for name, (value, kind) in changes.params.items()
            ],
        )
    for table, attributes in (
        (known.user_attributes, changes.user_attrs),
        (known.system_attributes, changes.system_attrs),
    ):
        if attributes:
            connection.execute(delete(table).where(table.c.trial_id == trial_id, table.c.key.in_(attributes)))
            rows = [{**whose, "key": key, "value_json": json.dumps(value)} for key, value in attributes.items()]
            connection.execute(insert(table), rows)
    if changes.values:
        values = known.intermediate_values
        rows = [{**whose, "step": step, **stored_intermediate_value(value)} for step, value in changes.values.items()]
        connection.execute(delete(values).where(values.c.trial_id == trial_id, values.c.step.in_(changes.values)))
        connection.execute(insert(values), rows)
