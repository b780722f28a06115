"""Cleans texts from elsewhere, such as a user's code or files, so that stores, files and terminals can take them."""

import re
from typing import Any

from hpo.text.credentials import hidden

LONGEST_ERROR = 20_000
"""The most characters of an error with its traceback. A longer one keeps its beginning and its end, which say most."""
LONGEST_LINE = 2_000
"""The most characters of a message in one line."""
LONGEST_NAME = 250
"""The most characters that MLflow allows in the name of a metric or a parameter."""

# C0 and C1 without tab and newline, DEL, characters that reorder a line of text, and lone surrogates.
_CONTROL = re.compile("[\x00-\x08\x0b-\x1f\x7f-\x9f\u2028\u2029\u202a-\u202e\u2066-\u2069\ud800-\udfff]")


def visible(text: str) -> str:
    r"""Spells out control characters and lone surrogates, for example as `\x1b`, so that a terminal obeys none."""
    return _CONTROL.sub(lambda found: found.group().encode("unicode_escape").decode("ascii"), text)


def clean(text: object, most: int = LONGEST_ERROR) -> str:
    """A text fit to be stored and shown: without credentials and control characters, at most `most` characters."""
    # The text is shortened before the search for credentials too, since an error may have megabytes. The second
    # shortening removes the place of the first one, where a secret may have been cut in two and missed.
    return shortened(visible(hidden(shortened(str(text), 4 * most).replace("\r\n", "\n").replace("\r", "\n"))), most)


def shortened(text: str, most: int) -> str:
    """Leaves out the middle of a text that is longer than `most` characters."""
    if len(text) <= most:
        return text
    note = f" [{len(text) - most:,} characters left out] "
    half = max(0, most - len(note)) // 2
    return f"{text[:half]}{note}{text[-half:]}" if half else text[:most]


def cut(text: str, most: int) -> str:
    """Leaves out the end of a text that is longer than `most` characters."""
    return text if len(text) <= most else f"{text[: most - 1]}…"


def markdown(text: object) -> str:
    """Escapes a text so that Markdown finds no markup, HTML or link in it; for lines of lists and cells of tables."""
    escaped = re.sub(r"[\\`*<>\[\]|#~!]|(?<![^\W_])_|_(?![^\W_])", r"\\\g<0>", visible(str(text)))
    linkless = re.sub(r":(?=//)|(?<=www)\.|@", r"\\\g<0>", escaped.replace("&", "&amp;"), flags=re.IGNORECASE)
    return " ".join(linkless.split())


def code(text: object) -> str:
    """A text as a code span of Markdown, which may stand in a table."""
    return f"`{' '.join(visible(str(text)).replace('`', chr(39)).replace('|', '¦').split())}`"


def is_clean(text: str) -> bool:
    """Whether files, databases and terminals can take a text as it is: no NUL, no lone surrogate."""
    return not any(letter == "\0" or "\ud800" <= letter <= "\udfff" for letter in text)


def encodable(value: Any) -> Any:
    """A JSON value in whose texts and keys lone surrogates and NUL are spelled out."""
    if isinstance(value, dict):
        return {encodable(key): encodable(part) for key, part in value.items()}
    if isinstance(value, list | tuple):
        return [encodable(part) for part in value]
    return value if not isinstance(value, str) or is_clean(value) else visible(value)
