"""Axes that end where what they show can end: scores, whole numbers, parameters."""

import json
import math
import re
from collections.abc import Iterable, Sequence
from contextlib import suppress
from typing import Any

from optuna.distributions import BaseDistribution, CategoricalDistribution, IntDistribution

from hpo.text.values import setting

_SHARES = frozenset(
    {
        "acc", "auc", "f1", "f1score", "fbeta", "fbetascore", "iou", "meaniou", "binaryiou", "onehotiou",
        "onehotmeaniou", "precision", "precisionatrecall", "recall", "recallatprecision", "sensitivityatspecificity",
        "specificityatsensitivity", "dice",
    }
)  # fmt: skip
"""Metrics between 0 and 1, beside all accuracies; without underscores."""
_AT_MOST_ONE = frozenset({"r2", "r2score", "cosinesimilarity", "pearsoncorrelation", "concordancecorrelation"})
_FEW = 10
"""Up to so many whole numbers each has a tick; from there on plotly's own ticks are whole."""
_MARGIN = 0.06
"""What an axis has at both ends beside the values, as a share of them."""


def limits(metric: str, values: Iterable[float]) -> tuple[float | None, float | None]:
    """Beyond which values an axis of a metric has nothing to show; only where the values keep to that."""
    plain = re.sub(r"_\d+$", "", metric.removeprefix("val_")).replace("_", "").lower()
    share = plain in _SHARES or plain.endswith("accuracy")
    known = list(values)
    low = 0.0 if min(known, default=0.0) >= 0 else None
    high = 1.0 if (share or plain in _AT_MOST_ONE) and max(known, default=0.0) <= 1 else None
    return low, high


def score_axis(metric: str, values: Iterable[float]) -> dict[str, Any]:
    """The axis of a metric around its values: an accuracy's never goes past 1 or below 0."""
    known = list(values)
    low, high = limits(metric, known)
    span = max(known) - min(known)
    flat = 0.1 if high is not None else 0.1 * abs(known[0]) or 1.0
    margin = _MARGIN * span if span > 0 else flat
    ends = [min(known) - margin, max(known) + margin]
    ends = [ends[0] if low is None else max(low, ends[0]), ends[1] if high is None else min(high, ends[1])]
    return {"title": metric, "range": ends, "minallowed": low, "maxallowed": high}


def whole_axis(low: int, high: int) -> dict[str, Any]:
    """An axis of whole numbers, which are all that it labels."""
    margin = max(0.5, 0.02 * (high - low))
    return {
        "range": [low - margin, high + margin],
        "tickformat": ",d",
        "zeroline": False,
        **({"dtick": 1, "tick0": low} if high - low <= _FEW else {}),
    }


def parameter_axis(name: str, distribution: BaseDistribution, values: Iterable[Any] = ()) -> dict[str, Any]:
    """The axis of a parameter, over the whole of its range and these values."""
    if isinstance(distribution, CategoricalDistribution):
        known = words(distribution, values)
        return {"title": name, "type": "category", "categoryorder": "array", "categoryarray": known,
                "range": [-0.5, len(known) - 0.5]}  # fmt: skip
    low, high = reach(distribution, values)
    if is_log(distribution):
        ends = math.log10(low), math.log10(high)
        margin = _MARGIN * (ends[1] - ends[0]) or 0.1
        ticks = labelled(log_ticks(low, high))
        return {"title": name, "type": "log", "range": [ends[0] - margin, ends[1] + margin], **ticks}
    if isinstance(distribution, IntDistribution):
        return {"title": name, **whole_axis(int(low), int(high))}
    margin = _MARGIN * (high - low) or 0.5
    return {"title": name, "range": [low - margin, high + margin], "zeroline": False}


def words(distribution: CategoricalDistribution, values: Iterable[Any]) -> list[str]:
    """The choices as they are written, and behind them values that are no longer a choice."""
    return list(dict.fromkeys([*map(_choice, distribution.choices), *map(setting, values)]))


def _choice(choice: Any) -> str:
    """A choice as it is written; Optuna knows lists and mappings as JSON."""
    if isinstance(choice, str) and choice[:1] in ("[", "{"):
        with suppress(ValueError):
            return setting(json.loads(choice))
    return setting(choice)


def reach(distribution: BaseDistribution, values: Iterable[Any]) -> tuple[float, float]:
    """The ends of a range; further out where trials have values from when it was wider: a study may be extended."""
    least = 0 if is_log(distribution) else -math.inf
    known = [value for value in values if isinstance(value, int | float) and value > least]
    low, high = distribution.low, distribution.high  # type: ignore[attr-defined]
    return min([low, *known]), max([high, *known])


def is_log(distribution: BaseDistribution) -> bool:
    """Whether a range is one of powers."""
    return bool(getattr(distribution, "log", False))


def log_ticks(low: float, high: float) -> list[float]:
    """Both ends, and what lies between with room around: powers of ten, of less than three decades 1, 2 and 5."""
    if high <= low:
        return [low]
    span = math.log10(high / low)
    steps = (1,) if span >= 3 else (1, 2, 5)
    powers = range(math.floor(math.log10(low)), math.ceil(math.log10(high)) + 1)
    # Written out and read again, for 5 * 10 ** -3 is 0.005 and a little.
    between = [float(f"{step}e{power}") for power in powers for step in steps]
    inner = [value for value in between if 0.09 < math.log10(value / low) / span < 0.91] if low > 0 else []
    whole = isinstance(low, int)
    return [low, *(int(value) if whole else value for value in inner), high]


def labelled(ticks: Sequence[float]) -> dict[str, Any]:
    """Ticks at these values alone, written like settings everywhere."""
    return {"tickmode": "array", "tickvals": list(ticks), "ticktext": [setting(tick) for tick in ticks]}
