"""A client of an MLflow store; a database file is made whole, or not at all."""

import fcntl
import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from mlflow import MlflowClient
from sqlalchemy import create_engine
from sqlalchemy.engine import make_url

from hpo.system.private_files import private_file, private_folder
from hpo.tracking.mlflow_compat import make_tables


def connect(uri: str) -> MlflowClient:
    """A client whose store was reached once."""
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
    # MLflow would try for minutes to reach a database that is not there.
    engine = create_engine(url)
    engine.connect().close()
    engine.dispose()
    return MlflowClient(uri)


def _make(file: Path) -> None:
    """Makes the tables beside the file, which takes its name once they are whole."""
    unfinished = file.with_name(f".{file.name}.new")
    for left in file.parent.glob(f"{unfinished.name}*"):
        left.unlink()
    private_file(unfinished)
    make_tables(unfinished)
    unfinished.replace(file)


@contextmanager
def _alone(folder: Path) -> Iterator[None]:
    """Lets one process at a time into a folder; the library filelock would leave a file of its own there."""
    lock = os.open(folder, os.O_RDONLY)
    try:
        fcntl.flock(lock, fcntl.LOCK_EX)
        yield
    finally:
        os.close(lock)
