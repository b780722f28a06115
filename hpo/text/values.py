"""Formats values for people, so that a number looks the same in tables, sentences, reports and progress."""

import json
import math
import re
from collections.abc import Iterable, Mapping
from typing import Any

from hpo.text.cleaning import markdown

NOTHING = "-"
"""Shown where there is no value; every terminal can show it."""

_EXACT = 6
"""A number with at most this number of digits is written with all of them."""
_ROUNDED = 3
"""The significant digits of a longer number."""
_DUST = 12
"""Digits from this one on are rounding errors of binary fractions: 0.1 + 0.2 is 0.30000000000000004."""

# Words, paths and names that YAML reads as text, in a list too; other texts go in quotes.
_PLAIN = re.compile(r"(?:[^\W\d]|\.{0,2}/)[\w./:@+=()-]*(?: [^\W\d][\w./:@+=()-]*)*")
_RESERVED = frozenset({"null", "true", "false", "yes", "no", "on", "off", "y", "n"})


def score(value: float | None) -> str:
    """A metric with four decimals and at least three significant digits; from 1000 on with one decimal.

    From 1e9 on it is written with a power of ten.
    """
    if value is None:
        return NOTHING
    if not math.isfinite(value):
        return str(float(value))
    size = round(abs(value), 4)
    if size >= 1000:
        return f"{value:,.1f}" if size < 1e9 else _powers(f"{value:.5g}")
    return f"{value:.4f}" if size >= 0.01 else _powers(f"{value:.3g}") if value else "0.0000"


def interval(low: float, high: float) -> str:
    """An interval of scores: `0.91 to 0.95`."""
    return f"{score(low)} to {score(high)}"


def number(value: float | None) -> str:
    """Any other number, such as a p-value or a feature. A short one is exact, others have three significant digits.

    Only a whole number is written as one: a momentum of 0.99963 is not 1.
    """
    if value is None:
        return NOTHING
    if not math.isfinite(value):
        return str(float(value))
    exact = float(f"{value:.{_DUST}g}") or 0.0
    text = f"{exact:.{_EXACT}g}"
    if float(text) != exact:
        texts = (f"{exact:.{digits}g}" for digits in range(_ROUNDED, _DUST + 1))
        text = next(text for text in texts if float(text).is_integer() == exact.is_integer())
    return _powers(text)


def _powers(text: str) -> str:
    """A number as YAML reads it: 1.0e-5, since some YAML readers take 1e-05 for a text."""
    mantissa, e, exponent = text.partition("e")
    return f"{mantissa}{'' if '.' in mantissa else '.0'}e{int(exponent):+}" if e else text


def is_number(text: str) -> bool:
    """Whether a text is a number as Python reads it."""
    try:
        float(text)
    except ValueError:
        return False
    return True


def setting(value: Any) -> str:
    """A setting in one line as YAML reads it back; fractions are written as `number` writes them."""
    if isinstance(value, bool) or value is None or isinstance(value, int):
        return json.dumps(value)
    if isinstance(value, float):
        return number(value) if math.isfinite(value) else {"nan": ".nan", "inf": ".inf", "-inf": "-.inf"}[str(value)]
    if isinstance(value, Mapping):
        return f"{{{', '.join(f'{setting(key)}: {setting(part)}' for key, part in value.items())}}}"
    if isinstance(value, list | tuple):
        return f"[{', '.join(map(setting, value))}]"
    return _text(str(value))


def _text(text: str) -> str:
    plain = _PLAIN.fullmatch(text) and ": " not in text and not text.endswith(":") and text.lower() not in _RESERVED
    return text if plain else "".join(map(_visible, json.dumps(text, ensure_ascii=False)))


def _visible(letter: str) -> str:
    """A character of a text in quotes; one that cannot be printed is written as its number."""
    return letter if letter.isprintable() else f"\\U{ord(letter):08x}"


def settings_table(settings: Mapping[str, Any]) -> list[str]:
    """The lines of a table of settings in Markdown."""
    rows = (f"| {markdown(name)} | {markdown(setting(value))} |" for name, value in settings.items())
    return ["| parameter | value |", "|---|---|", *rows]


def count(value: int | None) -> str:
    """A whole number with separators of thousands."""
    return NOTHING if value is None else f"{value:,}"


def counts(values: Mapping[str, int]) -> str:
    """The number of each kind: `7 complete, 1 failed`."""
    return ", ".join(f"{count(value)} {name}" for name, value in values.items()) or "none"


def duration(seconds: float | None) -> str:
    """A time span in its two largest units; a float below a minute keeps its fraction of a second."""
    if seconds is None:
        return NOTHING
    if round(seconds, 1) < 60:
        short = round(seconds, 2) < 1 or isinstance(seconds, int)
        return f"{_powers(f'{seconds:.2g}') if short else f'{seconds:.1f}'} s"
    minutes, rest = divmod(round(seconds), 60)
    hours, minutes = divmod(minutes, 60)
    large, small = ((hours, "h"), (minutes, "min")) if hours else ((minutes, "min"), (rest, "s"))
    return f"{large[0]} {large[1]}" + (f" {small[0]:02} {small[1]}" if small[0] else "")


def percent(share: float) -> str:
    """A share, from 0 to 1, in percent."""
    return f"{share:.1%}"


def megabytes(size: int) -> str:
    """A size, given in bytes, in megabytes."""
    return f"{size / 1e6:,.1f} MB"


def listing(items: Iterable[object]) -> str:
    """Names or numbers in a sentence: 1, 2 and 3."""
    words = [str(item) for item in items]
    return f"{', '.join(words[:-1])} and {words[-1]}" if len(words) > 1 else "".join(words)
