"""What more training is expected to gain, by the model of curves, and how much of a gain is more than noise."""

from dataclasses import replace

import numpy as np

from hpo.schedule.estimates import Expected
from hpo.schedule.observations import Observations
from hpo.schedule.process import CurveProcess

# The share of the scores, the worst, that are told apart no further.
_EQUAL = 0.4
_DRAWS = 512


def in_proportion(seen: Observations) -> tuple[Observations, float]:
    """The observations with scores in proportion to the merits, and the merit of a step of 1 on that scale.

    Ranks, as `observe` has them, say nothing of what lies beyond the best. The worst 40% share a score, so that they
    do not stretch the scale.
    """
    finite = np.isfinite(seen.merits)
    lowest = np.quantile(seen.merits[finite], _EQUAL)
    merits = np.where(finite, np.maximum(seen.merits, lowest), lowest)
    unit = max(float(merits.std()), 1e-12)
    return replace(seen, scores=(merits - merits.mean()) / unit), unit


def expected(
    process: CurveProcess, best: float, means: np.ndarray, deviations: np.ndarray, rng: np.random.Generator
) -> Expected:
    """The expected rise of the best score by trials whose last scores have these means and deviations.

    They are taken as independent, which overstates the gain a little. All is on the scale of the process.
    """
    drawn = means + deviations * rng.standard_normal((_DRAWS, len(means)))
    rise = np.maximum(drawn.max(axis=1, initial=-np.inf) - best, 0.0).mean()
    return Expected(float(rise), process.noise)
