"""How the end of a trial is told to Optuna, and what its samplers see of trials that failed."""

import copy
from collections.abc import Sequence

import optuna
from optuna.storages import BaseStorage
from optuna.trial import FrozenTrial, TrialState

from hpo.study.attributes import RESULT
from hpo.study.record import TrialRecord
from hpo.study.stored_trial import STATES, reason_of, record_of
from hpo.study.trial_results import result_of

INSTRUCTIVE = ("nonfinite", "invalid", "timeout", "out_of_memory")
"""Failures that say something of the configuration, and not of the code, the machine or whoever stopped it.

No sampler of Optuna's looks at failed trials. TPE takes a pruned trial without values for the worst there is, and so
keeps away from where it was; the others (random, qmc, cmaes, nsga2, gp, grid) pass over pruned trials as over failed
ones. `hpo.study.stored_trial.record_of` reads such a trial as failed all the same.
"""


def tell(storage: BaseStorage, study: optuna.Study, record: TrialRecord, instructive: bool = False) -> TrialRecord:
    """Writes the end of a trial; returns its record with its times.

    `instructive`: whether samplers shall learn from its failure, which says something of a whole configuration.
    """
    study_id = storage.get_study_id_from_name(study.study_name)
    trial_id = storage.get_trial_id_from_study_id_trial_number(study_id, record.number)
    # The state comes last: a trial that counts as ended has all its results.
    storage.set_trial_user_attr(trial_id, RESULT, result_of(record))
    for name, score in record.test.items():
        storage.set_trial_user_attr(trial_id, f"test_{name}", score)
    state = optuna_state(record, instructive)
    if record.state == "failed" and state is TrialState.PRUNED:
        # Optuna's own `tell` would take the last epoch's value for the trial's.
        storage.set_trial_state_values(trial_id, state)
        return record_of(storage.get_trial(trial_id))
    value = record.value if state is TrialState.COMPLETE else None
    return record_of(study.tell(record.number, value, state))


def optuna_state(record: TrialRecord, instructive: bool) -> TrialState:
    """The state in which Optuna keeps an ended trial; `instructive`: whether its failure is to be learned from."""
    if instructive and record.reason in INSTRUCTIVE:
        return TrialState.PRUNED
    return next(state for state, name in STATES.items() if name == record.state)


def as_samplers_see(trials: Sequence[FrozenTrial]) -> list[FrozenTrial]:
    """Trials as samplers should see them: those of `INSTRUCTIVE` failures as pruned, without values.

    The values after the epochs before it diverged would set such a trial above those that were pruned earlier. Trials
    that earlier code told as failed are of the kind where they were not finite; others may have lacked parameters.
    """
    return [_pruned(trial) if _is_instructive(trial) else trial for trial in trials]


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
