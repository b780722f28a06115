"""Opens a database of studies as Optuna's storage, at once or after waiting for it."""

import logging
from pathlib import Path
from typing import Any

import optuna
from optuna.storages import BaseStorage, RDBStorage, get_storage
from sqlalchemy.exc import DBAPIError, IntegrityError
from tenacity import Retrying, retry_if_exception, stop_after_attempt, wait_fixed

from hpo.errors import NotFound
from hpo.storage import database
from hpo.storage.database import Warn, engine_options, patiently
from hpo.storage.lock import database_errors, database_url
from hpo.storage.read_only import may_only_be_read, opener
from hpo.system.private_files import private_file, private_folder

# Optuna would log each study and trial to stderr, between the lines of progress that hpo shows.
optuna.logging.set_verbosity(logging.ERROR)

_CHECKED: set[str] = set()
"""The databases whose tables Optuna has found to be of its version. A run opens its database several times."""


def open_storage(url: str, must_exist: bool = False) -> BaseStorage:
    """Optuna's storage over a database, with Optuna's cache of finished trials.

    Raises:
        UserError: the database cannot be opened.
        NotFound: it must exist and does not.
    """
    return get_storage(open_database(url, must_exist))


def opened_patiently(url: str, must_exist: bool = False, warn: Warn | None = None) -> RDBStorage:
    """Optuna's storage over a database, for a command that writes: waits for a database that is away.

    Raises:
        UserError: the database cannot be opened.
        NotFound: it must exist and does not.
        StoreAway: the database is away for longer than START_SECONDS.
    """
    return patiently(url, lambda: open_database(url, must_exist), database.START_SECONDS, warn)


def open_database(url: str, must_exist: bool = False) -> RDBStorage:
    """Optuna's storage over a database.

    Raises:
        UserError: the database cannot be opened.
        NotFound: it must exist and does not.
    """
    address = database_url(url)
    with database_errors(url):
        sqlite = address.get_backend_name() == "sqlite"
        if sqlite and address.database:
            file = Path(address.database)
            if must_exist and not file.exists():
                raise NotFound(f"no studies yet: there is no {file}; start one with hpo run")
            if may_only_be_read(file):
                return _connect(url, {"creator": opener(file)})
            private_folder(file.parent)
            private_file(file)
        storage = _connect(url, engine_options(address))
        if sqlite:
            with storage.engine.connect() as connection:
                connection.exec_driver_sql("PRAGMA journal_mode=WAL")
    return storage


def _connect(url: str, options: dict[str, Any]) -> RDBStorage:
    """Opens a database; waits while another process creates its tables, since Optuna's own attempt would collide."""
    collides = retry_if_exception(
        lambda error: (
            isinstance(error, DBAPIError) and (isinstance(error, IntegrityError) or "already exists" in str(error))
        )
    )
    retrying = Retrying(retry=collides, wait=wait_fixed(0.1), stop=stop_after_attempt(20), reraise=True)
    # To check a database, Optuna runs all of its own migration scripts: 30 ms.
    storage: RDBStorage = retrying(RDBStorage, url, options, skip_compatibility_check=url in _CHECKED)
    _CHECKED.add(url)
    return storage
