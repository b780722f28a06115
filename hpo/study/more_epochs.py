"""A study that is given more epochs: its best trials go on after their last one, in trials of their own."""

from collections.abc import Collection, Sequence

from optuna.trial import FrozenTrial

from hpo.study.definition import Definition
from hpo.study.record import TrialRecord
from hpo.study.stored_trial import records_of


def to_lengthen(
    trials: Sequence[FrozenTrial], definition: Definition, resumable: Collection[int]
) -> Sequence[TrialRecord]:
    """The trials that came to the last of fewer epochs than the study has now, and of which there is a checkpoint.

    Of each configuration only the last attempt counts; `resumable`: the trials of which there is a checkpoint.
    """
    if not definition.lengthens or not resumable:
        return []
    last = {record.origin: record for record in records_of(trials)}
    return [one for one in last.values() if one.number in resumable and _is_shorter(one, definition.epochs)]


def _is_shorter(record: TrialRecord, epochs: int) -> bool:
    return record.allowed_epochs is not None and record.allowed_epochs < epochs
