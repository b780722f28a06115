"""How good the best score so far was on average, and how sure it is which of several studies was ahead.

The average begins where every study has a score: no study is given a score that it did not have. It ends at the length
of the shortest study, so that no study gains by running longer.

How sure it is follows from a bootstrap: each study's trials are drawn again, with replacement and in random order, and
the averages are compared in each of these resampled orders. If one of two truly equal studies is called better only
where it is ahead in at least SURE of them, that happens in less than 5% of cases; `tests/compare/test_best_so_far.py`
simulates it. What a sampler learned counts by the scores of its trials, and not by their order.
"""

import zlib
from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

SURE = 0.99
"""The share of resampled orders from which on a study is called better."""

_ORDERS = 1000
# The most numbers that are drawn for a study at a time.
_NUMBERS = 2_000_000
# The number of moments at which resampled curves over time are compared.
_MOMENTS = 100

Floats = npt.NDArray[np.float64]
Bools = npt.NDArray[np.bool_]


@dataclass(frozen=True, eq=False)
class Ended:
    """The ended trials of a study, in the order of their ends."""

    merits: Floats
    """Shape (trials,): the score, with its sign changed where lower is better; -inf for a trial without a score."""
    moments: Floats
    """Shape (trials,): the time at which each trial ended, or its number from 1; it increases."""

    @property
    def length(self) -> float:
        """The length of the study, in the unit of the moments."""
        return float(self.moments[-1]) if len(self.moments) else 0.0

    @property
    def first(self) -> float:
        """The moment of the first score; infinite without one."""
        scored = self.moments[np.isfinite(self.merits)]
        return float(scored[0]) if len(scored) else np.inf

    def best_at(self, points: Floats) -> Floats:
        """The best merit so far at some moments, shape (points,); -inf before the first score."""
        curve: Floats = _best_at(self.merits[None], self.moments[None], points)[0]
        return curve

    def resampled(self, seed: int, orders: int) -> tuple[Floats, Floats]:
        """Merits and moments of `orders` resampled orders, each of shape (orders, trials)."""
        drawn = np.random.default_rng(seed).integers(len(self.merits), size=(orders, len(self.merits)))
        durations = np.diff(self.moments, prepend=0.0)
        return self.merits[drawn], np.cumsum(durations[drawn], axis=1)


def averages(studies: Mapping[str, Ended], whole: bool = False) -> dict[str, float]:
    """Study -> the average merit of its best trial so far, for the studies that have a score.

    Args:
        studies: name -> its ended trials.
        whole: whether moments are numbers of trials, so that the average is one over trials.
    """
    begun = _begun(studies)
    if not begun:
        return {}
    start, end = _span(begun)
    if whole:
        points, widths = np.arange(start, end + 1), np.ones(int(end - start) + 1)
    else:
        moments = np.unique(np.concatenate([one.moments for one in begun.values()]))
        edges = np.array([start, *moments[(moments > start) & (moments < end)], end])
        points, widths = edges[:-1], np.diff(edges)
    if end <= start:
        points, widths = np.array([end]), np.ones(1)
    return {name: float(np.average(one.best_at(points), weights=widths)) for name, one in begun.items()}


def ahead(studies: Mapping[str, Ended]) -> dict[str, float]:
    """Study -> the share of resampled orders in which its average is the best; ties are shared.

    Empty unless at least two studies have a score, at the same moment in any order.
    """
    begun = _begun(studies)
    if len(begun) < 2:
        return {}
    _, end = _span(begun)
    points = np.linspace(0, end, min(_MOMENTS, int(end)) + 1 if _whole(begun) else _MOMENTS + 1)[1:]
    orders = max(100, min(_ORDERS, _NUMBERS // max(len(one.merits) for one in begun.values())))
    curves = np.stack(
        [_best_at(*one.resampled(zlib.crc32(name.encode()), orders), points) for name, one in begun.items()]
    )
    # Shape (studies, orders, points): only moments at which all studies have a score are compared.
    shared: Bools = np.all(np.isfinite(curves), axis=0)
    kept: Bools = np.any(shared, axis=1)
    if not kept.any():
        return {}
    means = np.where(shared, curves, 0.0)[:, kept].sum(axis=2) / shared[kept].sum(axis=1)
    best = np.isclose(means, means.max(axis=0), rtol=1e-12, atol=0.0)
    won = (best / best.sum(axis=0)).mean(axis=1)
    return dict(zip(begun, map(float, won), strict=True))


def _begun(studies: Mapping[str, Ended]) -> dict[str, Ended]:
    return {name: one for name, one in studies.items() if np.isfinite(one.first)}


def _span(begun: Mapping[str, Ended]) -> tuple[float, float]:
    """From the moment at which all studies have a score to the end of the shortest; at least that moment."""
    start = max(one.first for one in begun.values())
    return start, max(start, min(one.length for one in begun.values()))


def _whole(begun: Mapping[str, Ended]) -> bool:
    return all(np.array_equal(one.moments, np.arange(1, len(one.moments) + 1)) for one in begun.values())


def _best_at(merits: Floats, moments: Floats, points: Floats) -> Floats:
    """The best merits so far at some moments, shape (orders, points), from arrays of shape (orders, trials)."""
    best = np.maximum.accumulate(merits, axis=1)
    orders, trials = merits.shape
    # One search for all orders: each is moved behind the one before it.
    apart = (max(float(moments[:, -1].max()), float(points[-1])) + 1) * np.arange(orders)[:, None]
    found = np.searchsorted((moments + apart).ravel(), (points + apart).ravel(), side="right").reshape(orders, -1)
    ended = found - trials * np.arange(orders)[:, None]
    return np.where(ended > 0, np.take_along_axis(best, np.maximum(ended - 1, 0), axis=1), -np.inf)
