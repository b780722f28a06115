"""A trial whose parameters are still being proposed: in memory alone, until it is written with all of them."""

from dataclasses import dataclass, field
from typing import Any

from optuna.storages import BaseStorage, RDBStorage
from optuna.trial import FrozenTrial

from hpo.storage.optuna_compat import key_of, set_key
from hpo.storage.write_trials import Unwritten, begin_waiting, insert_trial


@dataclass
class Draft:
    """A draft, and the study attributes that its sampler set meanwhile."""

    study_id: int
    trial_id: int | None = None
    waited: FrozenTrial | None = None
    """The trial as it waited, if another process enqueued it."""
    noted: dict[str, Any] = field(default_factory=dict)


def write_draft(
    database: RDBStorage, backend: BaseStorage, draft: Draft, trial: FrozenTrial, changes: Unwritten
) -> FrozenTrial:
    """Writes a draft, and what its sampler noted in the study; returns the trial with its key and number.

    `changes`: what a trial that waited got since.
    """
    if draft.waited is None:
        key, trial.number = insert_trial(database.engine, draft.study_id, trial)
        set_key(trial, key)
    else:
        begin_waiting(database.engine, trial, changes)
        trial = database.get_trial(key_of(trial))
    for name, value in draft.noted.items():
        backend.set_study_system_attr(draft.study_id, name, value)
    return trial
