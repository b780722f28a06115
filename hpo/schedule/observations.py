"""What the model of curves learns from: some scores of some trials, on a scale on which good ones are told apart."""

from dataclasses import dataclass

import numpy as np
from scipy.special import ndtri

from hpo.schedule.history import History
from hpo.schedule.process import Rows

_LEVELS = (1, 2, 4, 8, 14, 20, 32, 50, 80, 128, 200, 320, 500, 800)
# Trials of which all levels are used; of the others only the first, a middle one and the last.
_WHOLE = 20


@dataclass(frozen=True)
class Observations:
    """Best scores up to some units, sorted by trial and then by unit."""

    trials: np.ndarray
    """Shape (n,): rows of the history."""
    units: np.ndarray
    """Shape (n,): after how many units."""
    scores: np.ndarray
    """Shape (n,): normal quantiles of the scores' ranks, moved and scaled to mean 0 and deviation 1."""
    merits: np.ndarray
    """Shape (n,): the merits themselves; minus infinity for a trial that failed."""

    def __len__(self) -> int:
        return len(self.trials)

    def some(self, which: np.ndarray) -> "Observations":
        """Some of them, by their places."""
        return Observations(self.trials[which], self.units[which], self.scores[which], self.merits[which])

    def thinned(self, most: int, rng: np.random.Generator) -> "Observations":
        """At most `most` of them: all of the best trials, and of others, drawn at random, the last."""
        if len(self) <= most:
            return self
        starts = np.flatnonzero(np.diff(self.trials, prepend=-1))
        ends = np.append(starts[1:], len(self))
        order = np.argsort(-np.maximum.reduceat(self.scores, starts), kind="stable")
        lead, rest = order[: most // 12], rng.permutation(order[most // 12 :])
        kept = np.concatenate([*(np.arange(starts[trial], ends[trial]) for trial in lead), ends[rest] - 1])
        return self.some(np.sort(kept[:most]))

    def rows(self, features: np.ndarray) -> tuple[Rows, np.ndarray]:
        """As rows of the process, and the rows of the history that these are of; `features` of the whole history."""
        known, trials = np.unique(self.trials, return_inverse=True)
        return Rows(features[known], trials, self.units.astype(float), self.scores), known


def observe(history: History) -> Observations:
    """The observations of a history.

    A trial that trained to its own end before the last unit counts as having its best score at the last unit, too; one
    that failed by the fault of its configuration has the lowest score there.
    """
    done, units = history.done, history.units
    levels = np.array([*(level for level in _LEVELS if level < units), units])
    best = np.argsort(np.argsort(-history.merits, kind="stable"), kind="stable") < _WHOLE
    # Columns: the levels, then the last unit.
    at = np.column_stack([np.broadcast_to(levels, (history.count, len(levels))), done])
    used = (at <= done[:, None]) & (done[:, None] > 0)
    used[:, -1] &= ~np.isin(done, levels)
    place, count = np.cumsum(used, axis=1) - 1, used.sum(axis=1, keepdims=True)
    used &= best[:, None] | (count <= 3) | (place == 0) | (place == count // 2) | (place == count - 1)
    merits = history.best[np.arange(history.count)[:, None], np.maximum(at - 1, 0)]
    used &= ~np.isnan(merits)
    ended = np.flatnonzero((history.final & (done > 0) & (done < units)) | history.failed)
    reached = np.where(history.failed, -np.inf, history.merits)[ended]
    trials = np.concatenate([np.nonzero(used)[0], ended])
    after = np.concatenate([at[used], np.full(len(ended), units)])
    order = np.lexsort((after, trials))
    found = np.concatenate([merits[used], reached])[order]
    return Observations(trials[order], after[order], quantiles(found), found)


def quantiles(merits: np.ndarray) -> np.ndarray:
    """Normal quantiles of the ranks of some scores, moved and scaled to mean 0 and deviation 1.

    Equal scores share the mean of their ranks; infinite ones count as the worst.
    """
    finite = np.isfinite(merits)
    _, inverse, counts = np.unique(merits[finite], return_inverse=True, return_counts=True)
    total = max(int(counts.sum()), 1)
    shares = (np.cumsum(counts) - 0.5 * counts) / total
    z = ndtri(np.clip(shares, 0.5 / total, 1 - 0.5 / total))
    scores = np.full(len(merits), z.min(initial=0.0))
    scores[finite] = z[inverse]
    scaled: np.ndarray = (scores - scores.mean()) / max(float(scores.std()), 1e-6)
    return scaled
