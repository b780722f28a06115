"""One coordinator for each study: a lock that its process watches, and that is free again however the process ends."""

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from sqlalchemy.engine import make_url
from sqlalchemy.exc import ArgumentError, SQLAlchemyError

from hpo.errors import UserError
from hpo.storage import database
from hpo.storage.abstract_lock import Lock
from hpo.storage.database import Warn
from hpo.storage.lock_file import FileLock
from hpo.storage.lock_server import ServerLock
from hpo.text.urls import masked


@contextmanager
def sole_coordinator(url: str, study: str, warn: Warn | None = None) -> Iterator[Lock]:
    """Holds the study's lock; waits for a database that is away.

    Studies in SQLite are locked by a file beside the database, those in PostgreSQL and MySQL by the server's
    advisory locks. Each of these locks is released when its holder dies.

    Raises:
        StudyBusy: another process holds it; the message says which.
        UserError: the database cannot be opened.
        StoreAway: the database is away for longer than START_SECONDS.
    """
    with database_errors(url):
        address = make_url(url)
        backend = address.get_backend_name()

    def take() -> Lock:
        with database_errors(url):
            if backend == "sqlite":
                return FileLock(Path(address.database or "memory"), study)
            return ServerLock(url, study)

    lock = database.patiently(url, take, database.START_SECONDS, warn)
    try:
        yield lock
    finally:
        lock.release()


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
    except ModuleNotFoundError as error:
        raise UserError(f"storage {masked(url)} needs a driver: python3 -m pip install {error.name}") from None
    except (SQLAlchemyError, OSError, RuntimeError, ValueError) as error:
        cause = str(getattr(error, "orig", None) or error).strip().splitlines()[0]
        raise UserError(f"storage {masked(url)} cannot be opened: {cause}") from None
