"""What the luck of the examples adds to an interval: that these were drawn and not others.

Intervals over seeds hold for one split. For an accuracy, the sampling of its examples is known from the mean and their
number (Wilson, Journal of the American Statistical Association 1927). Scores of single examples are not recorded, so
for other metrics it is an approximation, which is shown with the word "about":

- squared, absolute and root errors: as of normal errors, whose squares deviate by the root of 2 times their mean, and
  whose absolute values by the root of pi / 2 - 1 times theirs;
- cross-entropies and other losses: the examples' losses deviate by as much as their mean;
- F1, precision, recall, areas under curves: as a part of the examples.
"""

import math
from collections.abc import Mapping
from dataclasses import dataclass

from hpo.config.metrics import CLASSIFICATION_METRICS, DIRECTIONS
from hpo.config.training_rules import plain_name
from hpo.study.confirmation import Confirmation, Estimate
from hpo.text.values import count, score

_NORMAL = 1.959964
"""The 97.5% quantile of the standard normal distribution."""
_RELATIVE: Mapping[str, float] = {
    "meansquarederror": 2**0.5, "mse": 2**0.5, "meanabsoluteerror": (math.pi / 2 - 1) ** 0.5,
    "mae": (math.pi / 2 - 1) ** 0.5, "rootmeansquarederror": 0.5**0.5, "rmse": 0.5**0.5,
}  # fmt: skip
"""Metric -> the deviation of the mean of n examples, times the root of n, in units of the metric."""
_PARTS = {name.replace("_", "") for name in CLASSIFICATION_METRICS if DIRECTIONS[name] == "maximize"}
_LOSSES = {name.replace("_", "") for name in DIRECTIONS if name == "loss" or "crossentropy" in name}


@dataclass(frozen=True)
class Sampled:
    """The 95% interval around a mean that comes from the sampling of examples."""

    below: float
    """How far it reaches below the mean."""
    above: float
    """How far it reaches above the mean; less than below for accuracies near 1."""
    exact: bool
    """Whether it is more than an approximation."""

    def __str__(self) -> str:
        below, above = score(self.below), score(self.above)
        about = "" if self.exact else "about "
        return f"{about}{below} either way" if below == above else f"{about}{below} downwards and {above} upwards"


def sampled(metric: str, mean: float, examples: int) -> Sampled | None:
    """What the sampling of the examples adds to a mean over them; None for metrics for which it is not known."""
    name = _plain(metric)
    if name in _RELATIVE or name in _LOSSES:
        half = _NORMAL * _RELATIVE.get(name, 1.0) * abs(mean) / examples**0.5
        return Sampled(half, half, exact=False)
    if name in _PARTS and 0 <= mean <= 1:
        share = _NORMAL**2 / examples
        centre = (mean + share / 2) / (1 + share)
        half = _NORMAL * (mean * (1 - mean) / examples + share / examples / 4) ** 0.5 / (1 + share)
        exact = name == "acc" or (name.endswith("accuracy") and name != "balancedaccuracy")
        return Sampled(max(0.0, mean - centre + half), max(0.0, centre + half - mean), exact)
    return None


def bounded(metric: str, estimate: Estimate) -> Estimate:
    """An estimate whose interval ends where the metric does: no accuracy is above 1, no error below 0."""
    name = _plain(metric)
    least = 0.0 if name in _PARTS or name in _RELATIVE or "crossentropy" in name else -math.inf
    most = 1.0 if name in _PARTS else math.inf
    if not least <= estimate.mean <= most:
        return estimate
    return estimate.model_copy(update={"low": max(least, estimate.low), "high": min(most, estimate.high)})


def _plain(metric: str) -> str:
    return plain_name(metric.removeprefix("val_"))


def clause(confirmation: Confirmation) -> str | None:
    """What the validation interval leaves out, in a clause.

    None where each seed had a split of its own, and in records of earlier versions.
    """
    examples = confirmation.examples.get("validation")
    if confirmation.splits or not examples or confirmation.estimate is None:
        return None
    what = f"sampling {count(examples)} validation examples adds"
    found = sampled(confirmation.metric, confirmation.estimate.mean, examples)
    if found is None:
        return f"for this split alone: how much {what} is not known, --splits covers it"
    return f"for this split: {what} {found}"


def tested(confirmation: Confirmation) -> dict[str, tuple[Estimate, bool]]:
    """Test metric -> its estimate, and whether its interval covers the sampling of the test examples beside the seeds.

    Both are independent, so their widths to either side are added as squares.
    """
    examples, scores = confirmation.examples.get("test"), {}
    for name, estimate in confirmation.test.items():
        found = sampled(name, estimate.mean, examples) if examples else None
        if found is None:
            scores[name] = estimate, False
            continue
        below = math.hypot(estimate.mean - estimate.low, found.below)
        above = math.hypot(estimate.high - estimate.mean, found.above)
        both = estimate.model_copy(update={"low": estimate.mean - below, "high": estimate.mean + above})
        scores[name] = bounded(name, both), True
    return scores
