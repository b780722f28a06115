"""What Optuna's trials say, read as records."""

from dataclasses import replace
from typing import Any

import optuna
import pytest
from optuna.trial import TrialState, create_trial

from hpo.config.resolved import Resolved
from hpo.study.failure import Failure
from hpo.study.record import Confirms, TrialRecord
from hpo.study.stored_trial import job_of, reason_of, record_of, records_of, state_of
from hpo.study.trial_results import result_of

RECORD = TrialRecord(
    4, "complete", {"depth": 2}, 7, 4, value=0.6, best_epoch=2, curves={"val_loss": [0.9, 0.6]}, test={"loss": 0.5},
    ended_by="epochs", model_parameters=17,
)  # fmt: skip


def stored(attributes: Any = None, state: TrialState = TrialState.COMPLETE) -> optuna.trial.FrozenTrial:
    value = 0.6 if state is TrialState.COMPLETE else None
    known = {"hpo:job": job_of(RECORD), "hpo:result": result_of(RECORD)}
    return create_trial(state=state, value=value, user_attrs={**known, **(attributes or {})})


def test_a_trial_is_read_as_it_was_written() -> None:
    trial = stored()
    trial.number = 4
    read = record_of(trial)
    assert replace(read, started=None, ended=None) == RECORD
    more: dict[str, Any] = {"fold_best_epochs": [1, 2], "test_note": "none", "model_note": "large", "note": "alone"}
    assert result_of(replace(RECORD, **more)).items() >= more.items()
    assert result_of(RECORD).keys().isdisjoint({"fold_best_epochs", "test_note", "model_note"})
    resolved = Resolved(model={"depth": 2}, training={"epochs": 4}, dataset={})
    again = record_of(stored({"hpo:job": job_of(replace(RECORD, resolved=resolved))}))
    assert (again.resolved, again.params, again.seed) == (resolved, {"depth": 2}, 7)
    assert record_of(stored()).resolved is None


def test_attempts_sources_and_confirming_runs() -> None:
    again = record_of(stored({"hpo:retry": {"origin": 2, "attempt": 3}}))
    assert (again.origin, again.attempt) == (2, 3)
    carried = record_of(stored({"hpo:carried": {"trial": "9", "source": "old"}}))
    assert (carried.source, record_of(stored()).source) == ("trial 9 of old", None)
    assert record_of(stored({"hpo:confirms": {"trial": 3, "ordinal": 2}})).confirms == Confirms(3, 2)


@pytest.mark.parametrize(
    ("state", "failure", "expected"),
    [
        (TrialState.COMPLETE, None, "complete"),
        (TrialState.PRUNED, None, "pruned"),
        (TrialState.PRUNED, "nonfinite", "failed"),
        (TrialState.FAIL, "error", "failed"),
        (TrialState.FAIL, None, "failed"),
        (TrialState.RUNNING, "error", "running"),
    ],
)
def test_a_failure_counts_in_whatever_state_optuna_keeps_it(
    state: TrialState, failure: str | None, expected: str
) -> None:
    trial = stored({"hpo:result": {**result_of(RECORD), "failure": failure}}, state)
    assert state_of(trial) == expected
    assert reason_of(trial) == (failure if state.is_finished() else None)
    assert reason_of(create_trial(state=TrialState.FAIL)) is None


def test_a_trial_that_was_killed_at_its_start_keeps_what_was_written() -> None:
    distribution = optuna.distributions.IntDistribution(1, 3)
    trial = create_trial(
        state=TrialState.RUNNING, params={"depth": 3}, distributions={"depth": distribution},
        system_attrs={"fixed_params": {"rate": 0.1, "depth": 2}},
    )  # fmt: skip
    assert (record_of(trial).params, record_of(trial).seed) == ({"rate": 0.1, "depth": 3}, 0)


def test_waiting_and_observed_trials_are_not_listed() -> None:
    waiting, observed = create_trial(state=TrialState.WAITING), stored({"hpo:observed": {}})
    assert len(records_of([waiting, stored(), observed])) == 1


@pytest.mark.parametrize(
    ("error", "failure"),
    [
        ("m.py:1: ValueError: no\n\nTraceback:\n\nNo", Failure("error", "m.py:1: ValueError: no", "Traceback:\n\nNo")),
        ("it was killed; its last output:\nhello", Failure("error", "it was killed; its last output:\nhello")),
        (None, Failure("error")),
    ],
)
def test_a_message_and_a_traceback_that_earlier_code_kept_as_one_are_read_apart(
    error: str | None, failure: Failure
) -> None:
    old = {**result_of(RECORD), "failure": "error", "error": error}
    read = record_of(stored({"hpo:result": old}, TrialState.FAIL))
    assert (read.failure, failure.text) == (failure, error or "")
    assert record_of(stored({"hpo:result": result_of(read)}, TrialState.FAIL)).failure == failure


def test_the_curve_that_earlier_code_kept_of_folds_is_read_as_their_lengths() -> None:
    folds = {"curves": {"fold": [1.0, 1.0, 2.0], "val_loss": [0.9, 0.6, 0.7]}, "fold_best_epochs": [2, 3]}
    read = record_of(stored({"hpo:result": {**result_of(RECORD), **folds}}))
    assert (read.curves, read.fold_lengths) == ({"val_loss": [0.9, 0.6, 0.7]}, (2, 1))
    assert list(record_of(stored({"hpo:result": result_of(read)})).fold_lengths) == [2, 1]


def test_errors_that_earlier_code_kept_are_cleaned_and_models_elsewhere_are_not_ours() -> None:
    result = {**result_of(RECORD), "failure": "error", "error": "bad \x1b[31m", "model_file": "/etc/passwd"}
    read = record_of(stored({"hpo:result": result}, TrialState.FAIL))
    assert read.failure == Failure("error", "bad \\x1b[31m")
    assert read.model_file is None
