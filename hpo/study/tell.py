"""How the end of a trial is recorded in Optuna, and how its samplers see trials that failed."""

import copy

import optuna
from optuna.storages import BaseStorage
from optuna.trial import FrozenTrial, TrialState

from hpo.study.attributes import RESULT
from hpo.study.record import TrialRecord
from hpo.study.stored_trial import STATES, has_paused, reason_of, record_of
from hpo.study.trial_results import result_of

INSTRUCTIVE = ("nonfinite", "invalid", "timeout", "out_of_memory")
"""Reasons that are due to the configuration, and not to the code, to the machine or to an interruption.

No sampler of Optuna looks at failed trials. TPE takes a pruned trial without values for the worst one, and so keeps
away from its region. The other samplers (random, qmc, cmaes, nsga2, gp, grid) ignore pruned trials, as they ignore
failed ones. `hpo.study.stored_trial.record_of` reads such a trial as failed all the same.
"""


def tell(storage: BaseStorage, study: optuna.Study, record: TrialRecord, instructive: bool = False) -> TrialRecord:
    """Writes the end of a trial; returns its record with its times.

    `instructive`: whether samplers should learn from its failure: it is final, and its configuration is complete.
    """
    study_id = storage.get_study_id_from_name(study.study_name)
    trial_id = storage.get_trial_id_from_study_id_trial_number(study_id, record.number)
    # The state comes last: a trial that counts as ended has all its results.
    storage.set_trial_user_attr(trial_id, RESULT, result_of(record))
    for name, score in record.test.items():
        storage.set_trial_user_attr(trial_id, f"test_{name}", score)
    state = optuna_state(record, instructive)
    if record.state == "failed" and state is TrialState.PRUNED:
        # Optuna's own `tell` would use the last epoch's value as the trial's.
        storage.set_trial_state_values(trial_id, state)
        return record_of(storage.get_trial(trial_id))
    value = record.value if state is TrialState.COMPLETE else None
    return record_of(study.tell(record.number, value, state))


def optuna_state(record: TrialRecord, instructive: bool) -> TrialState:
    """The state in which Optuna stores an ended trial; `instructive`: whether samplers learn from its failure."""
    if instructive and record.reason in INSTRUCTIVE:
        return TrialState.PRUNED
    return next(state for state, name in STATES.items() if name == record.state)


def as_samplers_see(trial: FrozenTrial) -> FrozenTrial:
    """A trial as samplers should see it: one with an `INSTRUCTIVE` failure as pruned, without values.

    If such a trial kept the values from before it diverged, it would rank above trials that were pruned earlier.
    Earlier versions recorded all of them as failed. Of those, only the nonfinite ones are changed here: the others may
    lack parameters.
    """
    return _pruned(trial) if _is_instructive(trial) else trial


def paused_as_pruned(trial: FrozenTrial) -> FrozenTrial:
    """The same, and one that has paused as pruned: no sampler looks at trials that run, and this one has scores."""
    return _as_pruned(trial) if has_paused(trial) else as_samplers_see(trial)


def _as_pruned(trial: FrozenTrial) -> FrozenTrial:
    seen = copy.copy(trial)
    seen.state = TrialState.PRUNED
    return seen


def _is_instructive(trial: FrozenTrial) -> bool:
    if RESULT not in trial.user_attrs or trial.state not in (TrialState.PRUNED, TrialState.FAIL):
        return False
    reason = reason_of(trial)
    return reason == "nonfinite" or (reason is not None and trial.state is TrialState.PRUNED)


def _pruned(trial: FrozenTrial) -> FrozenTrial:
    if trial.state is TrialState.PRUNED and not trial.intermediate_values:
        return trial
    seen = copy.copy(trial)
    seen.state, seen.value, seen.intermediate_values = TrialState.PRUNED, None, {}
    return seen
