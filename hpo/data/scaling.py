"""Scaling, fitted on the training part: one number over all pixels of images, one per column of tables."""

from typing import Literal

import numpy as np

from hpo.data.dataset import Array, Scaling

Method = Literal["minmax", "standard", "none"]


class Moments:
    """Least and largest value, mean and deviation of samples, gathered over any number of chunks.

    Samples with three dimensions or more (images) have one of each; flat samples one per column; samples of
    shape (steps, columns) one per column over all steps. In float64, merged by the method of Chan, Golub and
    LeVeque, "Updating formulae and a pairwise algorithm for computing sample variances" (1979).
    """

    # scikit-learn's StandardScaler and MinMaxScaler do the same by partial_fit. Both together take ten times as long
    # for a batch of 256 rows, and where a mean is far above the deviation, one of 65 numbers is another float32: the
    # trials of a resumed study could not be compared.
    def __init__(self, shape: tuple[int, ...]) -> None:
        self._columns = shape[-1] if len(shape) < 3 else 1
        self._one_number = len(shape) >= 3
        self._count = 0
        self._low = np.full(self._columns, np.inf)
        self._high = np.full(self._columns, -np.inf)
        self._mean = np.zeros(self._columns)
        self._squares = np.zeros(self._columns)

    def update(self, x: Array) -> None:
        """Takes in samples, shape (n, *shape)."""
        values = x.reshape(-1, self._columns).astype(np.float64)
        count, mean = self._count + len(values), values.mean(axis=0)
        distance = mean - self._mean
        self._squares += ((values - mean) ** 2).sum(axis=0) + distance**2 * self._count * len(values) / count
        self._mean = self._mean + distance * (len(values) / count)
        self._low = np.minimum(self._low, values.min(axis=0))
        self._high = np.maximum(self._high, values.max(axis=0))
        self._count = count

    def scaling(self, method: Method) -> Scaling:
        """The scaling of that method: minmax to [0, 1], standard to mean 0 and deviation 1.

        Columns that do not vary become 0 and are not multiplied.
        """
        if method == "none":
            return Scaling(method, np.zeros((), np.float32), np.ones((), np.float32))
        offset, unit = self._low, self._high - self._low
        if method == "standard":
            offset, unit = self._mean, np.sqrt(self._squares / max(1, self._count))
        # The range decides, not the deviation, which rounding keeps from being zero; and it is the range that
        # is left in float32, in which samples are scaled.
        varies = self._high.astype(np.float32) - self._low.astype(np.float32) > np.finfo(np.float32).tiny
        factor = np.divide(1.0, unit, out=np.ones_like(unit), where=varies)
        if self._one_number:
            offset, factor = offset[0], factor[0]
        return Scaling(method, np.asarray(offset, np.float32), np.asarray(factor, np.float32))


def default_method(shape: tuple[int, ...]) -> Method:
    """minmax for images, standard for all else."""
    return "minmax" if len(shape) == 3 else "standard"
