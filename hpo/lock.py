"""One coordinator for each study: a lock that ends with its process, however that ends."""

import fcntl
import hashlib
import json
import os
import socket
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from sqlalchemy import create_engine, text
from sqlalchemy.engine import Connection, make_url
from sqlalchemy.exc import ArgumentError, SQLAlchemyError

from hpo.errors import StudyBusy, UserError
from hpo.urls import masked


@contextmanager
def sole_coordinator(url: str, study: str) -> Iterator[None]:
    """Holds the study's lock.

    SQLite studies are locked by a file beside the database, PostgreSQL and MySQL ones by the server's own
    advisory locks: all three are given up when their holder dies.

    Raises:
        StudyBusy: another process holds it; says which.
        UserError: the database cannot be opened.
    """
    with database_errors(url):
        address = make_url(url)
        backend = address.get_backend_name()
    if backend == "sqlite":
        holder = _file_lock(url, Path(address.database or "memory"), study)
    else:
        holder = _server_lock(url, backend, study)
    with holder:
        yield


@contextmanager
def database_errors(url: str) -> Iterator[None]:
    """Turns what the opening of a database raises into one line, without the password.

    Raises:
        UserError: no database URL, a driver that is missing, a server that refuses.
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


@contextmanager
def _file_lock(url: str, database: Path, study: str) -> Iterator[None]:
    database = database.resolve()
    with database_errors(url):
        folder = database.parent / "locks"
        folder.mkdir(parents=True, exist_ok=True)
        opened = (folder / f"{database.name}.{study}.lock").open("a+", encoding="utf-8")
    with opened as file:
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            file.seek(0)
            raise _busy(study, file.read()) from None
        file.truncate(0)
        file.write(_who())
        file.flush()
        yield


@contextmanager
def _server_lock(url: str, backend: str, study: str) -> Iterator[None]:
    with database_errors(url):
        engine = create_engine(url, isolation_level="AUTOCOMMIT")
        connection = engine.connect()
    key = int.from_bytes(hashlib.sha256(f"hpo:{study}".encode()).digest()[:8], "big", signed=True)
    try:
        if backend == "postgresql":
            # The holder's name is what other sessions of the server can see of it.
            connection.execute(text("SELECT set_config('application_name', :who, false)"), {"who": _short()})
            held = connection.execute(text("SELECT pg_try_advisory_lock(:key)"), {"key": key}).scalar()
        else:
            held = connection.execute(text("SELECT GET_LOCK(:key, 0)"), {"key": f"hpo:{key}"}).scalar()
        if not held:
            raise _busy(study, _holder(connection, backend, key))
        yield
    finally:
        connection.close()
        engine.dispose()


def _holder(connection: Connection, backend: str, key: int) -> str:
    if backend != "postgresql":
        return ""
    # PostgreSQL shows a 64-bit advisory key as its two halves.
    halves: dict[str, Any] = {"high": (key >> 32) & 0xFFFFFFFF, "low": key & 0xFFFFFFFF}
    name = connection.execute(
        text(
            "SELECT a.application_name FROM pg_locks l JOIN pg_stat_activity a USING (pid) "
            "WHERE l.locktype = 'advisory' AND l.granted AND a.datname = current_database() "
            "AND l.classid::bigint = :high AND l.objid::bigint = :low"
        ),
        halves,
    ).scalar()
    return str(name or "")


def _who() -> str:
    return json.dumps({"pid": os.getpid(), "host": socket.gethostname()})


def _short() -> str:
    return f"hpo pid {os.getpid()} on {socket.gethostname()}"[:63]


def _busy(study: str, holder: str) -> StudyBusy:
    try:
        details = json.loads(holder)
        who = f"process {details['pid']} on {details['host']}"
    except (ValueError, KeyError, TypeError):
        who = holder.removeprefix("hpo ").replace("pid", "process") or "another process"
    return StudyBusy(f"study {study} is being run by {who}; wait for it to end, or stop it with Ctrl-C")
