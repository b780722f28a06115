"""One coordinator for each study: a lock that its process watches, and that is free again however the process ends."""

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from sqlalchemy.engine import URL, make_url
from sqlalchemy.exc import ArgumentError, SQLAlchemyError

from hpo.errors import UserError, first_line
from hpo.storage import database
from hpo.storage.abstract_lock import Lock
from hpo.storage.database import Warn
from hpo.storage.lock_file import FileLock
from hpo.storage.lock_server import ServerLock
from hpo.system.scratch import process_folder
from hpo.text.urls import masked

_BACKENDS = ("sqlite", "postgresql")


@contextmanager
def sole_coordinator(url: str, study: str, warn: Warn | None = None) -> Iterator[Lock]:
    """Holds the study's lock; waits for a database that is away.

    Studies in SQLite are locked by a file beside the database, those in PostgreSQL by the server's advisory locks.
    Both are released when their holder dies.

    Raises:
        StudyBusy: another process holds it; the message says which.
        UserError: the database cannot be opened, or is neither SQLite nor PostgreSQL.
        StoreAway: the database is away for longer than START_SECONDS.
    """
    address = database_url(url)

    def take() -> Lock:
        with database_errors(url):
            if address.get_backend_name() == "sqlite":
                return FileLock(_file_of(address), study)
            return ServerLock(url, study)

    lock = database.patiently(url, take, database.START_SECONDS, warn)
    try:
        yield lock
    finally:
        lock.release()


def _file_of(address: URL) -> Path:
    """The file of an SQLite database; for one in memory, which is this process's own, a path in the scratch folder."""
    in_memory = address.database in (None, "", ":memory:")
    return process_folder() / "memory.db" if in_memory else Path(address.database)  # type: ignore[arg-type]


def database_url(url: str) -> URL:
    """The address of a database of studies.

    Raises:
        UserError: it is no database URL, or is neither SQLite nor PostgreSQL.
    """
    with database_errors(url):
        address = make_url(url)
    if (backend := address.get_backend_name()) not in _BACKENDS:
        raise UserError(f"storage {masked(url)}: studies can be stored in SQLite and PostgreSQL, not in {backend}")
    return address


@contextmanager
def database_errors(url: str) -> Iterator[None]:
    """Turns errors of opening a database into a message of one line, without the password.

    Raises:
        UserError: the URL is no database URL, its driver is missing, or the server refuses the connection.
    """
    try:
        yield
    except ArgumentError:
        raise UserError("storage: not a database URL; an example: sqlite:///mlruns/optuna.db") from None
    except ImportError as error:
        # Optuna raises an error of its own.
        driver = getattr(error.__cause__, "name", None) or error.name
        package = "'keras-hpo[postgres]'" if driver == "psycopg" else driver
        raise UserError(f"storage {masked(url)} needs a driver: python3 -m pip install {package}") from None
    except (SQLAlchemyError, OSError, RuntimeError, ValueError) as error:
        cause = first_line(getattr(error, "orig", None) or error)
        raise UserError(f"storage {masked(url)} cannot be opened: {cause}") from None
