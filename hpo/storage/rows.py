"""A study as the rows of Optuna's tables, without the keys that a database gives them: the same in every database."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from sqlalchemy import Table, insert, select
from sqlalchemy.engine import Connection, RowMapping

from hpo.storage.optuna_compat import tables

_Row = dict[str, Any]


@dataclass(frozen=True)
class StudyRows:
    """Everything that a database has of one study. Two that are equal are the same study."""

    name: str
    of_study: Mapping[str, list[_Row]]
    """Table -> rows, in the order in which they were written."""
    trials: list[_Row]
    """By number."""
    of_trials: Mapping[str, list[tuple[int, _Row]]]
    """Table -> the number of the row's trial and the row, in the order in which they were written."""


def read_rows(connection: Connection, name: str) -> StudyRows | None:
    """Reads a study; None if the database has no study of that name."""
    known = tables()
    studies, trials = known.studies, known.trials
    study = connection.execute(select(studies.c.study_id).where(studies.c.study_name == name)).scalar()
    if study is None:
        return None
    mine = select(trials).where(trials.c.study_id == study).order_by(trials.c.number)
    found = connection.execute(mine).mappings().all()
    numbers = {row["trial_id"]: row["number"] for row in found}
    of_trials: dict[str, list[tuple[int, _Row]]] = {}
    for table in known.of_trials:
        query = select(table).join(trials, trials.c.trial_id == table.c.trial_id).where(trials.c.study_id == study)
        rows = connection.execute(query.order_by(table.c.trial_id, *table.primary_key)).mappings()
        # A trial that another process enqueues meanwhile may have rows here, and none above.
        mine_alone = [(numbers[row["trial_id"]], _kept(table, row)) for row in rows if row["trial_id"] in numbers]
        of_trials[table.name] = sorted(mine_alone, key=lambda entry: entry[0])
    of_study: dict[str, list[_Row]] = {}
    for table in known.of_study:
        query = select(table).where(table.c.study_id == study).order_by(*table.primary_key)
        of_study[table.name] = [_kept(table, row) for row in connection.execute(query).mappings()]
    return StudyRows(name, of_study, [_kept(trials, row) for row in found], of_trials)


def write_rows(connection: Connection, rows: StudyRows) -> None:
    """Writes a study; the caller commits it, whole.

    Raises:
        IntegrityError: the database has a study of that name.
    """
    known = tables()
    studies, trials = known.studies, known.trials
    (study,) = connection.execute(insert(studies).values(study_name=rows.name)).inserted_primary_key or (None,)
    whose = {"study_id": study}
    for table in known.of_study:
        _insert(connection, table, [{**row, **whose} for row in rows.of_study[table.name]])
    _insert(connection, trials, [{**row, **whose} for row in rows.trials])
    written = connection.execute(select(trials.c.number, trials.c.trial_id).where(trials.c.study_id == study))
    keys = {row.number: row.trial_id for row in written}
    for table in known.of_trials:
        _insert(connection, table, [{**row, "trial_id": keys[number]} for number, row in rows.of_trials[table.name]])


def _insert(connection: Connection, table: Table, rows: list[_Row]) -> None:
    if rows:
        connection.execute(insert(table), rows)


def _kept(table: Table, row: RowMapping) -> _Row:
    """A row without the database's own keys."""
    own = {"study_id", "trial_id", *table.primary_key.columns.keys()}
    return {name: value for name, value in row.items() if name not in own}
