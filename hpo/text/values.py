"""How values are written for people: a number looks the same in tables, sentences, reports and progress."""

import json
import math
import re
from collections.abc import Iterable, Mapping
from typing import Any

from hpo.text.cleaning import markdown

NOTHING = "-"
"""What stands where there is no value; every terminal can show it."""

_EXACT = 6
"""A number of at most so many digits is written with all of them."""
_ROUNDED = 3
_DUST = 12
"""From this digit on a number is what binary fractions make of it: 0.1 + 0.2 is 0.30000000000000004."""

# Words, paths and names that YAML reads as text, in a list too; what else there is goes in quotes.
_PLAIN = re.compile(r"(?:[^\W\d]|\.{0,2}/)[\w./:@+=()-]*(?: [^\W\d][\w./:@+=()-]*)*")
_RESERVED = frozenset({"null", "true", "false", "yes", "no", "on", "off", "y", "n"})


def score(value: float | None) -> str:
    """A metric: four decimals, at least three digits that count; one decimal from 1000 on, powers of ten from 1e9."""
    if value is None:
        return NOTHING
    if not math.isfinite(value):
        return str(float(value))
    size = round(abs(value), 4)
    if size >= 1000:
        return f"{value:,.1f}" if size < 1e9 else _powers(f"{value:.5g}")
    return f"{value:.4f}" if size >= 0.01 else _powers(f"{value:.3g}") if value else "0.0000"


def interval(low: float, high: float) -> str:
    """From one score to another."""
    return f"{score(low)} to {score(high)}"


def number(value: float | None) -> str:
    """Any other number, as a p-value or a feature: as it is where it is short, else with three digits that count.

    None rounds to a whole number unless it is one: a momentum of 0.99963 is not 1.
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
    """A number as YAML reads it: 1.0e-5, since 1e-05 is a text to some of its readers."""
    mantissa, e, exponent = text.partition("e")
    return f"{mantissa}{'' if '.' in mantissa else '.0'}e{int(exponent):+}" if e else text


def setting(value: Any) -> str:
    """A setting as YAML reads it back, in one line; fractions as of `number`."""
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
    """A letter of a text in quotes; what YAML does not take as it is, by its number."""
    return letter if letter.isprintable() else f"\\U{ord(letter):08x}"


def settings_table(settings: Mapping[str, Any]) -> list[str]:
    """The lines of a table of settings in Markdown."""
    rows = (f"| {markdown(name)} | {markdown(setting(value))} |" for name, value in settings.items())
    return ["| parameter | value |", "|---|---|", *rows]


def count(value: int | None) -> str:
    """A whole number with its thousands set apart."""
    return NOTHING if value is None else f"{value:,}"


def counts(values: Mapping[str, int]) -> str:
    """How many there are of each kind: 7 complete, 1 failed."""
    return ", ".join(f"{count(value)} {name}" for name, value in values.items()) or "none"


def duration(seconds: float | None) -> str:
    """A time span in the two largest of its units; a fraction of seconds where a float is given, and they count."""
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
    """A share of one."""
    return f"{share:.1%}"


def megabytes(size: int) -> str:
    """A size in bytes."""
    return f"{size / 1e6:,.1f} MB"


def listing(items: Iterable[object]) -> str:
    """Names or numbers in a sentence: 1, 2 and 3."""
    words = [str(item) for item in items]
    return f"{', '.join(words[:-1])} and {words[-1]}" if len(words) > 1 else "".join(words)
