"""How values are written in reports: the same number looks the same everywhere."""

import json
from typing import Any

NOTHING = "–"


def score(value: float | None) -> str:
    """A metric: four decimals, fewer for large values, powers of ten for tiny ones."""
    if value is None:
        return NOTHING
    size = abs(value)
    if size >= 1e6 or 0 < size < 0.001:
        return f"{value:.3e}"
    return f"{value:,.1f}" if size >= 1000 else f"{value:.4f}"


def setting(value: Any) -> str:
    """A parameter's value as YAML spells it, numbers with three digits."""
    if isinstance(value, str):
        return value
    if isinstance(value, float):
        return f"{value:.3g}"
    return json.dumps(value, default=str)


def count(value: int | None) -> str:
    """A whole number with its thousands set apart."""
    return NOTHING if value is None else f"{value:,}"


def duration(seconds: float | None) -> str:
    """A time span in the two largest of its units."""
    if seconds is None:
        return NOTHING
    if seconds < 60:
        return f"{seconds:.1f} s"
    minutes, rest = divmod(round(seconds), 60)
    hours, minutes = divmod(minutes, 60)
    return f"{hours} h {minutes:02} min" if hours else f"{minutes} min {rest:02} s"


def percent(share: float) -> str:
    """A share of one."""
    return f"{share:.1%}"


def listing(numbers: Any) -> str:
    """Names or numbers in a sentence: 1, 2 and 3."""
    words = [str(number) for number in numbers]
    return f"{', '.join(words[:-1])} and {words[-1]}" if len(words) > 1 else "".join(words)


def cut(text: str, most: int) -> str:
    """A text of at most so many characters."""
    return text if len(text) <= most else f"{text[: most - 1]}…"
