"""One thread for small matrices: several only wait for each other, and take cores from the workers."""

from contextlib import AbstractContextManager
from functools import cache
from typing import Any

from threadpoolctl import ThreadpoolController  # type: ignore[import-untyped]


def one_thread() -> AbstractContextManager[Any]:
    """A block in which NumPy and SciPy compute with one thread."""
    limited: AbstractContextManager[Any] = _controller().limit(limits=1, user_api="blas")
    return limited


@cache
def _controller() -> ThreadpoolController:
    # To find the libraries takes milliseconds.
    return ThreadpoolController()
