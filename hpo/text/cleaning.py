"""Texts that came from elsewhere, a user's code or files, as stores, files and terminals can take them."""

import re
from typing import Any

from hpo.text.credentials import hidden

MOST_OF_AN_ERROR = 20_000
"""Characters that are kept of an error with its traceback: the beginning and the end say most."""
MOST_OF_A_LINE = 2_000
MOST_OF_A_NAME = 250
"""What MLflow allows of a metric's or a parameter's name."""

# C0 and C1 without tab and newline, DEL, what reorders a line of text, and lone halves of surrogate pairs.
_CONTROL = re.compile("[\x00-\x08\x0b-\x1f\x7f-\x9f\u2028\u2029\u202a-\u202e\u2066-\u2069\ud800-\udfff]")


def visible(text: str) -> str:
    r"""A text whose control characters and lone surrogates are spelled out, as `\x1b`: none of them acts."""
    return _CONTROL.sub(lambda found: found.group().encode("unicode_escape").decode("ascii"), text)


def clean(text: object, most: int = MOST_OF_AN_ERROR) -> str:
    """What may be kept and shown of a text: no credentials, nothing that acts, at most so many characters."""
    # Cut before it is looked through too, for an error text may have megabytes; a secret that was cut in two falls
    # to the second cut.
    return shortened(visible(hidden(shortened(str(text), 4 * most).replace("\r\n", "\n").replace("\r", "\n"))), most)


def shortened(text: str, most: int) -> str:
    """A text without its middle, where it is longer than `most` characters."""
    if len(text) <= most:
        return text
    said = f" [{len(text) - most:,} characters left out] "
    half = max(0, most - len(said)) // 2
    return f"{text[:half]}{said}{text[-half:]}" if half else text[:most]


def cut(text: str, most: int) -> str:
    """A text without its end, where it is longer than `most` characters."""
    return text if len(text) <= most else f"{text[: most - 1]}…"


def markdown(text: object) -> str:
    """Text in which Markdown finds no markup, HTML or link; a line of its own in a list, or a cell of a table."""
    escaped = re.sub(r"[\\`*<>\[\]|#~!]|(?<![^\W_])_|_(?![^\W_])", r"\\\g<0>", visible(str(text)))
    linkless = re.sub(r":(?=//)|(?<=www)\.|@", r"\\\g<0>", escaped.replace("&", "&amp;"), flags=re.IGNORECASE)
    return " ".join(linkless.split())


def code(text: object) -> str:
    """Text as a code span of Markdown, in a table too."""
    return f"`{' '.join(visible(str(text)).replace('`', chr(39)).replace('|', '¦').split())}`"


def is_clean(text: str) -> bool:
    """Whether files, databases and terminals can take a text as it is: no NUL, no lone surrogate."""
    return not any(letter == "\0" or "\ud800" <= letter <= "\udfff" for letter in text)


def encodable(value: Any) -> Any:
    """A JSON value whose texts have no lone surrogates and no NUL; keys too."""
    if isinstance(value, dict):
        return {encodable(key): encodable(part) for key, part in value.items()}
    if isinstance(value, list | tuple):
        return [encodable(part) for part in value]
    return value if not isinstance(value, str) or is_clean(value) else visible(value)
