"""A database of studies: how to connect to it, which errors mean that it is away, and how long to wait for it."""

import sqlite3
import sys
from collections.abc import Callable, Iterator, Mapping
from functools import wraps
from typing import Any, Concatenate, ParamSpec, TypeVar

from sqlalchemy.engine import URL
from sqlalchemy.exc import DBAPIError, InterfaceError, OperationalError
from tenacity import RetryCallState, Retrying, retry_if_exception, stop_after_delay, wait_exponential

from hpo.errors import StoreAway, first_line
from hpo.text.urls import masked

AWAY_SECONDS = 600.0
"""How long a store may be away while trials train."""
START_SECONDS = 120.0
"""How long a command that writes waits for a store before it begins."""
READ_SECONDS = 30.0
"""How long a command that only reads waits for a store."""
BUSY_SECONDS = 2.0
"""How long SQLite itself waits for a lock. It is short, since Ctrl-C has no effect meanwhile."""

# Options of libpq: a connection whose other end has vanished is noticed within half a minute.
_LIBPQ: Mapping[str, int] = {
    "connect_timeout": 10,
    "keepalives": 1,
    "keepalives_idle": 10,
    "keepalives_interval": 5,
    "keepalives_count": 3,
    "tcp_user_timeout": 20_000,
}
_LIBPQ_DRIVERS = ("psycopg2", "psycopg")

# SQLite's primary result codes: busy, locked, out of memory, read-only, I/O error, full, cannot open, protocol.
_PASSING_CODES = {5, 6, 7, 8, 10, 13, 14, 15}
# Words in the messages of a server that restarts, is full, or cannot be reached now. Messages about a wrong name or
# password contain none of them.
_PASSING_WORDS = (
    "connection refused", "timeout expired", "timed out", "starting up", "shutting down", "recovery mode",
    "server closed the connection", "terminating connection", "connection reset", "too many clients",
    "connection slots", "not currently accepting", "connection has been closed", "connection already closed",
    "network is unreachable", "no route to host", "no space left", "disk full", "could not receive data",
    "could not send data", "not yet accepting", "database is locked", "read-only transaction", "broken pipe",
    "lost synchronization", "eof detected", "connection is lost", "connection is closed", "consuming input failed",
)  # fmt: skip

Warn = Callable[[str], None]
"""Shows a user a warning."""

_P = ParamSpec("_P")
_T = TypeVar("_T")


class Away(Exception):
    """A store is away for a reason that no database driver reports."""


def engine_options(url: URL) -> dict[str, Any]:
    """Options for `create_engine`: connections are tested before they are used, and do not hang for minutes."""
    if url.get_backend_name() == "sqlite":
        return {"connect_args": {"timeout": BUSY_SECONDS}}
    options: dict[str, Any] = {"pool_pre_ping": True}
    if url.drivername.partition("+")[2] in _LIBPQ_DRIVERS or url.drivername == "postgresql":
        # Options in the URL are the user's own choice.
        options["connect_args"] = {name: value for name, value in _LIBPQ.items() if name not in url.query}
    return options


def is_away(error: BaseException) -> bool:
    """Whether an error means that a store which worked is away for now: locked, full, restarting or unreachable."""
    for cause in _causes(error):
        if isinstance(cause, StoreAway):
            return False
        if isinstance(cause, Away | InterfaceError):
            return True
        if isinstance(cause, DBAPIError):
            if cause.connection_invalidated:
                return True
            if isinstance(cause.orig, sqlite3.Error):
                return _code(cause.orig) in _PASSING_CODES
            return isinstance(cause, OperationalError) or _says_so(cause)
    return False


def comes_back(error: BaseException) -> bool:
    """Whether a store that could not be opened may work in a moment; a wrong name or password stays wrong."""
    for cause in _causes(error):
        if isinstance(cause, StoreAway | Away):
            return isinstance(cause, Away)
        if isinstance(cause, DBAPIError):
            if isinstance(cause.orig, sqlite3.Error):
                # Before anything has begun, a file that cannot be opened or written is a mistake of the user.
                return _code(cause.orig) in _PASSING_CODES - {8, 14}
            return _says_so(cause)
    return False


def is_database_error(error: BaseException) -> bool:
    """Whether a database failed, rather than the code."""
    return any(isinstance(cause, Away | DBAPIError) for cause in _causes(error))


def reason_of(error: BaseException) -> str:
    """The database's own message, in one line."""
    for cause in _causes(error):
        if isinstance(cause, DBAPIError):
            error = cause
            break
    return first_line(getattr(error, "orig", None) or error)


def duration(seconds: float) -> str:
    """`10 minutes`, `30 s`."""
    return f"{seconds / 60:g} minutes" if seconds >= 120 else f"{seconds:g} s"


def patiently(url: str, action: Callable[[], _T], seconds: float, warn: Warn | None = None) -> _T:
    """Runs an action that needs a store, and repeats it while the store is locked or away; warns once.

    Raises:
        StoreAway: the store was away for all these seconds.
    """

    def warn_once(state: RetryCallState) -> None:
        error = state.outcome.exception() if state.outcome else None
        if state.attempt_number == 1 and error is not None:
            text = f"storage {masked(url)} is away: {masked(url, reason_of(error))}; waiting up to {duration(seconds)}"
            (warn or to_stderr)(text)

    retrying = Retrying(
        retry=retry_if_exception(comes_back),
        wait=wait_exponential(multiplier=0.1, max=2.0),
        stop=stop_after_delay(seconds),
        before_sleep=warn_once,
        reraise=True,
    )
    try:
        return retrying(action)
    except Exception as error:
        if not comes_back(error):
            raise
        raise away(url, error, seconds) from None


def read_patiently(read: Callable[Concatenate[str, _P], _T]) -> Callable[Concatenate[str, _P], _T]:
    """Decorates a function of a URL: it waits up to READ_SECONDS for a store that is locked or away.

    The function then also raises StoreAway: the store was away for longer.
    """

    @wraps(read)
    def waiting(url: str, /, *args: _P.args, **options: _P.kwargs) -> _T:
        return patiently(url, lambda: read(url, *args, **options), READ_SECONDS)

    return waiting


def away(url: str, error: BaseException, seconds: float) -> StoreAway:
    """The error for a store that was waited for in vain."""
    reason = masked(url, reason_of(error))
    return StoreAway(f"storage {masked(url)} has been away for {duration(seconds)}: {reason}; run the command again")


def to_stderr(message: str) -> None:
    """Writes a warning to stderr, where no progress is shown."""
    sys.stderr.write(f"warning: {message}\n")


def _causes(error: BaseException) -> Iterator[BaseException]:
    """The error and its causes: Optuna wraps SQLAlchemy's errors."""
    seen: BaseException | None = error
    while seen is not None:
        yield seen
        seen = seen.__cause__ or seen.__context__


def _code(error: sqlite3.Error) -> int:
    """SQLite's primary result code."""
    return getattr(error, "sqlite_errorcode", 0) & 0xFF


def _says_so(error: DBAPIError) -> bool:
    text = str(error.orig).lower()
    return any(words in text for words in _PASSING_WORDS)
