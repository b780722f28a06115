"""A word for whoever waits: work that takes long is named on stderr, ever more rarely."""

import contextlib
import sys
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager

FIRST = 10.0
"""Seconds after which a work is named first; then after twice as many, and so on."""


@contextmanager
def told_while_waiting(say: Callable[[], str]) -> Iterator[None]:
    """Prints what `say` returns, with the seconds that have gone, for as long as the block takes."""
    done = threading.Event()

    def tell() -> None:
        began, pause = time.monotonic(), FIRST
        while not done.wait(pause):
            # stderr may be closed: nobody looks, and the work goes on.
            with contextlib.suppress(OSError, ValueError, AttributeError):
                sys.stderr.write(f"note: {say()} ({time.monotonic() - began:.0f} s so far)\n")
                sys.stderr.flush()
            pause *= 2

    thread = threading.Thread(target=tell, name="hpo-waiting", daemon=True)
    thread.start()
    try:
        yield
    finally:
        done.set()
        thread.join()
