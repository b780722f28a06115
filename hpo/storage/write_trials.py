"""The changes of running trials that Optuna's database does not have yet, and how to write them in one transaction."""

import json
from collections import defaultdict
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any

from optuna.distributions import BaseDistribution, distribution_to_json
from optuna.trial import FrozenTrial, TrialState
from sqlalchemy import Table, delete, insert, select, update
from sqlalchemy.engine import Connection, Engine

from hpo.errors import StoreAway, StudyBusy
from hpo.storage.optuna_compat import key_of, stored_intermediate_value, stored_value, tables

# SQLite takes no more than some 32,000 values in a statement.
_MOST_TRIALS = 10_000


@dataclass
class Unwritten:
    """The changes of a running trial that the database does not have yet."""

    params: dict[str, tuple[float, BaseDistribution]] = field(default_factory=dict)
    user_attrs: dict[str, Any] = field(default_factory=dict)
    system_attrs: dict[str, Any] = field(default_factory=dict)
    values: dict[int, float] = field(default_factory=dict)

    def add(self, later: "Unwritten") -> None:
        """Adds later changes of the same trial."""
        self.params |= later.params
        self.user_attrs |= later.user_attrs
        self.system_attrs |= later.system_attrs
        self.values |= later.values


@dataclass(frozen=True)
class End:
    """The end of a trial."""

    trial_id: int
    state: TrialState
    values: Sequence[float] | None
    when: datetime
    """In local time, without a time zone, as Optuna keeps it."""


def insert_trial(engine: Engine, study_id: int, trial: FrozenTrial) -> tuple[int, int]:
    """Writes a new running trial, in one transaction; returns its key and its number.

    `RDBStorage.create_new_trial` writes each value by itself, and would repeat a commit that failed, though it may have
    reached the database.

    Raises:
        KeyError: there is no such study.
    """
    trials, studies = tables().trials, tables().studies
    started = _utc(trial.datetime_start or datetime.now())
    row = {"study_id": study_id, "state": TrialState.RUNNING, "datetime_start": started}
    with engine.begin() as connection:
        # Trials of a study are numbered one after the other. SQLite locks the whole database when a row is inserted.
        query = select(studies.c.study_id).where(studies.c.study_id == study_id).with_for_update()
        if connection.execute(query).one_or_none() is None:
            raise KeyError(f"no study has the key {study_id}")
        inserted = connection.execute(insert(trials).values(**row)).inserted_primary_key
        assert inserted is not None
        key = int(inserted[0])
        earlier = select(trials.c.number).where(trials.c.study_id == study_id, trials.c.trial_id < key)
        last = connection.execute(earlier.order_by(trials.c.trial_id.desc()).limit(1)).scalar_one_or_none()
        number = 0 if last is None else int(last) + 1
        connection.execute(update(trials).where(trials.c.trial_id == key).values(number=number))
        internal = {
            name: (kind.to_internal_repr(trial.params[name]), kind) for name, kind in trial.distributions.items()
        }
        _insert(connection, {key: Unwritten(internal, trial.user_attrs, trial.system_attrs)})
    return key, number


def news(engine: Engine, study_id: int, after: int, waiting: Sequence[int]) -> list[int]:
    """The keys of trials that are newer than `after`, and of those of `waiting` that no longer wait; in order."""
    trials = tables().trials
    newer = select(trials.c.trial_id).where(trials.c.study_id == study_id, trials.c.trial_id > after)
    begun = select(trials.c.trial_id).where(trials.c.trial_id.in_(waiting), trials.c.state != TrialState.WAITING)
    with engine.connect() as connection:
        found = [*connection.execute(newer).scalars(), *(connection.execute(begun).scalars() if waiting else ())]
    return sorted(found)


def begin_waiting(engine: Engine, trial: FrozenTrial, changes: Unwritten) -> None:
    """Begins a trial that waited: writes its state and its values, in one transaction."""
    trials = tables().trials
    with engine.begin() as connection:
        key = key_of(trial)
        if _states(connection, [key])[key] is TrialState.WAITING:
            write(connection, {key: changes})
            started = {"state": TrialState.RUNNING, "datetime_start": _utc(trial.datetime_start or datetime.now())}
            connection.execute(update(trials).where(trials.c.trial_id == key).values(**started))


def reopen(engine: Engine, trial_id: int, attributes: Mapping[str, Any]) -> None:
    """Has a trial that had ended run again, with these user attributes and no others, in one transaction.

    Optuna itself changes no trial that has ended. What it has read of such a trial, other processes may show until they
    read the study anew.
    """
    known = tables()
    with engine.begin() as connection:
        _states(connection, [trial_id])
        for table in (known.values, known.user_attributes):
            connection.execute(delete(table).where(table.c.trial_id == trial_id))
        write(connection, {trial_id: Unwritten(user_attrs=dict(attributes))})
        again = {"state": TrialState.RUNNING, "datetime_complete": None}
        connection.execute(update(known.trials).where(known.trials.c.trial_id == trial_id).values(**again))


def write_all(engine: Engine, changes: Mapping[int, Unwritten], ends: Sequence[End] = ()) -> None:
    """Writes the changes of running trials, and the ends of some of them, in one transaction.

    A second call with the same arguments changes nothing.

    Raises:
        StudyBusy: another process has ended one of them.
        StoreAway: one of them is no longer in the store.
    """
    trials = tables().trials
    with engine.begin() as connection:
        states = _states(connection, [*changes, *(end.trial_id for end in ends)])
        if ends and all(states[end.trial_id] is end.state for end in ends):
            # It was written before, but the connection was lost before the database confirmed it.
            return
        for state in states.values():
            if state.is_finished():
                raise StudyBusy(
                    f"another process has ended a trial that runs here (it is {state.name}): this one had lost the "
                    "study's lock; nothing more is written"
                )
        write(connection, changes)
        for end in ends:
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


def write(connection: Connection, changes: Mapping[int, Unwritten]) -> None:
    """Writes changes, in place of older values with the same names.

    Trials with the same names share a statement. SQLite finds no index for pairs of trial and name: it would read the
    whole table for each statement.
    """
    for table, name, values_of in _parts():
        alike: dict[tuple[Any, ...], list[int]] = defaultdict(list)
        for trial_id, change in changes.items():
            if names := tuple(values_of(change)):
                alike[names].append(trial_id)
        for names, trials in alike.items():
            for first in range(0, len(trials), _MOST_TRIALS):
                these = table.c.trial_id.in_(trials[first : first + _MOST_TRIALS])
                connection.execute(delete(table).where(these, table.c[name].in_(names)))
    _insert(connection, changes)


def _parts() -> list[tuple[Table, str, Callable[[Unwritten], Mapping[Any, Any]]]]:
    """The tables of changes, the column of their names, and what they take of a change."""
    known = tables()
    return [
        (known.params, "param_name", lambda change: change.params),
        (known.user_attributes, "key", lambda change: change.user_attrs),
        (known.system_attributes, "key", lambda change: change.system_attrs),
        (known.intermediate_values, "step", lambda change: change.values),
    ]


def _insert(connection: Connection, changes: Mapping[int, Unwritten]) -> None:
    """Writes changes in the form of Optuna 5, whose own methods commit each value separately."""
    known = tables()
    columns: dict[Table, Callable[[Any], Mapping[str, Any]]] = {
        known.params: lambda value: {"param_value": value[0], "distribution_json": distribution_to_json(value[1])},
        known.user_attributes: lambda value: {"value_json": json.dumps(value)},
        known.system_attributes: lambda value: {"value_json": json.dumps(value)},
        known.intermediate_values: stored_intermediate_value,
    }
    for table, name, values_of in _parts():
        rows = [
            {"trial_id": trial_id, name: key, **columns[table](value)}
            for trial_id, change in changes.items()
            for key, value in values_of(change).items()
        ]
        if rows:
            connection.execute(insert(table), rows)
