"""SQLite databases that may only be read: the file, folder or disk is read-only, and there may be a journal."""

import os
import shutil
import sqlite3
import tempfile
from collections.abc import Callable, Sequence
from contextlib import closing
from pathlib import Path
from urllib.parse import quote


def may_only_be_read(database: Path) -> bool:
    """Whether a database file, or the folder where SQLite keeps its journal, cannot be written to."""
    return database.exists() and not (os.access(database, os.W_OK) and os.access(database.parent, os.W_OK))


def opener(database: Path) -> Callable[[], sqlite3.Connection]:
    """Returns a function that connects to a database that may only be read, without changing anything.

    If there is no journal beside it, nobody is writing, and it is read as it is. If there is one, SQLite needs a file
    of shared memory, which it cannot create here. Unless a writer has that file open, the database and its journal are
    copied, and the copy is read.
    """
    beside = (database.with_name(f"{database.name}{suffix}") for suffix in ("-wal", "-journal"))
    journals = [journal for journal in beside if journal.exists()]
    if not journals:
        return lambda: _connect(database, "immutable=1")
    try:
        with closing(_connect(database, "mode=ro")) as trial:
            trial.execute("SELECT count(*) FROM sqlite_master").fetchone()
    except sqlite3.OperationalError:
        return _memory(database, journals)
    return lambda: _connect(database, "mode=ro")


def _connect(database: Path, how: str) -> sqlite3.Connection:
    uri = f"file:{quote(str(database.absolute()))}?{how}"
    return sqlite3.connect(uri, uri=True, timeout=60, check_same_thread=False)


def _memory(database: Path, journals: Sequence[Path]) -> Callable[[], sqlite3.Connection]:
    with tempfile.TemporaryDirectory(prefix="hpo-read-") as folder:
        copy = Path(folder) / database.name
        # The database is copied first: changes that SQLite moves into it meanwhile are still in the journal.
        shutil.copyfile(database, copy)
        for journal in journals:
            shutil.copyfile(journal, copy.with_name(journal.name))
        with closing(sqlite3.connect(copy)) as merged:
            merged.execute("PRAGMA journal_mode=DELETE")
        image = copy.read_bytes()

    def connect() -> sqlite3.Connection:
        connection = sqlite3.connect(":memory:", check_same_thread=False)
        connection.deserialize(image)
        return connection

    return connect
