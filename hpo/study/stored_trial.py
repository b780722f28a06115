"""How a trial is stored in Optuna: how a TrialRecord is written, and how it is read back."""

from collections.abc import Mapping, Sequence
from dataclasses import asdict
from typing import Any

from optuna.trial import FrozenTrial, TrialState

from hpo.config.resolved import Resolved
from hpo.storage.optuna_compat import FIXED_PARAMS
from hpo.study.attributes import CARRIED, CONFIRMS, EXPECTED, JOB, OBSERVED, RESULT, RETRY
from hpo.study.record import Confirms, State, TrialRecord
from hpo.study.trial_results import fields_of

READ = (JOB, RETRY, RESULT, CONFIRMS, CARRIED, OBSERVED, EXPECTED)
"""The user attributes that a trial is read from: those that `record_of` and `own_trials` look at."""

STATES: Mapping[TrialState, State] = {
    TrialState.RUNNING: "running",
    TrialState.COMPLETE: "complete",
    TrialState.PRUNED: "pruned",
    TrialState.FAIL: "failed",
}


def records_of(trials: Sequence[FrozenTrial]) -> list[TrialRecord]:
    """The records of a study's own trials, without those that still wait to be handed out."""
    return [record_of(trial) for trial in own_trials(trials) if trial.state is not TrialState.WAITING]


def own_trials(trials: Sequence[FrozenTrial]) -> list[FrozenTrial]:
    """A study's own trials, without those of other studies that only its sampler and its pruner see."""
    return [trial for trial in trials if OBSERVED not in trial.user_attrs]


def record_of(trial: FrozenTrial) -> TrialRecord:
    """The record of a trial."""
    job, result = trial.user_attrs.get(JOB, {}), trial.user_attrs.get(RESULT, {})
    return TrialRecord(
        number=trial.number, state=state_of(trial), params=config_of(trial), seed=job.get("seed", 0),
        origin=origin_of(trial), attempt=attempt_of(trial), started=trial.datetime_start, ended=trial.datetime_complete,
        confirms=Confirms(**trial.user_attrs[CONFIRMS]) if CONFIRMS in trial.user_attrs else None,
        resolved=Resolved(**job["resolved"]) if job.get("resolved") else None, source=source_of(trial),
        expected=trial.user_attrs.get(EXPECTED),
        **fields_of(result),
    )  # fmt: skip


def job_of(record: TrialRecord) -> dict[str, Any]:
    """The attribute JOB of a trial: its configuration and its seed; after its job is made, all its settings too."""
    job = {"config": record.params, "seed": record.seed}
    return job if record.resolved is None else {**job, "resolved": asdict(record.resolved)}


def config_of(trial: FrozenTrial) -> Mapping[str, Any]:
    """A trial's configuration; only a part of it if the coordinator was killed while the trial began."""
    begun = {**trial.system_attrs.get(FIXED_PARAMS, {}), **trial.params}
    config: Mapping[str, Any] = trial.user_attrs.get(JOB, {}).get("config", begun)
    return config


def origin_of(trial: FrozenTrial) -> int:
    """The number of the trial that first had this configuration."""
    return int(trial.user_attrs.get(RETRY, {}).get("origin", trial.number))


def attempt_of(trial: FrozenTrial) -> int:
    """How often the configuration had been tried before."""
    return int(trial.user_attrs.get(RETRY, {}).get("attempt", 0))


def source_of(trial: FrozenTrial) -> str | None:
    """Where the trial was run, if not in this study."""
    carried = trial.user_attrs.get(CARRIED)
    return None if carried is None else f"trial {carried['trial']} of {carried['source']}"


def reason_of(trial: FrozenTrial) -> str | None:
    """Why the trial failed, in a word, no matter in which state Optuna keeps it; None if it did not fail."""
    reason: str | None = None
    if trial.state.is_finished():
        reason = trial.user_attrs.get(RESULT, {}).get("failure")
    return reason


def has_paused(trial: FrozenTrial) -> bool:
    """Whether a trial has paused, and may go on: for Optuna it runs, and it has results without an end."""
    result = trial.user_attrs.get(RESULT)
    ended = result is None or result.get("ended_by") or result.get("failure")
    return trial.state is TrialState.RUNNING and not ended


def state_of(trial: FrozenTrial) -> State:
    """The trial's state: failed if there is a reason, though Optuna may keep another state (see `hpo.study.tell`)."""
    return "failed" if reason_of(trial) is not None else STATES[trial.state]
