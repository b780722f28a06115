"""What Optuna's database does not know yet of a running trial, and its rows, written in one transaction."""

import json
from dataclasses import dataclass, field
from typing import Any

from optuna.distributions import BaseDistribution, distribution_to_json
from optuna.storages._rdb import models
from sqlalchemy import delete, insert
from sqlalchemy.engine import Connection


@dataclass
class Unwritten:
    """What the database does not know yet of a running trial."""

    params: dict[str, tuple[float, BaseDistribution]] = field(default_factory=dict)
    user_attrs: dict[str, Any] = field(default_factory=dict)
    system_attrs: dict[str, Any] = field(default_factory=dict)
    values: dict[int, float] = field(default_factory=dict)


def write(connection: Connection, trial_id: int, changes: Unwritten) -> None:
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
