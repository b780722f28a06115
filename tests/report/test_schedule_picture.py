"""The picture of a schedule, what is expected of unfinished trials, and the word for those that may go on."""

import json
from pathlib import Path

import pytest
from studies import learning, planned, run

from hpo.report.plotly_json import Drawing
from hpo.report.schedule_picture import epochs_of_trials, expected, pauses
from hpo.report.thinning import read_source
from hpo.schedule.cube import Cube
from hpo.schedule.expectation import expected_ends
from hpo.schedule.history import History
from hpo.study.record import TrialRecord, count_states


def test_a_study_whose_trials_paused(tmp_path: Path) -> None:
    found = run(f"sqlite:///{tmp_path}/optuna.db", learning, schedule="gp_asha", trials=24)
    source = read_source(f"sqlite:///{tmp_path}/optuna.db", "s")
    assert pauses(source)
    picture = epochs_of_trials(source)
    assert isinstance(picture, Drawing)
    assert picture.alt.startswith(f"Epochs that each trial was trained, {sum(one.epochs for one in found.trials)} in")
    stems = json.loads(picture.content)["data"][0]
    assert sorted(y for y in stems["y"] if y) == sorted(trial.epochs for trial in found.trials)

    left = expected(source)
    assert isinstance(left, Drawing)
    ends, reached = json.loads(left.content)["data"][:2]
    unfinished = [trial.number for trial in found.trials if trial.state == "pruned"]
    assert sorted(map(int, ends["x"])) == sorted(unfinished)
    # All curves of this study rise.
    assert all(end > now for end, now in zip(ends["y"], reached["y"], strict=True) if end < max(reached["y"]))
    assert max(ends["error_y"]["array"]) > 0


def test_what_is_expected_of_curves_that_rise_to_twice_their_first_score() -> None:
    history = History(Cube(planned().space), 20)
    for number in range(20):
        config = {"depth": 1 + number % 3, "learning_rate": 1e-4 * 1.4**number, "widths": [8], "optimizer": "adam"}
        history.begin(number, {**config, "activation": "relu"}, 20)
        for epoch in range(1, 21 if number % 2 else 2):
            history.unit_done(number, (0.3 + number / 100) * (1 + (epoch - 1) / 19), 1.0)
        history.end(number, "final" if number % 2 else "stopped")
    ends = expected_ends(history, 0)
    for number in range(2, 18, 2):
        middle, low, high = ends[number]
        assert low <= middle <= high
        assert middle == pytest.approx(2 * (0.3 + number / 100), abs=0.06)


def test_a_trial_that_may_go_on_is_called_paused() -> None:
    running = TrialRecord(0, "running", {}, 0, 0, 0)
    paused = TrialRecord(1, "running", {}, 0, 1, 0, curves={"val_accuracy": [0.5]})
    assert count_states([running, paused]) == {"running": 1, "paused": 1}
