"""The lock of a study on a PostgreSQL server: an advisory lock, which lasts as long as the session that took it."""

import contextlib
import hashlib
import threading
from typing import Any, final

from sqlalchemy import create_engine, text
from sqlalchemy.engine import Connection, make_url
from sqlalchemy.exc import SQLAlchemyError
from sqlalchemy.pool import NullPool

from hpo.storage.abstract_lock import Lock, Released, busy, short_name
from hpo.storage.database import Away, engine_options


@final
class ServerLock(Lock):
    """Holds the lock in a session of its own; if that session was cut, takes the lock again in another one."""

    def __init__(self, url: str, study: str) -> None:
        """Takes the lock.

        Raises:
            StudyBusy: another process holds it.
        """
        address = make_url(url)
        self._engine = create_engine(url, isolation_level="AUTOCOMMIT", poolclass=NullPool, **engine_options(address))
        self._study = study
        self._key = int.from_bytes(hashlib.sha256(f"hpo:{study}".encode()).digest()[:8], "big", signed=True)
        self._session: int | None = None
        self._released = False
        # The writer's thread watches the lock, and the coordinator's thread releases it.
        self._mutex = threading.Lock()
        self._connection: Connection | None = self._take(lost=False)

    def ensure(self) -> None:
        """Runs a query in the session, which also keeps the server from ending it for idleness."""
        with self._mutex:
            if self._released:
                raise Released(f"the lock of study {self._study} was given up")
            if self._connection is not None:
                try:
                    self._connection.execute(text("SELECT 1"))
                    return
                except SQLAlchemyError:
                    _close(self._connection)
                    self._connection = None
            self._connection = self._take(lost=True)

    def release(self) -> None:
        """Ends the session, which releases the lock."""
        self._released = True
        # A session that hangs is not waited for: it ends with the process.
        if self._mutex.acquire(timeout=1.0):
            try:
                if self._connection is not None:
                    _close(self._connection)
                self._connection = None
                self._engine.dispose()
            finally:
                self._mutex.release()

    def _take(self, lost: bool) -> Connection:
        connection = self._engine.connect()
        try:
            self._lock(connection, lost)
        except BaseException:
            _close(connection)
            raise
        return connection

    def _lock(self, connection: Connection, lost: bool) -> None:
        # The session gets the holder's name, which other sessions of the server can read.
        connection.execute(text("SELECT set_config('application_name', :who, false)"), {"who": short_name()})
        if not connection.execute(text("SELECT pg_try_advisory_lock(:key)"), {"key": self._key}).scalar():
            session, name = self._holder(connection)
            if session is not None and session == self._session and name == short_name():
                # It is this process's own session, whose connection was cut; the server has not noticed yet.
                connection.execute(text("SELECT pg_terminate_backend(:session)"), {"session": session})
                raise Away("the session that held the study's lock is not gone yet")
            raise busy(self._study, name, lost)
        self._session = connection.execute(text("SELECT pg_backend_pid()")).scalar()

    def _holder(self, connection: Connection) -> tuple[int | None, str]:
        """The session that holds the lock, and its name."""
        # PostgreSQL shows a 64-bit advisory key as its two halves.
        halves: dict[str, Any] = {"high": (self._key >> 32) & 0xFFFFFFFF, "low": self._key & 0xFFFFFFFF}
        found = connection.execute(
            text(
                "SELECT a.pid, a.application_name FROM pg_locks l JOIN pg_stat_activity a USING (pid) "
                "WHERE l.locktype = 'advisory' AND l.granted AND a.datname = current_database() "
                "AND l.classid::bigint = :high AND l.objid::bigint = :low"
            ),
            halves,
        ).first()
        return (None, "") if found is None else (found[0], str(found[1] or ""))


def _close(connection: Connection) -> None:
    with contextlib.suppress(SQLAlchemyError):
        connection.close()
