"""A study's trials, read from Optuna's tables with two queries and without the columns that hpo does not need."""

import json
from collections import defaultdict
from collections.abc import Collection
from dataclasses import dataclass, field
from datetime import UTC, datetime
from functools import cache
from typing import Any

import sqlalchemy
from optuna.distributions import BaseDistribution, json_to_distribution
from optuna.storages import RDBStorage
from optuna.trial import FrozenTrial

from hpo.storage.optuna_compat import tables


def light_trials(storage: RDBStorage, study_id: int, keys: Collection[str], needs: str) -> list[FrozenTrial]:
    """All trials by number: state, times, and the user attributes with these keys.

    Parameters, distributions and values after each epoch are left out. Trials that lack the attribute `needs` are read
    whole. Optuna itself makes an object for each row of seven tables, which takes half a minute for 10,000 trials.
    """
    trials, kept = tables().trials, tables().user_attributes
    attributes: dict[int, dict[str, Any]] = defaultdict(dict)
    with storage.engine.connect() as connection:
        mine = trials.c.study_id == study_id
        rows = connection.execute(sqlalchemy.select(trials).where(mine).order_by(trials.c.number)).all()
        query = sqlalchemy.select(kept.c.trial_id, kept.c.key, kept.c.value_json)
        wanted = sqlalchemy.and_(kept.c.trial_id == trials.c.trial_id, mine, kept.c.key.in_(list(keys)))
        for trial_id, key, text in connection.execute(query.where(wanted)):
            attributes[trial_id][key] = json.loads(text)
    return [
        _light(row, attributes[row.trial_id]) if needs in attributes[row.trial_id] else storage.get_trial(row.trial_id)
        for row in rows
    ]


@dataclass
class Sampled:
    """The sampled parameters of a trial: parameter -> value, and parameter -> range or choices."""

    params: dict[str, Any] = field(default_factory=dict)
    distributions: dict[str, BaseDistribution] = field(default_factory=dict)


def sampled(storage: RDBStorage, study_id: int) -> dict[int, Sampled]:
    """The sampled parameters of all trials, by number; trials without any are left out."""
    parse = cache(json_to_distribution)  # thousands of trials share a dozen distributions
    found: dict[int, Sampled] = defaultdict(Sampled)
    trials, params = tables().trials, tables().params
    columns = (trials.c.number, params.c.param_name, params.c.param_value, params.c.distribution_json)
    joined = params.join(trials, params.c.trial_id == trials.c.trial_id)
    query = sqlalchemy.select(*columns).select_from(joined).where(trials.c.study_id == study_id)
    with storage.engine.connect() as connection:
        for number, name, value, text in connection.execute(query.order_by(params.c.param_id)):
            distribution = parse(text)
            found[number].params[name] = distribution.to_external_repr(value)
            found[number].distributions[name] = distribution
    return dict(found)


def _light(row: Any, attributes: dict[str, Any]) -> FrozenTrial:
    return FrozenTrial(
        number=row.number,
        state=row.state,
        value=None,
        datetime_start=_local(row.datetime_start),
        datetime_complete=_local(row.datetime_complete),
        params={},
        distributions={},
        user_attrs=attributes,
        system_attrs={},
        intermediate_values={},
        trial_id=row.trial_id,
    )


def _local(moment: datetime | None) -> datetime | None:
    """Optuna stores times in UTC, and returns them in local time, both without a time zone."""
    return None if moment is None else moment.replace(tzinfo=UTC).astimezone().replace(tzinfo=None)
