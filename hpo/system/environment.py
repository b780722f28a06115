"""References to environment variables in the addresses of stores: `${NAME}`, so that no file contains a password."""

import os
import re
from collections.abc import Iterator
from urllib.parse import quote

_REFERENCE = re.compile(r"\$\{(\w+)\}")


def resolved(address: str) -> str:
    """An address with the values of the variables that it refers to; a variable that is not set stays a reference.

    The user and the password of a URL are escaped, since these variables have them as they are.
    """
    _, scheme, rest = address.rpartition("://")
    user, at, place = rest.rpartition("@") if scheme else ("", "", address)
    before = address[: len(address) - len(user + at + place)]
    return _with_values(before) + _with_values(user, escaped=True) + at + _with_values(place)


def unset_variables(address: str) -> Iterator[str]:
    """The variables that an address refers to and that are not set, or are empty."""
    return (name for name in _REFERENCE.findall(address) if not os.environ.get(name))


def _with_values(text: str, escaped: bool = False) -> str:
    def value(found: re.Match[str]) -> str:
        known = os.environ.get(found[1])
        if not known:
            return found[0]
        return quote(known, safe="") if escaped else known

    return _REFERENCE.sub(value, text)
