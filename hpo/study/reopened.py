"""Trials that ended only since their study's run did: a later run goes on with them, under their numbers."""

from dataclasses import replace
from typing import Any

from optuna.trial import FrozenTrial, TrialState

from hpo.study.attributes import RESULT
from hpo.study.record import ENDED_WITH_THE_RUN
from hpo.study.stored_trial import record_of
from hpo.study.trial_results import result_of


def rests(trial: FrozenTrial) -> bool:
    """Whether a trial ended only since its study's run did; see `TrialRecord.rests`."""
    result = trial.user_attrs.get(RESULT, {})
    return trial.state is TrialState.PRUNED and result.get("ended_by") in ENDED_WITH_THE_RUN


def going_on(trial: FrozenTrial) -> dict[str, Any]:
    """The user attributes of a trial that had ended, and goes on: what it has reached, without its end and its test."""
    record = record_of(trial)
    paused = replace(record, ended_by=None, test={}, test_note=None, trained_seconds=record.seconds, executions=None)
    tested = {f"test_{name}" for name in record.test}
    kept = {name: value for name, value in trial.user_attrs.items() if name not in tested}
    return {**kept, RESULT: result_of(paused)}
