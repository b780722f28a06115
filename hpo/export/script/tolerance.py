"""The interval in which the score of another run should be, and the reason for it."""

import math
from dataclasses import dataclass

from hpo.data.dataset import DatasetInfo
from hpo.plan.exported_file import Exported
from hpo.text.values import interval, score

_SHARE = 0.99
_NOISE_FLOORS = 4
_STANDARD_ERRORS = 4
_OF_A_SCORE = 0.25


@dataclass(frozen=True)
class Tolerance:
    """An interval for the objective of one run."""

    low: float
    high: float
    why: str
    """One or two sentences that explain the interval."""


def tolerance(exported: Exported, info: DatasetInfo) -> Tolerance:
    """The interval in which the score of a run with the trial's configuration must be.

    For a confirmed trial it is the prediction interval for one further value of a normal variable, by Student's t
    (scipy.stats.t). The deviation is that of the trial's own seeds, at least the study's noise floor.
    """
    from scipy import stats

    confirmed, value = exported.confirmed, exported.value
    estimate = confirmed.validation if confirmed else None
    if confirmed is not None and estimate is not None:
        deviation = max(estimate.deviation, confirmed.noise_floor)
        t = float(stats.t.ppf((1 + _SHARE) / 2, estimate.seeds - 1))
        half = t * deviation * math.sqrt(1 + 1 / estimate.seeds)
        if half > 0:
            why = (
                f"Confirmed over {estimate.seeds} seeds: mean {score(estimate.mean)}, its 95% interval "
                f"{interval(estimate.low, estimate.high)}. {_SHARE:.0%} of single runs are in the wider interval below."
            )
            return Tolerance(estimate.mean - half, estimate.mean + half, why)
    if confirmed is not None and confirmed.noise_floor > 0:
        half = _NOISE_FLOORS * confirmed.noise_floor
        why = (
            f"The trial's own score, {score(value)}, of one seed, give or take {_NOISE_FLOORS} times the noise floor "
            f"of its study, {score(confirmed.noise_floor)}, the standard deviation from seed to seed."
        )
        return Tolerance(value - half, value + half, why)
    return _guess(exported, info)


def _guess(exported: Exported, info: DatasetInfo) -> Tolerance:
    value, metric = exported.value, exported.plan.experiment.objective.metric
    why = f"The study was not confirmed, so how far {metric} varies from seed to seed is not known. A guess: "
    if metric.endswith(("accuracy", "acc")):
        samples = info.sizes["validation"]
        # For a perfect score the error is computed as if one sample had been wrong.
        share = min(max(value, 1 / samples), 1 - 1 / samples)
        half = _STANDARD_ERRORS * math.sqrt(share * (1 - share) / samples)
        why += f"{_STANDARD_ERRORS} standard errors of a share of {samples} samples around {score(value)}."
        return Tolerance(max(0.0, value - half), min(1.0, value + half), why)
    half = _OF_A_SCORE * abs(value)
    return Tolerance(value - half, value + half, f"{why}{_OF_A_SCORE:.0%} of {score(value)}.")
