"""The changes of running trials that Optuna's database does not have yet, and how to write them in one transaction."""

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
    """The changes of a running trial that the database does not have yet."""

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
    """In local time, without a time zone, as Optuna keeps it."""


def begin_waiting(engine: Engine, trial: FrozenTrial, changes: Unwritten) -> None:
    """Begins a trial that waited: writes its state and its values, in one transaction."""
    trials = tables().trials
    with engine.begin() as connection:
        key = key_of(trial)
        if _states(connection, [key])[key] is TrialState.WAITING:
            write(connection, key, changes)
            started = {"state": TrialState.RUNNING, "datetime_start": _utc(trial.datetime_start or datetime.now())}
            connection.execute(update(trials).where(trials.c.trial_id == key).values(**started))


def write_all(engine: Engine, changes: Mapping[int, Unwritten], end: End | None = None) -> None:
    """Writes the changes of running trials, and the end of one of them, in one transaction.

    A second call with the same arguments changes nothing.

    Raises:
        StudyBusy: another process has ended one of them.
        StoreAway: one of them is no longer in the store.
    """
    trials = tables().trials
    with engine.begin() as connection:
        states = _states(connection, [*changes, *([end.trial_id] if end else [])])
        if end is not None and states[end.trial_id] is end.state:
            # It was written before, but the connection was lost before the database confirmed it.
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
    """Writes changes in the form of Optuna 5, whose own methods commit each value separately; replaces older values."""
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
