"""Schedules decide from the history alone: what is promoted, what is begun, and what they never repeat."""

import subprocess
import sys
from collections.abc import Mapping
from typing import Any

import numpy as np
import pytest

from hpo.config.space import SearchSpace
from hpo.schedule import SCHEDULES, Begin, GoOn, Schedule, Wait, make_schedule
from hpo.schedule.cube import Cube
from hpo.schedule.history import End, History
from hpo.schedule.observations import observe, quantiles
from hpo.schedule.process import CurveProcess, Rows

SPACE = SearchSpace.model_validate(
    {
        "model": "mlp",
        "parameters": {
            "learning_rate": {"type": "float", "low": 1e-4, "high": 1.0, "log": True},
            "width": {"type": "int", "low": 8, "high": 256, "log": True},
            "activation": {"type": "categorical", "choices": ["relu", "tanh", "sigmoid"]},
            "optimizer": {"type": "categorical", "choices": ["adam", "sgd"]},
            "momentum": {"type": "float", "low": 0.0, "high": 0.99, "when": {"optimizer": "sgd"}},
        },
    }
)
UNITS = 20


def made(name: str = "gp_asha", seed: int = 0, **options: Any) -> Schedule:
    return make_schedule(name, options, History(Cube(SPACE), UNITS), seed)


def test_scipy_is_imported_for_the_schedules_alone_that_use_it() -> None:
    code = "import sys, hpo.study.study; assert not {'scipy', 'threadpoolctl'} & set(sys.modules)"
    subprocess.run([sys.executable, "-c", code], check=True)


def score(config: Mapping[str, Any], unit: int) -> float:
    """Best at a learning rate of 0.01 with adam; wide ones learn slowly."""
    away = abs(np.log10(config["learning_rate"]) + 2)
    slow = 2.0 if config["width"] > 64 else 1.0
    return float(0.9 - 0.1 * away - 0.1 * (config["optimizer"] == "sgd") - 0.4 * slow / (unit + 1))


def train(schedule: Schedule, trials: int, workers: int = 1) -> list[Mapping[str, Any]]:
    """Trains until nothing is left; returns the configurations in the order in which they began."""
    history, configs = schedule.history, list[Mapping[str, Any]]()
    running: dict[int, int] = {}
    while True:
        while len(running) < workers:
            step = schedule.next(may_begin=len(configs) < trials)
            if isinstance(step, Wait):
                break
            if isinstance(step, Begin):
                number = len(configs)
                configs.append(schedule.propose(number, 0, {}) if schedule.proposes else drawn(number))
                history.begin(number, configs[-1], schedule.first)
            else:
                number = step.trial
                history.go_on(number, step.until)
            running[number] = int(history.until[number])
        if not running:
            return configs
        number, until = next(iter(running.items()))
        del running[number]
        for unit in range(int(history.done[number]), until):
            history.unit_done(number, score(configs[number], unit + 1), (unit + 1) * configs[number]["width"] / 100)
        if until == UNITS:
            history.end(number, "final")
        else:
            history.pause(number)


def drawn(number: int) -> Mapping[str, Any]:
    cube = Cube(SPACE)
    return cube.decode(np.random.default_rng(number).random(cube.size))


@pytest.mark.parametrize("name", SCHEDULES)
@pytest.mark.parametrize("workers", [1, 3])
def test_a_study_ends_with_its_best_trial_trained_to_the_end(name: str, workers: int) -> None:
    schedule = made(name)
    assert len(train(schedule, 30, workers)) == 30
    history = schedule.history
    assert not history.running.any()
    assert history.done[np.argmax(history.merits)] == UNITS
    ended = np.count_nonzero(history.done == UNITS)
    assert ended == 30 if name == "one_pass" else 1 <= ended <= 4
    assert set(history.done) <= ({1, 3, 9, 20} if name == "gp_asha" else {1, 4, 16, 20})


def test_the_model_finds_better_ones_than_chance_and_proposes_no_configuration_twice() -> None:
    configs = train(made(), 40)
    assert len({SPACE.key(config) for config in configs}) == 40
    assert all(not SPACE.complaints(config) for config in configs)
    ends = [score(config, UNITS) for config in configs]
    by_chance = [score(drawn(number), UNITS) for number in range(2000)]
    assert max(ends) > np.quantile(by_chance, 0.99)


def test_proposals_depend_on_the_history_alone() -> None:
    """A schedule that is made anew from the same history goes on with the same proposals."""
    one, other = made(), made()
    configs = train(one, 20)
    for number, config in enumerate(configs):
        other.history.begin(number, config, 1)
        for unit in range(int(one.history.done[number])):
            other.history.unit_done(number, score(config, unit + 1), (unit + 1) * config["width"] / 100)
        if one.history.final[number]:
            other.history.end(number, "final")
        else:
            other.history.pause(number)
    proposal = one.propose(20, 0, {})
    assert other.propose(20, 0, {}) == proposal
    assert other.next(may_begin=True) == one.next(may_begin=True)
    assert other.propose(20, 1, {}) != proposal
    assert made(seed=1).propose(0, 0, {}) != made(seed=0).propose(0, 0, {})


def test_fixed_values_are_kept() -> None:
    schedule = made()
    train(schedule, 12)
    found = schedule.propose(12, 0, {"activation": "sigmoid", "optimizer": "sgd"})
    assert (found["activation"], found["optimizer"], "momentum" in found) == ("sigmoid", "sgd", True)


def test_promotion() -> None:
    schedule = made("asha")
    history = schedule.history
    for number in range(8):
        history.begin(number, drawn(number), 1)
        history.unit_done(number, number / 10, 1.0)
        history.pause(number)
    assert schedule.next(may_begin=True) == GoOn(7, 4, "among best at 1")
    history.go_on(7, 4)
    assert schedule.next(may_begin=True) == GoOn(6, 4, "among best at 1")
    history.go_on(6, 4)
    assert schedule.next(may_begin=True) == Begin("the sampler's next")
    assert schedule.next(may_begin=False) == Wait()
    # Interrupted between two rungs: it goes on first.
    history.unit_done(7, 0.9, 2.0)
    history.pause(7)
    assert schedule.next(may_begin=True) == GoOn(7, 4, "was interrupted")
    history.end(7, "failed")
    history.pause(6)
    history.end(5, "stopped")
    assert schedule.next(may_begin=True) == GoOn(6, 4, "among best at 1")
    # What was stopped, is another attempt's, or is of another study takes no place among those that go on.
    history.end(6, "stopped")
    for number, observed in ((8, False), (9, True)):
        history.begin(number, drawn(number), 1, observed)
        history.unit_done(number, 2.0, 1.0)
        history.end(number, "stopped" if observed else "gone")
    assert schedule.next(may_begin=True) == GoOn(4, 4, "among best at 1")


def test_a_trial_that_cannot_pause_is_stopped_unless_it_is_among_the_best() -> None:
    schedule = made()
    history = schedule.history
    stopped = []
    for number, merit in enumerate([0.5, 0.4, 0.6, 0.3, 0.2, 0.1, 0.15, 0.7]):
        history.begin(number, drawn(number), UNITS)
        history.unit_done(number, merit, 1.0)
        stopped.append(schedule.stops(number))
    assert stopped == [False, True, False, True, True, True, True, False]


def test_failures_and_trials_without_a_score_do_no_harm() -> None:
    schedule = made()
    history = schedule.history
    for number in range(14):
        config = drawn(number)
        history.begin(number, config, 1)
        if number % 3 == 1:
            history.end(number, "failed")
        elif number % 3 == 2:
            history.end(number, "gone")
        else:
            history.unit_done(number, score(config, 1), 0.0)
            history.pause(number)
    for number in range(14, 30):
        history.begin(number, drawn(number), 1)
        history.unit_done(number, 0.5, 1.0)
        history.end(number, "final" if number % 2 else "stopped")
    history.begin(30, drawn(30), 1)
    assert not SPACE.complaints(schedule.propose(31, 0, {}))


def test_the_model_of_curves_sees_the_best_so_far_and_a_failure_as_the_worst_score() -> None:
    known: list[tuple[list[float], End | None]] = [([1, 3, 2], None), ([5, 4], "final"), ([7], "failed"), ([2], "gone")]
    history = History(Cube(SPACE), 3)
    for number, (curve, how) in enumerate(known):
        history.begin(number, drawn(number), 3)
        for unit, merit in enumerate(curve, 1):
            history.unit_done(number, merit, 2.0 * unit)
        if how:
            history.end(number, how)
    seen = observe(history)
    assert seen.trials.tolist() == [0, 0, 0, 1, 1, 1, 2, 2, 3]
    assert seen.units.tolist() == [1, 2, 3, 1, 2, 3, 1, 3, 1]
    assert seen.merits.tolist() == [1, 3, 3, 5, 5, 5, 7, -np.inf, 2]
    assert history.seconds.tolist() == [6, 4, 2, 2]
    assert seen.scores[7] == seen.scores.min()
    ranks = quantiles(np.array([3.0, 1.0, 1.0, np.inf, 2.0]))
    assert ranks[1] == ranks[2] < ranks[4] < ranks[0]
    few = seen.thinned(4, np.random.default_rng(0))
    assert len(few) == 4
    assert (np.diff(few.trials) >= 0).all()


def test_however_many_trials_there_are_the_model_looks_at_so_many(monkeypatch: pytest.MonkeyPatch) -> None:
    """`python -m benchmarks.decisions` measures how long an ask takes."""
    looked: dict[str, list[int]] = {"fit": [], "condition": []}
    for name, sizes in looked.items():
        real = getattr(CurveProcess, name)

        def counted(self: CurveProcess, rows: Rows, real: Any = real, sizes: list[int] = sizes) -> None:
            sizes.append(len(rows.scores))
            real(self, rows)

        monkeypatch.setattr(CurveProcess, name, counted)
    schedule = made()
    history = schedule.history
    for number in range(1500):
        config = drawn(number)
        history.begin(number, config, 1)
        for unit in range(1 if number % 4 else 4):
            history.unit_done(number, score(config, unit + 1), (unit + 1) * config["width"] / 100)
        history.pause(number)
    schedule.propose(1500, 0, {})
    assert (max(looked["fit"]), max(looked["condition"])) == (120, 300)


def test_towards_a_deadline_nothing_begins_that_cannot_end_and_the_best_is_finished() -> None:
    schedule = made("asha")
    history = schedule.history
    for number in range(8):
        history.begin(number, drawn(number), 1)
        history.unit_done(number, number / 10, 1.0)
        history.pause(number)
    assert schedule.next(may_begin=True, left=25.0) == GoOn(7, UNITS, "last chance to finish")
    assert schedule.next(may_begin=True, left=100.0) == GoOn(7, 4, "among best at 1")
    assert schedule.next(may_begin=True, left=3.5) == GoOn(7, 4, "among best at 1")
    assert schedule.next(may_begin=True, left=2.0) == Begin("the sampler's next")
    assert schedule.next(may_begin=True, left=0.5) == Wait()
    # Nothing comes to its next rung any more: the best one goes on as far as the time allows.
    slow = made("asha")
    for number in range(8):
        slow.history.begin(number, drawn(number), 1)
        slow.history.unit_done(number, number / 10, 4.0 if number < 7 else 0.5)
        slow.history.pause(number)
    assert slow.next(may_begin=True, left=1.4) == GoOn(7, 3, "time is left")
    # The next decision would come after 12 s of trial 6, too late for the 8 s that the best one needs.
    slow.history.go_on(7, 4)
    for done in (2, 3, 4):
        slow.history.unit_done(7, 0.7, done / 2)
    slow.history.pause(7)
    assert slow.next(may_begin=True, left=30.0) == GoOn(6, 4, "among best at 1")
    assert slow.next(may_begin=True, left=13.0) == GoOn(7, UNITS, "last chance to finish")


def test_with_folds_a_score_is_the_mean_so_far_and_not_the_best() -> None:
    history = History(Cube(SPACE), 3, folds=True)
    history.begin(0, drawn(0), 3)
    for fold, mean in enumerate([0.9, 0.7, 0.8], 1):
        history.unit_done(0, mean, float(fold))
    assert history.best[0].tolist() == [0.9, 0.7, 0.8]
    history.start_over(0)
    assert (history.done[0], history.merits[0], history.seconds[0]) == (0, -np.inf, 0.0)


@pytest.mark.parametrize("options", [{"reduction_factor": 1}, {"min_resource": 0}])
def test_options_are_checked(options: dict[str, int]) -> None:
    with pytest.raises(ValueError, match=f"{next(iter(options))} must be at least"):
        made("asha", **options)
