"""Importing TensorFlow without its messages on stderr."""

import os
from collections.abc import Iterator
from contextlib import contextmanager


@contextmanager
def without_import_messages() -> Iterator[None]:
    """Drops what is written to stderr while TensorFlow is imported: some of it no setting of TensorFlow turns off.

    An import that fails still raises.
    """
    os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")
    stderr, nowhere = os.dup(2), os.open(os.devnull, os.O_WRONLY)
    os.dup2(nowhere, 2)
    try:
        yield
    finally:
        os.dup2(stderr, 2)
        os.close(stderr)
        os.close(nowhere)
