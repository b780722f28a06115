"""What a schedule knows of a study's trials: in a run that goes on, and when a model declares a parameter."""

import time
from copy import copy
from dataclasses import replace
from pathlib import Path

import pytest
from optuna.trial import FrozenTrial, TrialState
from studies import definition, learning, run

from hpo.config.experiment import StudySpec
from hpo.schedule import GoOn
from hpo.study.failure import Failure
from hpo.study.read import known_study
from hpo.study.record import failed
from hpo.study.scheduled import Scheduled
from hpo.study.stored_trial import record_of

DEFINITION = definition()


@pytest.fixture(scope="module")
def trials(tmp_path_factory: pytest.TempPathFactory) -> list[FrozenTrial]:
    """Six trials, of which five rest after an epoch or a few."""
    url = f"sqlite:///{Path(tmp_path_factory.mktemp('study'))}/optuna.db"
    run(url, learning, schedule="gp_asha", trials=6)
    return known_study(url, "s").trials


@pytest.fixture
def scheduled(trials: list[FrozenTrial]) -> Scheduled:
    made = Scheduled(
        StudySpec.model_validate({"schedule": "gp_asha", "until": "worthwhile", "timeout": 100}), DEFINITION
    )
    made.read(DEFINITION.whole_space, trials)
    return made


def test_a_tenth_of_a_time_is_as_many_trials_as_this_run_has_begun_in_it(
    scheduled: Scheduled, trials: list[FrozenTrial]
) -> None:
    scheduled.rest(trials, ())
    scheduled._began, scheduled.deadline = time.monotonic() - 10, time.monotonic() + 100
    assert scheduled._tenth == 1
    for number in range(6, 10):
        scheduled.begin(replace(record_of(trials[0]), number=number, origin=number), None)
    assert scheduled._tenth == 4


def test_a_trial_that_trains_keeps_the_epochs_since_its_pause_when_the_space_widens(
    scheduled: Scheduled, trials: list[FrozenTrial]
) -> None:
    paused = next(trial for trial in trials if trial.state is TrialState.PRUNED)
    epochs = len(paused.intermediate_values)
    scheduled.go_on(GoOn(paused.number, 16, "the best"))
    going_on = copy(paused)
    going_on.state = TrialState.RUNNING
    going_on.intermediate_values = {**paused.intermediate_values, epochs + 1: 0.8, epochs + 2: 0.9}
    scheduled.read(DEFINITION.whole_space, [going_on if one is paused else one for one in trials])
    history = scheduled._history
    row = history.row(paused.number)
    assert (history.done[row], history.until[row], history.running[row]) == (epochs + 2, 16, True)
    assert history.best[row, epochs + 1] == 0.9


def test_a_further_attempt_counts_instead_of_the_one_before_unless_it_fails(
    scheduled: Scheduled, trials: list[FrozenTrial]
) -> None:
    first = record_of(max(trials, key=lambda trial: len(trial.intermediate_values)))
    history = scheduled._history
    row = history.row(first.number)
    before, done = float(history.merits[row]), int(history.done[row])
    again = replace(first, number=len(trials), origin=first.number, attempt=1, state="running")
    scheduled.begin(again, None)
    assert (int(history.done[row]), bool(history.own[row])) == (0, False)
    assert scheduled.why(again.number) in ("tried again", "has more epochs")
    scheduled.end(failed(again, Failure("error", "no")))
    assert (float(history.merits[row]), int(history.done[row]), bool(history.own[row])) == (before, done, True)
