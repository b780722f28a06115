"""Conditions under which a parameter exists: intervals and values, and whether two conditions exclude each other."""

import math
from collections.abc import Mapping
from typing import Annotated, Any, Self

from pydantic import Discriminator, Tag, model_validator

from hpo.config.section import Section

Scalar = bool | int | float | str | None


class Interval(Section):
    """A condition on a number: from `low` to `high`, both inclusive. One of them may be left out."""

    needs_one_of = ("low", "high")

    low: float | None = None
    """The smallest value. Unit: that of the parameter. Default: none. Example: 2"""
    high: float | None = None
    """The largest value. Unit: that of the parameter. Default: none. Example: 4"""

    @model_validator(mode="after")
    def _check(self) -> Self:
        if self.low is not None and self.high is not None and self.low > self.high:
            raise ValueError(f"low must not exceed high, got {self.low:g} and {self.high:g}")
        return self

    def holds(self, value: object) -> bool:
        """Whether a value is a number within the interval."""
        low = -math.inf if self.low is None else self.low
        high = math.inf if self.high is None else self.high
        return is_number(value) and low <= value <= high  # type: ignore[operator]


def _kind_of(condition: object) -> str:
    if isinstance(condition, dict | Interval):
        return "interval"
    return "values" if isinstance(condition, list) else "value"


Condition = Annotated[
    Annotated[Interval, Tag("interval")] | Annotated[list[Scalar], Tag("values")] | Annotated[Scalar, Tag("value")],
    Discriminator(_kind_of),
]


def is_number(value: object) -> bool:
    """Whether a value is a number; true and false are not numbers."""
    return isinstance(value, int | float) and not isinstance(value, bool)


def same(value: object, other: object) -> bool:
    """Whether two values are the same in a YAML file, where true is not 1."""
    return bool(value == other) and isinstance(value, bool) == isinstance(other, bool)


def holds(condition: Any, value: object) -> bool:
    """Whether a value meets a condition: an interval, a list of values, or a value."""
    if isinstance(condition, Interval):
        return condition.holds(value)
    return any(same(value, one) for one in (condition if isinstance(condition, list) else [condition]))


def exclude(condition: Any, other: Any) -> bool:
    """Whether no value can meet both conditions."""
    if isinstance(condition, Interval) and isinstance(other, Interval):
        lows = [end.low for end in (condition, other) if end.low is not None]
        highs = [end.high for end in (condition, other) if end.high is not None]
        return bool(lows and highs) and max(lows) > min(highs)
    if isinstance(condition, Interval):
        condition, other = other, condition
    return not any(holds(other, one) for one in (condition if isinstance(condition, list) else [condition]))


def describe(when: Mapping[str, Any]) -> str:
    """Conditions in words: `optimizer is sgd and depth is at least 2`."""

    def one(condition: Any) -> str:
        if isinstance(condition, Interval):
            low = f"at least {condition.low:g}" if condition.low is not None else ""
            high = f"at most {condition.high:g}" if condition.high is not None else ""
            return " and ".join(filter(None, (low, high)))
        return " or ".join(map(str, condition if isinstance(condition, list) else [condition]))

    return " and ".join(f"{parent} is {one(condition)}" for parent, condition in when.items())
