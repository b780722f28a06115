"""What Optuna is told of a trial that failed, so that its samplers learn from it."""

import copy
from collections.abc import Sequence

from optuna.trial import FrozenTrial, TrialState

from hpo.study.record import TrialRecord
from hpo.study.stored import RESULT, STATES, failure_of

INSTRUCTIVE = ("nonfinite", "invalid", "timeout", "out_of_memory")
"""Failures that say something of the configuration, and not of the code, the machine or whoever stopped it.

No sampler of Optuna's looks at failed trials. TPE takes a pruned trial without values for the worst there is, and so
keeps away from where it was; the others (random, qmc, cmaes, nsga2, gp, grid) pass over pruned trials as over failed
ones. `hpo.study.stored.record_of` reads such a trial as failed all the same.
"""


def told_state(record: TrialRecord, instructive: bool) -> TrialState:
    """The state in which Optuna keeps an ended trial; `instructive`: whether its failure is to be learned from."""
    if instructive and record.failure in INSTRUCTIVE:
        return TrialState.PRUNED
    return next(state for state, name in STATES.items() if name == record.state)


def as_sampled(trials: Sequence[FrozenTrial]) -> list[FrozenTrial]:
    """Trials as samplers should see them: those of `INSTRUCTIVE` failures as pruned, without values.

    The values after the epochs before it diverged would set such a trial above those that were pruned earlier. Trials
    that earlier code told as failed are of the kind where they were not finite; others may have lacked parameters.
    """
    return [_pruned(trial) if _is_instructive(trial) else trial for trial in trials]


def _is_instructive(trial: FrozenTrial) -> bool:
    if RESULT not in trial.user_attrs or trial.state not in (TrialState.PRUNED, TrialState.FAIL):
        return False
    failure = failure_of(trial)
    return failure == "nonfinite" or (failure is not None and trial.state is TrialState.PRUNED)


def _pruned(trial: FrozenTrial) -> FrozenTrial:
    if trial.state is TrialState.PRUNED and not trial.intermediate_values:
        return trial
    seen = copy.copy(trial)
    seen.state, seen.value, seen.intermediate_values = TrialState.PRUNED, None, {}
    return seen
