"""Scaling, fitted on the training part: one number over all pixels of images, one per column of tables."""

from dataclasses import replace
from typing import Literal

import numpy as np

from hpo.data.dataset import Array, DatasetInfo, Scaling
from hpo.data.mapped import Mapped
from hpo.errors import DataError

Method = Literal["minmax", "standard", "none"]

_LARGEST_EXACT = 2**24
"""Above this size float32 leaves integers out."""


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
        self._columns = shape[-1] if 0 < len(shape) < 3 else 1
        self._one_number = len(shape) >= 3 or not shape
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

    def take(self, count: int, value_range: tuple[float, float], mean: float, squares: float) -> None:
        """Takes over what is known already of samples that have one of each."""
        self._count = count
        for own, value in zip(
            (self._low, self._high, self._mean, self._squares), (*value_range, mean, squares), strict=True
        ):
            own[:] = value

    @property
    def range(self) -> tuple[float, float]:
        """The least and the largest value of all."""
        return float(self._low.min()), float(self._high.max())

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


def moments_of_images(x: Mapped) -> Moments:
    """Those of images in a file, from what is known of each of them."""
    survey, found, size = x.known, Moments(x.shape[1:]), int(np.prod(x.shape[1:]))
    means = survey.mean[x.rows]
    mean = means.mean()
    squares = survey.squares[x.rows].sum() + size * ((means - mean) ** 2).sum()
    found.take(len(x) * size, (survey.low[x.rows].min(), survey.high[x.rows].max()), mean, squares)
    return found


def range_of(x: Array | Mapped) -> tuple[float, float]:
    """The least and the largest value of samples; of images in a file without reading them."""
    return moments_of_images(x).range if isinstance(x, Mapped) else (float(x.min()), float(x.max()))


def default_method(shape: tuple[int, ...], numbered: bool = False) -> Method:
    """minmax for images, standard for all else; none for what is `numbered` in place of measured.

    Integers that are no image are the numbers of words, users or things, or counts. A scaled number of a word is the
    number of no word, and a model would look up another.
    """
    if len(shape) == 3:
        return "minmax"
    return "none" if numbered else "standard"


def samples_in_words(info: DatasetInfo) -> str:
    """The shapes of a sample's inputs and targets."""
    inputs = ", ".join(f"{name} {one.shape}" for name, one in info.inputs.items())
    one = f"input {info.input_shape}{' of text' if info.is_text else ''}" if not inputs else f"inputs {inputs}"
    if info.targets:
        return f"{one}; targets " + ", ".join(f"{name} ({target.task})" for name, target in info.targets.items())
    places = f" at each of {info.target_shape}" if info.target_shape and info.classes else ""
    return f"{one}, {info.outputs} outputs{places}"


def scaling_in_words(info: DatasetInfo) -> str:
    """How the inputs of a dataset are scaled, and why, where its section does not say."""
    if not info.inputs:
        return _in_words("inputs", info)
    alike: dict[str, list[str]] = {}
    for name, one in info.inputs.items():
        said = _in_words("", replace(info, input_shape=one.shape, input_type=one.type, scaling=one.scaling))
        alike.setdefault(said, []).append(name)
    return "; ".join(f"input{'s' if len(names) > 1 else ''} {', '.join(names)}{said}" for said, names in alike.items())


def _in_words(what: str, info: DatasetInfo) -> str:
    if info.is_text:
        return f"{what} (text) are left as they are"
    kind = f"{what} ({info.input_type})" if info.input_type else what
    method = info.scaling.method
    if method == "none":
        if not info.default_scaling:
            return f"{kind} are left as they are"
        why = "integers that are no image may be the numbers of words or things"
        return f"{kind} are left as they are, since {why}; dataset.scaling: standard scales them"
    to = "to the range from 0 to 1" if method == "minmax" else "to mean 0 and standard deviation 1"
    one = "all numbers alike" if len(info.input_shape) >= 3 else "each column by itself"
    change = "; dataset.scaling: none leaves them as they are" if info.default_scaling else ""
    return f"{kind} are scaled {to} ({method}), {one}, fitted on the training part{change}"


def check_range(place: str, moments: Moments) -> None:
    """Checks that integers which are not scaled can be told apart in float32, in which models take them.

    Raises:
        DataError: some are too large.
    """
    low, high = moments.range
    if max(-low, high) > _LARGEST_EXACT:
        far = high if high >= -low else low
        raise DataError(
            f"{place}: integers that are not scaled must be at most {_LARGEST_EXACT:,} in size, got {far:,.0f}: "
            "float32, in which models compute, does not tell larger ones apart; number them again from 0, or write "
            "dataset.scaling: standard",
            ("dataset", "scaling"),
        )
