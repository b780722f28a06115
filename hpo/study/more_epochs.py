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


def more_epochs_note(
    trials: Sequence[TrialRecord], lengthened: Sequence[TrialRecord], definition: Definition
) -> str | None:
    """What happens to trials that had fewer epochs, in the run that is the first with more; otherwise None."""
    if lengthened:
        numbers = ", ".join(str(trial.number) for trial in lengthened)
        many = len(lengthened) > 1
        return f"more epochs now: trial{'s' * many} {numbers} go{'' if many else 'es'} on with another number"
    allowed = [trial.resolved.training.get("epochs", 0) for trial in trials if trial.resolved]
    if definition.lengthens and allowed and max(allowed) < definition.epochs:
        came = any(trial.allowed_epochs for trial in trials)
        why = "of those that came to their last one no checkpoint was kept" if came else "none had come to its last one"
        return f"more epochs now, for new trials: {why}"
    return None


def _is_shorter(record: TrialRecord, epochs: int) -> bool:
    return record.allowed_epochs is not None and record.allowed_epochs < epochs
