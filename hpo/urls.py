"""Database and tracking URLs: as they may be shown, without passwords; and whether there is a database yet."""

from pathlib import Path
from urllib.parse import quote, unquote

_SECRETS = ("password", "passwd", "pwd", "sslpassword", "token")


def _secrets(uri: str) -> set[str]:
    # Imported here: `hpo --help` has no URL to show.
    from sqlalchemy.engine import make_url
    from sqlalchemy.exc import ArgumentError

    try:
        url = make_url(uri)
    except (ArgumentError, ValueError):
        return set()
    values = [url.password, *(url.query.get(key) for key in _SECRETS)]
    return {str(value) for value in values if value}


def missing_database(uri: str) -> Path | None:
    """The SQLite file that a URI names, where it does not exist; None for every other URI."""
    path = Path(uri.removeprefix("sqlite:///"))
    return path if uri.startswith("sqlite:///") and not path.exists() else None


def masked(uri: str, text: str | None = None) -> str:
    """The URI, or a text that may quote it, with passwords as `***`."""
    text = uri if text is None else text
    for secret in sorted(_secrets(uri), key=len, reverse=True):
        for spelling in {secret, quote(secret, safe=""), quote(secret), unquote(secret)}:
            for before, after in ((f":{spelling}@", ":***@"), (f"={spelling}", "=***")):
                text = text.replace(before, after)
    return text
