"""URLs of databases and trackers: shown without passwords; and whether a database exists yet."""

from pathlib import Path

from hpo.text.credentials import hidden, learn_url


def missing_database(uri: str) -> Path | None:
    """The SQLite file that a URI names, where it does not exist; None for every other URI."""
    path = Path(uri.removeprefix("sqlite:///"))
    return path if uri.startswith("sqlite:///") and not path.exists() else None


def masked(uri: str, text: str | None = None) -> str:
    """The URI, or a text that may quote it, with passwords as `***`."""
    learn_url(uri)
    return hidden(uri if text is None else text)
