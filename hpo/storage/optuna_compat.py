"""Everything that hpo uses of Optuna beyond its documented interface; no other module uses it.

`tests/storage/test_optuna_compat.py` tests each part, and says where to look when an upgrade of Optuna breaks it.
Importing this module does not import Optuna: `hpo list` reads Optuna's tables without it.
"""

import sqlite3
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from functools import cache
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    import optuna
    from optuna.trial import FrozenTrial, Trial
    from sqlalchemy import Table

SCHEMA_VERSION, REVISION = 12, "v3.2.0.a"
"""What Optuna 3.2 to 5 write into the tables `version_info` and `alembic_version`; `tables` is this schema."""

FIXED_PARAMS = "fixed_params"
"""The system attribute in which Optuna keeps the parameters that an enqueued trial is to have.

hpo writes it too, to begin a trial with some parameters given. The trial is not enqueued, since another process could
take it from the queue.
"""

RUNG_PREFIX = "completed_rung_"
"""The prefix of the system attributes in which Optuna's successive halving keeps the value of a trial at each rung.

They are copied when trials of one study are added to another that has the same pruner.
"""


def key_of(trial: "FrozenTrial | Trial") -> int:
    """The database's key of a trial. Methods of storages need it, and only `_trial_id` has it."""
    return trial._trial_id


def set_key(trial: "FrozenTrial", key: int) -> None:
    """Sets the key of a trial, as Optuna's storages do for trials that they create from a template."""
    trial._trial_id = key


def forget_read_trials(study: "optuna.Study") -> None:
    """Has a study read its trials again, for the sampler.

    Optuna caches the trials that it read since its own last `ask`; hpo asks several times for one trial, and creates
    the trial itself.
    """
    study._thread_local.cached_all_trials = None


@dataclass(frozen=True)
class Tables:
    """The tables in which Optuna keeps trials, as SQLAlchemy knows them."""

    studies: "Table"
    """study_id, study_name."""
    trials: "Table"
    """trial_id, study_id, number, state, datetime_start, datetime_complete; times are in UTC, without a time zone."""
    params: "Table"
    """trial_id, param_name, param_value (in Optuna's internal representation), distribution_json."""
    user_attributes: "Table"
    """trial_id, key, value_json."""
    system_attributes: "Table"
    """trial_id, key, value_json."""
    values: "Table"
    """trial_id, objective, value, value_type: see `stored_value`."""
    intermediate_values: "Table"
    """trial_id, step, intermediate_value, intermediate_value_type: see `stored_intermediate_value`."""
    of_study: "tuple[Table, ...]"
    """All with something about a study: study_id. The primary key of each is made by the database."""
    of_trials: "tuple[Table, ...]"
    """All with something about a trial: trial_id. The primary key of each is made by the database."""


@cache
def tables() -> Tables:
    """Optuna's own tables, which hpo reads with two queries and writes in batches.

    Optuna itself makes an object for each row of seven tables when it reads a trial, and commits each value
    separately.
    """
    from optuna.storages._rdb import models

    def table(model: Any) -> "Table":
        found: Table = model.__table__
        return found

    more = [one for name, one in models.BaseModel.metadata.tables.items() if name not in ("studies", "trials")]
    return Tables(
        studies=table(models.StudyModel),
        trials=table(models.TrialModel),
        params=table(models.TrialParamModel),
        user_attributes=table(models.TrialUserAttributeModel),
        system_attributes=table(models.TrialSystemAttributeModel),
        values=table(models.TrialValueModel),
        intermediate_values=table(models.TrialIntermediateValueModel),
        of_study=tuple(one for one in more if "study_id" in one.c),
        of_trials=tuple(one for one in more if "trial_id" in one.c),
    )


def stored_value(value: float) -> Mapping[str, Any]:
    """The columns in which Optuna keeps a trial's value, which may be infinite."""
    from optuna.storages._rdb.models import TrialValueModel

    stored, kind = TrialValueModel.value_to_stored_repr(value)
    return {"value": stored, "value_type": kind}


def stored_intermediate_value(value: float) -> Mapping[str, Any]:
    """The columns in which Optuna keeps the value of an epoch, which may be infinite or not a number."""
    from optuna.storages._rdb.models import TrialIntermediateValueModel

    stored, kind = TrialIntermediateValueModel.intermediate_value_to_stored_repr(value)
    return {"intermediate_value": stored, "intermediate_value_type": kind}


def has_known_tables(connection: sqlite3.Connection) -> bool:
    """Whether an SQLite database has the tables that the queries below are written for."""
    version = connection.execute("SELECT schema_version FROM version_info").fetchone()[0]
    revision = connection.execute("SELECT version_num FROM alembic_version").fetchone()[0]
    return (version, revision) == (SCHEMA_VERSION, REVISION)


def studies_with(connection: sqlite3.Connection, attribute: str) -> Iterable[tuple[int, str, str]]:
    """The studies that have a user attribute, in the order in which they were made: key, name, value as JSON."""
    return connection.execute(
        """
        SELECT studies.study_id, study_name, value_json FROM studies
        JOIN study_user_attributes AS attributes ON attributes.study_id = studies.study_id
        WHERE "key" = ? ORDER BY studies.study_id
        """,
        (attribute,),
    )


def trials_without(
    connection: sqlite3.Connection, attribute: str, result: str, fields: tuple[str, str]
) -> Iterable[tuple[int, int, str, str | None, str | None]]:
    """The trials that do not wait and lack a user attribute, by number.

    Each row has the key of the trial's study, its number, the name of its state, and two fields of the user attribute
    `result` as JSON.
    """
    return connection.execute(
        """
        SELECT study_id, number, state, result.value_json -> ?, result.value_json -> ? FROM trials
        LEFT JOIN trial_user_attributes AS result ON result.trial_id = trials.trial_id AND result."key" = ?
        LEFT JOIN trial_user_attributes AS seen ON seen.trial_id = trials.trial_id AND seen."key" = ?
        WHERE state <> 'WAITING' AND seen.trial_id IS NULL ORDER BY number
        """,
        (*(f"$.{field}" for field in fields), result, attribute),
    )
