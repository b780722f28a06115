"""The two-way additive model of scores, configuration + seed + residual: differences and their errors.

Runs that share a seed share its luck (the split, the folds, the order of the data); the model removes it from their
difference. All configurations have one residual deviation, estimated from all their runs (Cox & Reid, The Theory of
the Design of Experiments, 2000, chapter 3). The model is fitted by least squares, so runs may be missing.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property

import numpy as np
import numpy.typing as npt

Floats = npt.NDArray[np.float64]
Bools = npt.NDArray[np.bool_]
Scores = Mapping[int, Mapping[int, float]]
"""Configuration -> seed -> score."""


@dataclass(frozen=True, eq=False)
class Design:
    """Which configuration was run with which seed."""

    cells: Bools
    """Configurations x seeds: whether there is a score."""

    @cached_property
    def _inverse(self) -> Floats:
        """(Configurations + seeds) x runs: turns scores into the least squares effects of smallest norm."""
        return np.asarray(np.linalg.pinv(self.matrix), float)

    @cached_property
    def matrix(self) -> Floats:
        """The design matrix, runs x (configurations + seeds): 1 for the configuration of a run, and for its seed."""
        rows, columns = np.nonzero(self.cells)
        return np.hstack([np.eye(self.cells.shape[0])[rows], np.eye(self.cells.shape[1])[columns]])

    @cached_property
    def freedom(self) -> int:
        """Degrees of freedom of the residual."""
        return int(self.cells.sum() - np.linalg.matrix_rank(self.matrix))

    @cached_property
    def covariance(self) -> Floats:
        """Configurations x configurations: the covariance of their effects, in units of the residual variance."""
        rows = self._inverse[: len(self.cells)]
        return rows @ rows.T

    @cached_property
    def connected(self) -> Bools:
        """Configurations x configurations: whether they can be compared, by shared seeds or through others."""
        shares = (self.cells.astype(int) @ self.cells.T.astype(int)) > 0
        return np.linalg.matrix_power(shares.astype(int), len(shares)) > 0

    def effects(self, scores: Floats) -> Floats:
        """The effects of the configurations, up to a constant, shape (..., configurations).

        `scores` has shape (..., runs), in the order of `cells` row by row.
        """
        return scores @ self._inverse[: len(self.cells)].T

    def deviation(self, scores: Floats) -> Floats:
        """The residual standard deviation, shape (...), of scores of shape (..., runs)."""
        left = scores - scores @ self._inverse.T @ self.matrix.T
        deviation: Floats = np.sqrt((left**2).sum(axis=-1) / max(1, self.freedom))
        return deviation

    def errors(self, deviation: float = 1.0) -> Floats:
        """Configurations x configurations: the standard error of their difference."""
        own = np.diag(self.covariance)
        return deviation * np.sqrt(np.maximum(own[:, None] + own - 2 * self.covariance, 0.0))


@dataclass(frozen=True, eq=False)
class TwoWay:
    """The model fitted to scores."""

    configurations: tuple[int, ...]
    design: Design
    effects: Floats
    """The effect of each configuration, up to a constant: only differences have a meaning."""
    deviation: float
    """The standard deviation of the residual, at least what rounding causes: see `resolution`."""

    def differences(self, other: int) -> dict[int, float]:
        """Configuration -> its effect minus that of another one.

        Contains every configuration that can be compared with the other one, and that one itself.
        """
        place = self.configurations.index(other)
        found = zip(self.configurations, self.effects - self.effects[place], self.design.connected[place], strict=True)
        return {one: float(difference) for one, difference, connected in found if connected}


def designed(scores: Scores) -> tuple[Design, Floats]:
    """The design (which configuration has a score with which seed), and the scores run by run, shape (runs,)."""
    seeds = list(dict.fromkeys(seed for values in scores.values() for seed in values))
    cells = np.array([[seed in values for seed in seeds] for values in scores.values()], bool)
    return Design(cells), np.array([values[seed] for values in scores.values() for seed in seeds if seed in values])


def fitted(scores: Scores) -> TwoWay:
    """Fits the model to the configurations that have a score; at least one must have one."""
    scores = {one: values for one, values in scores.items() if values}
    design, values = designed(scores)
    deviation = max(float(design.deviation(values)), resolution(values))
    return TwoWay(tuple(scores), design, design.effects(values), deviation)


def resolution(values: Floats) -> float:
    """The standard deviation that rounding to a grid causes: the step divided by the root of 12 (Sheppard 1898).

    The step is the smallest difference between two scores; for an accuracy it is that of one example. Scores over few
    examples may by chance differ by the same steps on all seeds, and would then seem to have no deviation. Returns 0 if
    all scores are the same.
    """
    steps = np.diff(np.unique(values))
    steps = steps[steps > 1e-9 * np.abs(values).max()]
    return float(steps.min() / 12**0.5) if len(steps) else 0.0
