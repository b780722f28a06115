"""New trials by a Gaussian process over configurations and epochs, promotion by asynchronous successive halving."""

import math
from collections.abc import Mapping
from typing import Any

import numpy as np
from scipy.special import ndtr

from hpo.schedule.asha import Asha
from hpo.schedule.blas import one_thread
from hpo.schedule.costs import Costs
from hpo.schedule.estimates import Expected
from hpo.schedule.history import History
from hpo.schedule.observations import Observations, observe
from hpo.schedule.process import CurveProcess, Shape
from hpo.schedule.steps import Begin, Schedule, Step
from hpo.schedule.worth import expected, in_proportion

_MOST_TRIALS, _MOST, _MOST_FITTED = 1000, 300, 120
_UNIFORM, _NEAR, _NEARER = 100, 60, 40
# With fewer trials nothing is said of what more would gain.
_FEWEST = 12
# A model may lack a unit for each so many trials that it knows to be training without a score.
_UNITS_UNKNOWN = 25


class GpAsha(Schedule):
    """New trials have the largest expected improvement of the final score for its cost in seconds.

    The process learns from at most 300 scores, and its parameters from at most 120: all of the best trials, and the
    last ones of others, drawn at random. So an ask takes hardly longer with thousands of trials than with hundreds.
    Where dozens of trials have no score yet, several asks share one model: in the time that it takes to make one, a few
    of so many trials finish a unit.

    Args:
        reduction_factor: From each rung one of this many trials goes on, the best. Unit: trials.
        n_startup_trials: How many trials begin with random values before the model proposes them. Unit: trials.
    """

    has_model = proposes = True

    def __init__(self, history: History, seed: int, reduction_factor: int = 3, n_startup_trials: int = 8) -> None:
        super().__init__(history, seed)
        if n_startup_trials < 2:
            raise ValueError(f"n_startup_trials must be at least 2, got {n_startup_trials}")
        self._asha = Asha(history, seed, reduction_factor)
        self._startup = n_startup_trials
        self._model: _Model | None = None

    @property
    def first(self) -> int:
        """The first rung."""
        return self._asha.first

    @property
    def _starting(self) -> bool:
        return bool(np.count_nonzero(self.history.done > 0) < self._startup)

    def next(self, may_begin: bool, left: float = math.inf) -> Step:
        """Promotes a trial if one is among the best share of its rung, and otherwise begins one."""
        if may_begin and self._starting and math.isinf(left):
            return Begin("random, to begin")
        step = self._asha.next(may_begin, left)
        return (
            Begin("random, to begin" if self._starting else "largest expected gain")
            if isinstance(step, Begin)
            else step
        )

    def after(self, done: int) -> int:
        """The next rung."""
        return self._asha.after(done)

    def stops(self, trial: int) -> bool:
        """Whether a trial that cannot pause is not among the best share of its rung."""
        return self._asha.stops(trial)

    def propose(self, ordinal: int, attempt: int, fixed: Mapping[str, Any]) -> Mapping[str, Any]:
        """The best of 200 candidates, near good trials and everywhere; at random until enough trials have a score."""
        cube, rng = self.history.cube, np.random.default_rng([self.seed, ordinal, attempt])
        if self._starting:
            return cube.decode(rng.random(cube.size), fixed)
        with one_thread():
            return cube.decode(self._best(rng, fixed), fixed)

    def expected_gain(self, more: int) -> Expected | None:
        """See `Schedule.expected_gain`; the new trials are the best of 200 candidates."""
        rng = np.random.default_rng([self.seed, self.history.count])
        history = self.history.thinned(_MOST_TRIALS, rng)
        if np.count_nonzero(history.done > 0) < _FEWEST or len(np.unique(history.merits[history.done > 0])) < 3:
            return None
        seen, unit = in_proportion(observe(history))
        with one_thread():
            model = _Model(history, seen, rng)
            model.believe(self.history)
            found = model.expected(history.cube.settled(model.candidates(rng)), more, rng)
        return Expected(found.gain * unit, found.floor * unit)

    def _best(self, rng: np.random.Generator, fixed: Mapping[str, Any]) -> np.ndarray:
        cube, model = self.history.cube, self._model
        if model is None or not model.suits(self.history):
            history = self.history.thinned(_MOST_TRIALS, rng)
            model = self._model = _Model(history, observe(history), rng)
        model.believe(self.history)
        found = cube.settled(model.candidates(rng), fixed)
        values = model.values(found)
        best = int(np.argmax(values))
        nearer = cube.settled(_steps(np.tile(found[best], (_NEARER, 1)), cube.unordered, (0.01, 0.1), rng), fixed)
        more = model.values(nearer)
        point: np.ndarray = nearer[np.argmax(more)] if more.max() > values[best] else found[best]
        return point


def _steps(
    points: np.ndarray, unordered: np.ndarray, scales: tuple[float, float], rng: np.random.Generator
) -> np.ndarray:
    """Points moved by normal steps in some coordinates; values without an order are drawn again, as often as far."""
    sizes = np.exp(rng.uniform(np.log(scales[0]), np.log(scales[1]), (len(points), 1)))
    chosen = rng.random(points.shape) < 0.6
    start = np.where(np.isnan(points), rng.random(points.shape), points)
    moved = np.clip(start + chosen * sizes * rng.standard_normal(points.shape), 0.0, 1.0)
    again = rng.random(points.shape) < sizes
    drawn = np.where(again, rng.random(points.shape), start)
    return np.where(unordered > 0, drawn, moved)


class _Model:
    """The process and the costs, as far as a history determines them."""

    def __init__(self, history: History, seen: Observations, rng: np.random.Generator) -> None:
        self._history, self._learned = history, history.learned
        features, owners = history.cube.features(history.values)
        self._process = CurveProcess(Shape(owners, history.units))
        self._process.fit(seen.thinned(_MOST_FITTED, rng).rows(features)[0])
        rows, known = seen.thinned(_MOST, rng).rows(features)
        self._process.condition(rows)
        self._believed: set[int] = set()
        self._features, self._rows = features, known
        self._costs = Costs(history, features)
        self._best = float(seen.scores.max())

    def suits(self, history: History) -> bool:
        """Whether it knows all that the history tells, except for some units where very many trials have none yet."""
        return 0 <= history.learned - self._learned < len(self._believed) // _UNITS_UNKNOWN

    def believe(self, history: History) -> None:
        """Takes trials that train, but have no score yet, to have the score that is expected of them."""
        pending = map(int, np.flatnonzero(history.running & (history.done == 0)))
        new = [row for row in pending if row not in self._believed]
        if new:
            self._process.believe(history.cube.features(history.values[new])[0])
            self._believed.update(new)

    def candidates(self, rng: np.random.Generator) -> np.ndarray:
        """Points near the best trials and everywhere."""
        history = self._history
        everywhere = rng.random((_UNIFORM, history.cube.size))
        top = np.argsort(-history.merits, kind="stable")[: max(3, min(10, history.count // 5))]
        near = history.values[rng.choice(top, _NEAR)]
        return np.vstack([everywhere, _steps(near, history.cube.unordered, (0.02, 0.3), rng)])

    def values(self, points: np.ndarray) -> np.ndarray:
        """The logarithm of the expected improvement at the last unit for its cost; minus infinity where tried."""
        features, _ = self._history.cube.features(points)
        mean, deviation = self._process.predict(features, self._history.units)
        gain = np.log(improvement(mean, deviation, self._best) + 1e-300) - np.log(self._costs.of(features))
        tried = np.array([row.tobytes() in self._history.tried for row in points])
        values: np.ndarray = np.where(tried, -np.inf, gain)
        return values

    def expected(self, points: np.ndarray, more: int, rng: np.random.Generator) -> Expected:
        """What the best `more` of some points, and the trials that may go on, are expected to gain."""
        history, places = self._history, np.arange(len(self._rows))
        chosen = points[np.argsort(-self.values(points), kind="stable")[:more]]
        new = self._process.predict(history.cube.features(chosen)[0], history.units)
        unfinished = (history.paused | history.running)[self._rows]
        old = self._process.predict(self._features[self._rows[unfinished]], history.units, places[unfinished])
        means, deviations = (np.concatenate(pair) for pair in zip(new, old, strict=True))
        return expected(self._process, self._best, means, deviations, rng)


def improvement(mean: np.ndarray, deviation: np.ndarray, best: float) -> np.ndarray:
    """The expected improvement over `best` of values that are normally distributed."""
    z = (mean - best) / deviation
    gain: np.ndarray = deviation * (z * ndtr(z) + np.exp(-0.5 * z * z) / np.sqrt(2 * np.pi))
    return gain
