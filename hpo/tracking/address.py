"""Tracking URIs: how they are shown, the error if one cannot be opened, and how MLflow is kept quiet."""

import logging
import os
from collections.abc import Iterator
from contextlib import contextmanager

from hpo.errors import UserError
from hpo.text.urls import masked

# Read by MLflow when it is imported, and with each request. A request is not repeated by MLflow itself: it may have
# arrived though its answer was lost, and a run would be created twice. The tracker looks for the run, and repeats it.
_ENVIRONMENT = {
    "MLFLOW_DISABLE_TELEMETRY": "true",
    "DO_NOT_TRACK": "true",
    "MLFLOW_LOGGING_LEVEL": "ERROR",
    "MLFLOW_ENABLE_ARTIFACTS_PROGRESS_BAR": "false",
    "MLFLOW_SUPPRESS_PRINTING_URL_TO_STDOUT": "true",
    "MLFLOW_HTTP_REQUEST_MAX_RETRIES": "0",
    "MLFLOW_HTTP_REQUEST_TIMEOUT": "30",
}


def reason_of(uri: str, error: Exception) -> str:
    """The first line of an error's message, without passwords."""
    lines = masked(uri, str(error)).strip().splitlines()
    return lines[0] if lines else type(error).__name__


def refuses(error: Exception) -> bool:
    """Whether a server answered that the user or the password is wrong, or that the user may not write there."""
    from mlflow.exceptions import MlflowException

    return isinstance(error, MlflowException) and error.get_http_status_code() in (401, 403)  # type: ignore[no-untyped-call]


def cannot_open(uri: str, error: Exception) -> UserError:
    """The error to raise for a store that cannot be reached, or refuses."""
    if refuses(error):
        return UserError(
            f"the MLflow store {masked(uri)} refuses the user: {reason_of(uri, error)}\n"
            "Set MLFLOW_TRACKING_USERNAME and MLFLOW_TRACKING_PASSWORD, or ask its administrator for permission."
        )
    return UserError(
        f"the MLflow store {masked(uri)} cannot be opened: {reason_of(uri, error)}\n"
        "Start it, or name another: tracking.uri in the experiment, or --set tracking.uri=URI; "
        "without one it is mlflow.db in the home folder."
    )


def set_environment() -> None:
    """Turns telemetry and log output of MLflow off and shortens its waits; variables that the user has set are kept.

    It has to be called before MLflow is imported.
    """
    for name, value in _ENVIRONMENT.items():
        os.environ.setdefault(name, value)


@contextmanager
def quiet() -> Iterator[None]:
    """Suppresses what MLflow, alembic and SQLAlchemy log in this thread; whatever matters is raised as well."""
    set_environment()
    from hpo.tracking.mlflow_compat import quiet_thread

    for name in ("sqlalchemy", "urllib3"):
        # Their loggers have no handlers. Unless somebody has configured them, Python prints their errors.
        logger = logging.getLogger(name)
        if logger.level in (logging.NOTSET, logging.WARNING):
            logger.setLevel(logging.CRITICAL)
    with quiet_thread():
        yield
