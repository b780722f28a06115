"""Axes of scores, whole numbers and parameters, which end at the limits of their quantity."""

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
"""Metrics between 0 and 1 other than accuracies, spelled without underscores."""
_AT_MOST_ONE = frozenset({"r2", "r2score", "cosinesimilarity", "pearsoncorrelation", "concordancecorrelation"})
_FEW = 10
"""On an axis of at most this many whole numbers each has a tick; on longer ones plotly's own ticks are whole."""
_MARGIN = 0.06
"""The margin of an axis at both ends, as a share of the span of its values."""


def limits(metric: str, values: Iterable[float]) -> tuple[float | None, float | None]:
    """The limits of a metric, each None where the metric has none or a value is beyond it."""
    plain = re.sub(r"_\d+$", "", metric.removeprefix("val_")).replace("_", "").lower()
    share = plain in _SHARES or plain.endswith("accuracy")
    known = list(values)
    low = 0.0 if min(known, default=0.0) >= 0 else None
    high = 1.0 if (share or plain in _AT_MOST_ONE) and max(known, default=0.0) <= 1 else None
    return low, high


def score_axis(metric: str, values: Iterable[float]) -> dict[str, Any]:
    """The axis of a metric around its values; that of an accuracy never exceeds 1 or falls below 0."""
    known = list(values)
    low, high = limits(metric, known)
    span = max(known) - min(known)
    flat = 0.1 if high is not None else 0.1 * abs(known[0]) or 1.0
    margin = _MARGIN * span if span > 0 else flat
    ends = [min(known) - margin, max(known) + margin]
    ends = [ends[0] if low is None else max(low, ends[0]), ends[1] if high is None else min(high, ends[1])]
    return {"title": metric, "range": ends, "minallowed": low, "maxallowed": high}


def whole_axis(low: int, high: int) -> dict[str, Any]:
    """An axis of whole numbers, with ticks only at whole numbers."""
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
    """The choices as texts, followed by values that are no longer a choice."""
    return list(dict.fromkeys([*map(_choice, distribution.choices), *map(setting, values)]))


def _choice(choice: Any) -> str:
    """A choice as text; Optuna stores lists and mappings as JSON."""
    if isinstance(choice, str) and choice[:1] in ("[", "{"):
        with suppress(ValueError):
            return setting(json.loads(choice))
    return setting(choice)


def reach(distribution: BaseDistribution, values: Iterable[Any]) -> tuple[float, float]:
    """The ends of a range, widened to values of trials outside it, which a study may have if it was extended."""
    least = 0 if is_log(distribution) else -math.inf
    known = [value for value in values if isinstance(value, int | float) and value > least]
    low, high = distribution.low, distribution.high  # type: ignore[attr-defined]
    return min([low, *known]), max([high, *known])


def is_log(distribution: BaseDistribution) -> bool:
    """Whether a range is logarithmic."""
    return bool(getattr(distribution, "log", False))


def log_ticks(low: float, high: float) -> list[float]:
    """Both ends, and powers of ten that are not too close to them; below three decades also 2 and 5 times those."""
    if high <= low:
        return [low]
    span = math.log10(high / low)
    steps = (1,) if span >= 3 else (1, 2, 5)
    powers = range(math.floor(math.log10(low)), math.ceil(math.log10(high)) + 1)
    # Parsed from text, since 5 * 10 ** -3 is slightly more than 0.005.
    between = [float(f"{step}e{power}") for power in powers for step in steps]
    inner = [value for value in between if 0.09 < math.log10(value / low) / span < 0.91] if low > 0 else []
    whole = isinstance(low, int)
    return [low, *(int(value) if whole else value for value in inner), high]


def labelled(ticks: Sequence[float]) -> dict[str, Any]:
    """Ticks at exactly these values, labelled as settings are written everywhere."""
    return {"tickmode": "array", "tickvals": list(ticks), "ticktext": [setting(tick) for tick in ticks]}
