"""Tracking URIs: how they are shown, what is said of one that cannot be opened, and how MLflow is kept quiet."""

import os

from hpo.errors import UserError
from hpo.urls import masked

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
