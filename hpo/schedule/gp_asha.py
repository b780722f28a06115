"""New trials by a Gaussian process over configurations and epochs, promotion by asynchronous successive halving."""

import math
from collections.abc import Mapping
from typing import Any

import numpy as np
from scipy.special import ndtr

from hpo.schedule.asha import Asha
from hpo.schedule.blas import one_thread
from hpo.schedule.costs import Costs
from hpo.schedule.history import History
from hpo.schedule.observations import observe
from hpo.schedule.process import CurveProcess, Rows, Shape
from hpo.schedule.steps import Begin, Schedule, Step

_MOST, _MOST_FITTED = 300, 120
_UNIFORM, _NEAR, _NEARER = 100, 60, 40


class GpAsha(Schedule):
    """New trials have the largest expected improvement of the final score for its cost in seconds.

    The process learns from at most 300 scores, and its parameters from at most 120: all of the best trials, and the
    last ones of others, drawn at random. So an ask takes hardly longer with thousands of trials than with hundreds.
    """

    proposes = True

    def __init__(self, history: History, seed: int, reduction_factor: int = 3, n_startup_trials: int = 8) -> None:
        """`reduction_factor`: one of so many goes on; `n_startup_trials`: random ones before the model decides."""
        super().__init__(history, seed)
        if n_startup_trials < 2:
            raise ValueError(f"n_startup_trials must be at least 2, got {n_startup_trials}")
        self._asha = Asha(history, seed, reduction_factor)
        self._startup = n_startup_trials

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

    def _best(self, rng: np.random.Generator, fixed: Mapping[str, Any]) -> np.ndarray:
        history, cube = self.history, self.history.cube
        model = _Model(history, rng)
        found = cube.settled(self._candidates(rng), fixed)
        values = model.values(found)
        best = int(np.argmax(values))
        nearer = cube.settled(_steps(np.tile(found[best], (_NEARER, 1)), cube.unordered, (0.01, 0.1), rng), fixed)
        more = model.values(nearer)
        point: np.ndarray = nearer[np.argmax(more)] if more.max() > values[best] else found[best]
        return point

    def _candidates(self, rng: np.random.Generator) -> np.ndarray:
        history = self.history
        everywhere = rng.random((_UNIFORM, history.cube.size))
        top = np.argsort(-history.merits, kind="stable")[: max(3, min(10, history.count // 5))]
        near = history.values[rng.choice(top, _NEAR)]
        return np.vstack([everywhere, _steps(near, history.cube.unordered, (0.02, 0.3), rng)])


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

    def __init__(self, history: History, rng: np.random.Generator) -> None:
        self._history = history
        features, owners = history.cube.features(history.values)
        seen = observe(history)
        self._process = CurveProcess(Shape(owners, history.units))
        self._process.fit(seen.thinned(_MOST_FITTED, rng).rows(features)[0])
        rows, _ = seen.thinned(_MOST, rng).rows(features)
        self._process.condition(self._with_pending(rows, features))
        self._costs = Costs(history, features)
        self._best = float(seen.scores.max())
        self._tried = {row.tobytes() for row in history.values}

    def _with_pending(self, rows: Rows, features: np.ndarray) -> Rows:
        """With trials that train, but have no score yet: believed to have the score that is expected of them."""
        history = self._history
        pending = np.flatnonzero(history.running & (history.done == 0))
        if not len(pending):
            return rows
        self._process.condition(rows)
        first = np.ones(len(pending))
        means, _ = self._process.predict(features[pending], first)
        return Rows(
            np.vstack([rows.points, features[pending]]),
            np.concatenate([rows.trials, len(rows.points) + np.arange(len(pending))]),
            np.concatenate([rows.units, first]),
            np.concatenate([rows.scores, means]),
        )

    def values(self, points: np.ndarray) -> np.ndarray:
        """The logarithm of the expected improvement at the last unit for its cost; minus infinity where tried."""
        features, _ = self._history.cube.features(points)
        mean, deviation = self._process.predict(features, self._history.units)
        gain = np.log(improvement(mean, deviation, self._best) + 1e-300) - np.log(self._costs.of(features))
        tried = np.array([row.tobytes() in self._tried for row in points])
        values: np.ndarray = np.where(tried, -np.inf, gain)
        return values


def improvement(mean: np.ndarray, deviation: np.ndarray, best: float) -> np.ndarray:
    """The expected improvement over `best` of values that are normally distributed."""
    z = (mean - best) / deviation
    gain: np.ndarray = deviation * (z * ndtr(z) + np.exp(-0.5 * z * z) / np.sqrt(2 * np.pi))
    return gain
