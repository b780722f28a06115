"""Alarms about parameters whose best trials are at the edge of their range: better values may be beyond it."""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Literal

from optuna.distributions import (
    BaseDistribution,
    CategoricalDistribution,
    FloatDistribution,
    IntDistribution,
)

from hpo.report.figures import ENOUGH
from hpo.report.thinning import Source
from hpo.text.values import setting

_NEAR = 0.05
"""The share of a range that counts as its edge."""
_FEWEST, _MOST = 5, 20
_CHANCE = 0.01
"""The significance level: the probability of such a crowd at an edge if values were drawn evenly."""

Edge = Literal["low", "high"]


@dataclass(frozen=True)
class Alarm:
    """A parameter whose best trials crowd at one edge."""

    parameter: str
    edge: Edge
    found: int
    """How many of the best trials are at this edge."""
    among: int
    limit: str
    """The edge's value."""
    advice: str
    """What to change in the search space's YAML."""


def alarms(source: Source) -> list[Alarm]:
    """The parameters with at least half of the best trials at the same edge, if that is not likely by chance.

    The best trials are the best tenth, at least 5 and at most 20. The edge is the outermost 5% of the range, on a
    logarithmic scale for logarithmic parameters; for up to 20 values it is the last value. The test is
    `scipy.stats.binomtest` against values drawn evenly, at the 1% level. A study with few scores has no alarms.
    """
    if len(source.scored) < ENOUGH:
        return []
    best = source.scored[: min(_MOST, max(_FEWEST, len(source.scored) // 10))]
    chosen = [source.sampled[trial.number].params for trial in best if trial.number in source.sampled]
    found = []
    for name, distribution in source.distributions.items():
        values = [params[name] for params in chosen if name in params]
        alarm = _alarm(name, distribution, values)
        if alarm is not None:
            found.append(alarm)
    return found


def _alarm(name: str, distribution: BaseDistribution, values: Sequence[Any]) -> Alarm | None:
    from scipy.stats import binomtest

    scale = _scale(distribution)
    if scale is None or len(values) < _FEWEST:
        return None
    places = [scale.place(value) for value in values]
    for edge, there in (
        ("low", sum(p <= scale.near for p in places)),
        ("high", sum(p >= 1 - scale.near for p in places)),
    ):
        unlikely = binomtest(there, len(values), scale.chance, alternative="greater").pvalue < _CHANCE
        if 2 * there >= len(values) and unlikely:
            limit = scale.low if edge == "low" else scale.high
            return Alarm(name, edge, there, len(values), setting(limit), _advice(name, distribution, edge))  # type: ignore[arg-type]
    return None


@dataclass(frozen=True)
class _Scale:
    low: float
    high: float
    log: bool
    near: float
    """The width of an edge: places up to `near`, and from `1 - near` on."""
    chance: float
    """The probability that a value drawn evenly is at one edge."""

    def place(self, value: float) -> float:
        """The place of a value: 0 at the low end, 1 at the high end."""
        low, high, here = (math.log(x) if self.log else x for x in (self.low, self.high, value))
        return float((here - low) / (high - low))


def _scale(distribution: BaseDistribution) -> _Scale | None:
    """The scale of a range; None where values have no order, or there is only one."""
    if isinstance(distribution, CategoricalDistribution):
        choices = _numbers(distribution)
        return _Scale(min(choices), max(choices), False, 0.0, 1 / len(choices)) if len(choices) > 1 else None
    assert isinstance(distribution, IntDistribution | FloatDistribution)
    low, high, step = distribution.low, distribution.high, distribution.step
    if low == high:
        return None
    steps = (high - low) / step + 1 if step else math.inf
    # If there are few values, the last one is the edge; otherwise the outermost 5%.
    few = steps <= 1 / _NEAR
    near = 1e-9 if few and not distribution.log else _NEAR
    return _Scale(low, high, distribution.log, near, max(_NEAR, 1 / steps))


def _numbers(distribution: CategoricalDistribution) -> list[float]:
    """The choices, if all of them are numbers; else an empty list."""
    numbers = [one for one in distribution.choices if isinstance(one, int | float) and not isinstance(one, bool)]
    return numbers if len(numbers) == len(distribution.choices) else []


def _advice(name: str, distribution: BaseDistribution, edge: Edge) -> str:
    if isinstance(distribution, CategoricalDistribution):
        low, high = min(_numbers(distribution)), max(_numbers(distribution))
        return f"add choices below {setting(low)}" if edge == "low" else f"add choices above {setting(high)}"
    assert isinstance(distribution, IntDistribution | FloatDistribution)
    wider = _wider(distribution, edge)
    limit = distribution.low if edge == "low" else distribution.high
    if wider is None:
        return (
            f"{setting(limit)} is probably as far as {name} can go: consider fixing it there, {name}: {setting(limit)}"
        )
    return f"set {edge}: {setting(wider)} instead of {setting(limit)}"


def _wider(distribution: IntDistribution | FloatDistribution, edge: Edge) -> float | None:
    """A limit further out: by a factor of 10 (whole numbers: 2) on a logarithmic scale, else by half the range.

    A range within [0, 1] stays within it, and a range of counts stays at 1 or more. None where no value is beyond.
    """
    low, high, whole = distribution.low, distribution.high, isinstance(distribution, IntDistribution)
    if edge == "low":
        if distribution.log:
            further = low / (2 if whole else 10)
        else:
            further = low - (high - low) / 2
            further = max(0.0, further) if low >= 0 else further
        further = max(1, math.floor(further)) if whole and low >= 1 else further
        further = math.floor(further) if whole else further
        return further if further < low else None
    if not whole and low >= 0 and high <= 1 and not distribution.log:
        return (1 + high) / 2 if high < 1 else None
    if distribution.log:
        return high * (2 if whole else 10)
    further = high + (high - low) / 2
    return math.ceil(further) if whole else further
