"""What the luck of the examples adds to an interval: that these were drawn and not others.

Intervals over seeds hold for one split. Of an accuracy, the sampling of its examples is known from the mean and their
number (Wilson, Journal of the American Statistical Association 1927). Scores of single examples are not recorded, so
of other metrics it is an approximation, which is called "about" wherever it is shown:

- squared, absolute and root errors: as of normal errors, whose squares deviate by the root of 2 times their mean, and
  whose absolute values by the root of pi / 2 - 1 times theirs;
- cross-entropies and other losses: the examples' losses deviate by as much as their mean;
- F1, precision, recall, areas under curves: as a part of the examples.
"""

import math
from collections.abc import Mapping

from hpo.config.metrics import CLASSIFICATION_METRICS, DIRECTIONS
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


def half_width(metric: str, mean: float, examples: int) -> tuple[float, bool] | None:
    """Half the width of the 95% interval of sampling so many examples, and whether it is more than an approximation.

    None for metrics of which it is not known.
    """
    name = metric.removeprefix("val_").lower().replace("_", "")
    if name in _RELATIVE or name in _LOSSES:
        return _NORMAL * _RELATIVE.get(name, 1.0) * mean / examples**0.5, False
    if name in _PARTS and 0 <= mean <= 1:
        share = _NORMAL**2 / examples
        root = (mean * (1 - mean) / examples + share / examples / 4) ** 0.5
        return _NORMAL * root / (1 + share), name == "acc" or (name.endswith("accuracy") and name != "balancedaccuracy")
    return None


def clause(confirmation: Confirmation) -> str | None:
    """What the validation interval leaves out, in a clause.

    None where each seed had a split of its own, and in records of earlier versions.
    """
    examples = confirmation.examples.get("validation")
    if confirmation.splits or not examples or confirmation.estimate is None:
        return None
    what = f"sampling {count(examples)} validation examples adds"
    found = half_width(confirmation.metric, confirmation.estimate.mean, examples)
    if found is None:
        return f"for this split alone: how much {what} is not known, --splits covers it"
    return f"for this split: {what} {'' if found[1] else 'about '}{score(found[0])} either way"


def tested(confirmation: Confirmation) -> dict[str, tuple[Estimate, bool]]:
    """Test metric -> its estimate, and whether its interval covers the sampling of the test examples beside the seeds.

    Both are independent, so their half-widths are added as squares.
    """
    examples, scores = confirmation.examples.get("test"), {}
    for name, estimate in confirmation.test.items():
        found = half_width(name, estimate.mean, examples) if examples else None
        if found is None:
            scores[name] = estimate, False
            continue
        low, high = (math.hypot(estimate.mean - end, found[0]) for end in (estimate.low, estimate.high))
        both = estimate.model_copy(update={"low": estimate.mean - low, "high": estimate.mean + high})
        scores[name] = both, True
    return scores
