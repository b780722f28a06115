"""A Gaussian process over configurations and units: how a score will be after more training, and how sure that is.

    y(x, e) = level + trend(e) + f(x) + g(x, e) + a trial's own deviation, constant and by unit + noise

What depends on the unit fades out towards the last one, U: its covariance is w(e) w(e') exp(-|t(e) - t(e')| / 0.5),
where t(e) = log e / log U and w = 1 - t. f and g are Matern processes (5/2) with a length scale for each parameter. The
idea is that of freeze-thaw Bayesian optimization (Swersky, Snoek, Adams 2014, arXiv:1406.3896).
"""

from dataclasses import dataclass
from typing import Any

import numpy as np
from scipy.linalg import LinAlgError, cho_solve, cholesky, solve_triangular
from scipy.linalg.lapack import dpotri
from scipy.optimize import minimize

_LENGTH, _FADING = 0.8, 0.5
# Medians of the variances: of f and of g, of a trial's own constant and fading deviation, of the noise.
_VARIANCES = np.log([1.0, 1.0, 0.03, 0.05, 1e-3])
# Deviations of the priors, which are normal in the logarithms.
_LENGTH_SPREAD, _VARIANCE_SPREADS = 0.7, np.array([0.7, 0.7, 1.0, 1.0, 1.0])
_ITERATIONS = 12
_JITTER = 1e-6


@dataclass(frozen=True)
class Rows:
    """Observations: scores of trials after some units."""

    points: np.ndarray
    """Shape (trials, coordinates): the features of their configurations."""
    trials: np.ndarray
    """Shape (n,), ascending: which of the trials each is of."""
    units: np.ndarray
    """Shape (n,): after how many units."""
    scores: np.ndarray
    """Shape (n,), of about mean 0 and deviation 1."""


@dataclass(frozen=True)
class Shape:
    """What is fixed about a process: its coordinates, its last unit, and the priors of its parameters."""

    owners: np.ndarray
    """Shape (coordinates,): the parameter of the space to which each coordinate belongs."""
    units: int
    """The last unit."""

    @property
    def lengths(self) -> int:
        """The number of length scales."""
        return int(self.owners.max(initial=-1)) + 1

    @property
    def prior(self) -> np.ndarray:
        """Medians of the logarithms of the process's parameters: length scales, then variances."""
        return np.concatenate([np.full(self.lengths, np.log(_LENGTH)), _VARIANCES])

    @property
    def spread(self) -> np.ndarray:
        """Their standard deviations."""
        return np.concatenate([np.full(self.lengths, _LENGTH_SPREAD), _VARIANCE_SPREADS])

    def time(self, units: np.ndarray) -> np.ndarray:
        """Units on a logarithmic scale: 0 for the first, 1 for the last."""
        scaled: np.ndarray = np.log(units) / np.log(max(self.units, 2))
        return scaled

    def fading(self, units: np.ndarray, others: np.ndarray) -> np.ndarray:
        """The covariance between units of what fades out towards the last."""
        one, two = self.time(units), self.time(others)
        fading: np.ndarray = np.multiply.outer(1 - one, 1 - two) * np.exp(
            -np.abs(np.subtract.outer(one, two)) / _FADING
        )
        return fading


class CurveProcess:
    """The process, with parameters that maximise their posterior density."""

    def __init__(self, shape: Shape) -> None:
        self._shape, self._lengths = shape, shape.lengths
        self.logarithms = shape.prior
        """The logarithms of the length scales and the variances."""

    def fit(self, rows: Rows) -> None:
        """Fits the parameters, beginning at their priors."""
        prior, spread = self._shape.prior, self._shape.spread
        bounds = list(zip(prior - 4 * spread, prior + 4 * spread, strict=True))
        found = minimize(
            _Posterior(self._shape, rows), prior, jac=True, method="L-BFGS-B", bounds=bounds,
            options={"maxiter": _ITERATIONS, "maxfun": 2 * _ITERATIONS},
        )  # fmt: skip
        self.logarithms = found.x

    @property
    def noise(self) -> float:
        """The deviation of the noise of a score."""
        return float(np.exp(0.5 * self.logarithms[-1]))

    def _scaled(self, points: np.ndarray) -> np.ndarray:
        scaled: np.ndarray = points / np.exp(self.logarithms[: self._lengths])[self._shape.owners]
        return scaled

    def _matern(self, points: np.ndarray, others: np.ndarray) -> np.ndarray:
        one, two = self._scaled(points), self._scaled(others)
        squares = np.square(one).sum(axis=1)[:, None] + np.square(two).sum(axis=1)[None] - 2 * one @ two.T
        return matern(5 * np.maximum(squares, 0))

    def _joint(self, shared: np.ndarray, same: np.ndarray, fading: np.ndarray) -> np.ndarray:
        f, g, constant, varying, _ = np.exp(self.logarithms[self._lengths :])
        joint: np.ndarray = shared * (f + g * fading) + same * (constant + varying * fading) + fading + 1.0
        return joint

    def condition(self, rows: Rows) -> None:
        """Learns from observations."""
        fading, same = self._shape.fading(rows.units, rows.units), np.equal.outer(rows.trials, rows.trials)
        shared = self._matern(rows.points, rows.points)[np.ix_(rows.trials, rows.trials)]
        covariance = self._joint(shared, same, fading)
        covariance[np.diag_indices(len(rows.scores))] += np.exp(self.logarithms[-1]) + _JITTER
        self._rows, self._lower = rows, cholesky(covariance, lower=True, check_finite=False)
        self._weights = cho_solve((self._lower, True), rows.scores, check_finite=False)

    def believe(self, points: np.ndarray) -> None:
        """Takes it for granted that new trials at some points will have the scores after a unit that are expected.

        Means stay as they are, deviations near the points shrink. This costs less than to begin again with all rows.
        """
        rows, count = self._rows, len(points)
        units = np.ones(count)
        across = self._joint(
            self._matern(points, rows.points)[:, rows.trials],
            np.zeros((count, 1)),
            self._shape.fading(units, rows.units),
        )
        within = self._joint(self._matern(points, points), np.eye(count), self._shape.fading(units, units))
        within[np.diag_indices(count)] += np.exp(self.logarithms[-1]) + _JITTER
        left = solve_triangular(self._lower, across.T, lower=True, check_finite=False).T
        corner = cholesky(within - left @ left.T, lower=True, check_finite=False)
        self._rows = Rows(
            np.vstack([rows.points, points]),
            np.concatenate([rows.trials, len(rows.points) + np.arange(count)]),
            np.concatenate([rows.units, units]),
            np.concatenate([rows.scores, across @ self._weights]),
        )
        self._lower = np.block([[self._lower, np.zeros((len(rows.scores), count))], [left, corner]])
        self._weights = np.concatenate([self._weights, np.zeros(count)])

    def predict(
        self, points: np.ndarray, units: Any, trials: np.ndarray | None = None
    ) -> tuple[np.ndarray, np.ndarray]:
        """Means and standard deviations of the scores, without noise, at points after some units.

        `trials`: for points of observed trials, which of `Rows.points` each is. Otherwise they are new, and the
        deviation leaves out a trial's own: what is not determined by the configuration cannot be chosen by it.
        """
        rows, units = self._rows, np.broadcast_to(np.asarray(units, dtype=float), len(points))
        fading = self._shape.fading(units, rows.units)
        same = np.equal.outer(np.full(len(points), -1) if trials is None else trials, rows.trials)
        joint = self._joint(self._matern(points, rows.points)[:, rows.trials], same, fading)
        explained = np.square(solve_triangular(self._lower, joint.T, lower=True, check_finite=False)).sum(axis=0)
        own = np.square(1 - self._shape.time(units))
        variance = self._joint(np.ones(len(points)), np.full(len(points), trials is not None), own) - explained
        return joint @ self._weights, np.sqrt(np.maximum(variance, 1e-9))


def matern(squares: np.ndarray) -> np.ndarray:
    """The Matern covariance 5/2 of five times the squared distances."""
    roots = np.sqrt(squares)
    values: np.ndarray = (1 + roots + squares / 3) * np.exp(-roots)
    return values


class _Posterior:
    """The negative log posterior density of the process's parameters, and its gradient."""

    def __init__(self, shape: Shape, rows: Rows) -> None:
        self._prior, self._spread, self._lengths = shape.prior, shape.spread, shape.lengths
        self._scores, self._trials = rows.scores, rows.trials
        self._fading = shape.fading(rows.units, rows.units)
        self._same = np.equal.outer(rows.trials, rows.trials)
        self._starts = np.flatnonzero(np.diff(rows.trials, prepend=-1))
        between = np.square(rows.points[:, None, :] - rows.points[None])
        count, owners = len(rows.points), shape.owners
        self._squares = np.zeros((self._lengths, count, count))
        np.add.at(self._squares, owners, between.transpose(2, 0, 1))

    def __call__(self, logarithms: np.ndarray) -> tuple[float, np.ndarray]:
        """The value at these logarithms, and its gradient."""
        lengths = np.exp(logarithms[: self._lengths])
        f, g, constant, varying, noise = np.exp(logarithms[self._lengths :])
        squares = 5 * np.tensordot(1 / lengths**2, self._squares, 1)
        roots = np.sqrt(squares)
        decay = np.exp(-roots)
        shared = ((1 + roots + squares / 3) * decay)[np.ix_(self._trials, self._trials)]
        mixed = f + g * self._fading
        covariance = shared * mixed + self._same * (constant + varying * self._fading) + self._fading + 1.0
        covariance[np.diag_indices(len(covariance))] += noise + _JITTER
        try:
            lower = cholesky(covariance, lower=True, check_finite=False)
        except LinAlgError:
            return 1e6, np.zeros_like(logarithms)
        weights = cho_solve((lower, True), self._scores, check_finite=False)
        half, _ = dpotri(lower, lower=1)
        inverse = half + np.tril(half, -1).T
        # The derivative of the log likelihood by the covariance.
        by = 0.5 * (np.outer(weights, weights) - inverse)
        by_shared = np.add.reduceat(np.add.reduceat(by * mixed, self._starts, 0), self._starts, 1)
        by_squares = by_shared * (1 + roots) * decay * (5 / 3)
        of_lengths = self._squares.reshape(self._lengths, -1) @ by_squares.ravel() / lengths**2
        by_f, by_same = by * shared, by * self._same
        of_variances = [
            f * by_f.sum(), g * (by_f * self._fading).sum(), constant * by_same.sum(),
            varying * (by_same * self._fading).sum(), noise * np.trace(by),
        ]  # fmt: skip
        away = (logarithms - self._prior) / self._spread
        value = 0.5 * self._scores @ weights + np.log(np.diag(lower)).sum() + 0.5 * away @ away
        return float(value), away / self._spread - np.concatenate([of_lengths, of_variances])
