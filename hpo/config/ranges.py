"""The rules for ranges of numbers, and the order of lists of numbers."""

import math
from typing import Any

from hpo.config.conditions import is_number


def check_range(low: float, high: float, log: bool, step: float | None) -> None:
    """Checks the keys of a range.

    Raises:
        ValueError: a rule is broken; the message says which.
    """
    if low > high:
        raise ValueError(f"low must not exceed high, got {low:g} and {high:g}")
    if not math.isfinite(high - low):
        raise ValueError(f"high - low must be a finite number, got {low:g} and {high:g}")
    if log and low <= 0:
        raise ValueError(f"low must be above 0 for a log scale, got {low:g}")
    if log and step is not None:
        raise ValueError(f"log and step exclude each other, got step {step:g}")


def size_of(value: Any) -> float:
    """The sum of all numbers in a value: that of a list of widths grows with the network."""
    if isinstance(value, list):
        return sum(map(size_of, value))
    return float(value) if is_number(value) else 0.0
