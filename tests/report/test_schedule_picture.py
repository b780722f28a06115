"""The picture of a schedule, what is expected of unfinished trials, and the word for those that may go on."""

import itertools
import json
from pathlib import Path

import pytest
from studies import learning, planned, run

from hpo.report.gain_picture import gains
from hpo.report.plotly_json import Drawing
from hpo.report.schedule_picture import epochs_of_trials, expected, pauses
from hpo.report.thinning import read_source
from hpo.schedule.cube import Cube
from hpo.schedule.expectation import expected_ends
from hpo.schedule.history import History
from hpo.study.record import TrialRecord, count_states


def test_a_study_whose_trials_paused(tmp_path: Path) -> None:
    found = run(
        f"sqlite:///{tmp_path}/optuna.db", learning, schedule="gp_asha", trials=24, until="worthwhile", min_gain=1e-9
    )
    source = read_source(f"sqlite:///{tmp_path}/optuna.db", "s")
    assert pauses(source)
    picture = epochs_of_trials(source)
    assert isinstance(picture, Drawing)
    epochs = sum(one.epochs for one in found.trials)
    assert picture.alt.startswith(f"When each trial was trained, {epochs} epochs in all; ")
    pauses_of, trained, ends, _ = json.loads(picture.content)["data"]
    # In the order of time: each line begins where one before it on the only worker has ended.
    starts, stops = trained["x"][::3], trained["x"][1::3]
    spans = sorted(zip(starts, stops, strict=True))
    assert len(spans) == len(found.engine.jobs)
    assert all(before[1] <= after[0] + 0.02 for before, after in itertools.pairwise(spans))
    assert len(pauses_of["x"]) == 3 * len(found.trials)
    last = dict(zip(ends["customdata"], ends["text"], strict=True))
    assert last == {trial.number: f"{trial.epochs} epochs" for trial in found.trials}

    left = expected(source)
    assert isinstance(left, Drawing)
    ends, reached = json.loads(left.content)["data"][:2]
    unfinished = [trial.number for trial in found.trials if trial.state == "pruned"]
    assert sorted(map(int, ends["x"])) == sorted(unfinished)
    # All curves of this study rise.
    assert all(end > now for end, now in zip(ends["y"], reached["y"], strict=True) if end < max(reached["y"]))
    assert max(ends["error_y"]["array"]) > 0

    gain = gains(source)
    assert isinstance(gain, Drawing)
    before, came, least = json.loads(gain.content)["data"]
    assert before["y"] == [trial.expected["gain"] for trial in found.trials if trial.expected]
    assert set(least["y"]) == {1e-9}
    # A tenth of 24 trials is 2.
    best = list(itertools.accumulate((trial.value or 0.0 for trial in found.trials), max))
    rises = {number + 1: best[number + 2] - best[number] for number in range(len(best) - 2)}
    for number, rise in zip(came["x"], came["y"], strict=True):
        assert (rise is None) == (number > 22)
        assert rise is None or rise == pytest.approx(rises[number])


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
