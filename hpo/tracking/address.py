"""Tracking URIs: how they are shown, what is said of one that cannot be opened, and how MLflow is kept quiet."""

import os
from urllib.parse import quote, unquote

from sqlalchemy.engine import make_url
from sqlalchemy.exc import ArgumentError

from hpo.errors import UserError

# Read by MLflow when it is imported, and with each request. Epochs do not wait for a server that is away:
# what it missed is told when the trial ends.
_ENVIRONMENT = {
    "MLFLOW_DISABLE_TELEMETRY": "true",
    "DO_NOT_TRACK": "true",
    "MLFLOW_LOGGING_LEVEL": "ERROR",
    "MLFLOW_ENABLE_ARTIFACTS_PROGRESS_BAR": "false",
    "MLFLOW_SUPPRESS_PRINTING_URL_TO_STDOUT": "true",
    "MLFLOW_HTTP_REQUEST_MAX_RETRIES": "1",
    "MLFLOW_HTTP_REQUEST_TIMEOUT": "30",
}

_SECRETS = ("password", "passwd", "pwd", "sslpassword", "token")


def _secrets(uri: str) -> set[str]:
    try:
        url = make_url(uri)
    except (ArgumentError, ValueError):
        return set()
    values = [url.password, *(url.query.get(key) for key in _SECRETS)]
    return {str(value) for value in values if value}


def masked(uri: str, text: str | None = None) -> str:
    """The URI, or a text that may quote it, with passwords as `***`."""
    text = uri if text is None else text
    for secret in sorted(_secrets(uri), key=len, reverse=True):
        for spelling in {secret, quote(secret, safe=""), quote(secret), unquote(secret)}:
            for before, after in ((f":{spelling}@", ":***@"), (f"={spelling}", "=***")):
                text = text.replace(before, after)
    return text


def reason_of(uri: str, error: Exception) -> str:
    """The first line of an error's message, without passwords."""
    lines = masked(uri, str(error)).strip().splitlines()
    return lines[0] if lines else type(error).__name__


def cannot_open(uri: str, error: Exception) -> UserError:
    """What to raise for a store that cannot be reached, or refuses."""
    return UserError(
        f"the MLflow store {masked(uri)} cannot be opened: {reason_of(uri, error)}\n"
        "Start it, or name another: tracking.uri in the experiment, or --set tracking.uri=URI; "
        "without one it is mlflow.db in the home folder."
    )


def set_environment() -> None:
    """Before MLflow is imported: no telemetry, no chatter, short waits; what the user has set is kept."""
    for name, value in _ENVIRONMENT.items():
        os.environ.setdefault(name, value)
