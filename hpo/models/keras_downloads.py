"""Keras's downloads, which workers must not make to the same place at the same time."""

import os
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager, suppress
from pathlib import Path

from hpo.system.private_files import private_folder


@contextmanager
def one_at_a_time() -> Iterator[None]:
    """Has workers wait for one another, which would download the same file to the same place."""
    from filelock import FileLock

    folder = Path(os.environ.get("KERAS_HOME") or Path.home() / ".keras")
    with ExitStack() as stack:
        # Where nothing can be written, Keras takes another folder.
        with suppress(OSError, NotImplementedError):
            private_folder(folder)
            stack.enter_context(FileLock(folder / "hpo-download.lock"))
        yield
