"""Database and tracking URLs as they may be shown."""

import re

_PASSWORD = re.compile(r"(?<=://)([^/@:]*):[^@]*(?=@)")


def masked(url: str) -> str:
    """A URL without its password."""
    return _PASSWORD.sub(r"\1:***", url)
