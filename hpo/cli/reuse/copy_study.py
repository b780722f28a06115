"""Copies a study to another database, whole: between SQLite files and PostgreSQL servers, both ways."""

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from hpo.errors import NotFound, UserError

if TYPE_CHECKING:
    from optuna.storages import RDBStorage

    from hpo.cli.reuse.log_again import LoggedAgain
    from hpo.storage.rows import StudyRows


@dataclass(frozen=True)
class CopiedStudy:
    """A study that was copied, and where its other files are."""

    study: str
    source: str
    """URL of the database that it was copied from, without its password."""
    target: str
    """URL of the database that it was copied to, without its password."""
    trials: int
    confirming_runs: int
    home: str
    """The home folder: models, checkpoints and kept code of the study stay there."""
    logged: "LoggedAgain | None" = None
    """The runs at the MLflow store that was named, if one was."""


def copy_study(
    study: str,
    to: str,
    *,
    home: str | Path | None = None,
    storage: str | None = None,
    tracking_uri: str | None = None,
) -> CopiedStudy:
    """Copies a study with its confirming runs to another database, in one transaction; the first one stays as it is.

    Args:
        study: its name.
        to: SQLAlchemy URL of the other database. `${NAME}` stands for the value of an environment variable.
        home: the folder of the store: HPO_HOME or ./mlruns where not given.
        storage: SQLAlchemy URL of the studies, where it is not the home folder's.
        tracking_uri: MLflow tracking URI of a store that gets the study's runs; by default no run is written.

    Raises:
        UserError: no such study, it is being run, the other database has a study of that name, or cannot be opened.
        StoreAway: a database is away for too long.
    """
    from hpo.cli.reuse.log_again import log_again
    from hpo.study.read import confirming_study, known_study
    from hpo.system.environment import resolved, unset_variables
    from hpo.system.home import home_folder, storage_url
    from hpo.text.urls import masked

    for name in unset_variables(to):
        raise UserError(f"--to {masked(to)}: the environment variable {name} is not set")
    source, target = storage_url(storage, home), resolved(to)
    known_study(source, study)
    names = (study, confirming_study(study))
    with _free(source, study):
        rows = [found for name in names if (found := _rows_of(source, name)) is not None]
        _refuse_if_there(target, rows[0])
        _write(target, rows)
    logged = None if tracking_uri is None else log_again(study, tracking_uri, home=home, storage=target)
    confirming = len(rows[1].trials) if len(rows) > 1 else 0
    where = str(home_folder(home))
    return CopiedStudy(study, masked(source), masked(target), len(rows[0].trials), confirming, where, logged)


@contextmanager
def _free(url: str, study: str) -> Iterator[None]:
    """Holds the lock of a study, so that nobody runs it; a database that may only be read cannot be run in here."""
    from sqlalchemy.engine import make_url

    from hpo.storage.lock import sole_coordinator
    from hpo.storage.read_only import may_only_be_read

    address = make_url(url)
    if address.get_backend_name() == "sqlite" and may_only_be_read(Path(address.database or "")):
        yield
        return
    with sole_coordinator(url, study):
        yield


def _rows_of(url: str, name: str) -> "StudyRows | None":
    from hpo.storage.database import READ_SECONDS, patiently
    from hpo.storage.open import open_database
    from hpo.storage.rows import read_rows

    def read() -> "StudyRows | None":
        with _opened(open_database(url, must_exist=True)) as database, database.engine.connect() as connection:
            return read_rows(connection, name)

    return patiently(url, read, READ_SECONDS)


def _refuse_if_there(url: str, rows: "StudyRows") -> None:
    """Raises an error if a database has a study of that name; does not create the database."""
    from hpo.storage.lock import database_errors
    from hpo.study.read import confirming_study
    from hpo.text.urls import masked

    try:
        with database_errors(url):
            found = _rows_of(url, rows.name) or _rows_of(url, confirming_study(rows.name))
    except NotFound:
        return
    if found is not None:
        which = "the same one" if found == rows else "another one"
        raise UserError(f"{masked(url)} has a study {rows.name} already, {which}; nothing was copied")


def _write(url: str, rows: "list[StudyRows]") -> None:
    """Writes studies in one transaction: a kill leaves all of them or none."""
    from sqlalchemy.exc import IntegrityError

    from hpo.storage.lock import database_errors, sole_coordinator
    from hpo.storage.open import opened_patiently
    from hpo.storage.rows import write_rows
    from hpo.text.urls import masked

    with sole_coordinator(url, rows[0].name), _opened(opened_patiently(url)) as database, database_errors(url):
        try:
            with database.engine.begin() as connection:
                for one in rows:
                    write_rows(connection, one)
        except IntegrityError:
            raise UserError(f"{masked(url)} got a study {rows[0].name} meanwhile; nothing was copied") from None


@contextmanager
def _opened(database: "RDBStorage") -> "Iterator[RDBStorage]":
    """Closes the connections of a database at the end."""
    try:
        yield database
    finally:
        database.engine.dispose()
