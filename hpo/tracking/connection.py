"""Opens a client of an MLflow store. A new database file appears only when it is complete."""

import fcntl
import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from mlflow import MlflowClient
from sqlalchemy import create_engine
from sqlalchemy.engine import make_url

from hpo.storage.database import engine_options
from hpo.system.private_files import private_file, private_folder
from hpo.tracking.mlflow_compat import make_tables


def connect(uri: str) -> MlflowClient:
    """A client of a store, after the store has answered once."""
    if uri.startswith(("http:", "https:")):
        client = MlflowClient(uri)
        client.search_experiments(max_results=1)
        return client
    url = make_url(uri)
    if url.get_backend_name() == "sqlite" and url.database:
        file = Path(url.database).resolve()
        private_folder(file.parent)
        with _alone(file.parent):
            if not file.exists() or not file.stat().st_size:
                _make(file)
            return MlflowClient(uri)
    # MLflow would try for minutes to reach a database that does not answer.
    engine = create_engine(url, **engine_options(url))
    engine.connect().close()
    engine.dispose()
    return MlflowClient(uri)


def _make(file: Path) -> None:
    """Creates the tables in another file beside it, and renames that when they are complete."""
    unfinished = file.with_name(f".{file.name}.new")
    for left in file.parent.glob(f"{unfinished.name}*"):
        left.unlink()
    private_file(unfinished)
    make_tables(unfinished)
    unfinished.replace(file)


@contextmanager
def _alone(folder: Path) -> Iterator[None]:
    """Locks a folder for one process at a time; the library filelock would leave a file of its own there."""
    lock = os.open(folder, os.O_RDONLY)
    try:
        fcntl.flock(lock, fcntl.LOCK_EX)
        yield
    finally:
        os.close(lock)
