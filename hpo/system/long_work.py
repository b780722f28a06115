"""Notes on stderr about work that takes long, at growing intervals."""

import contextlib
import sys
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager

FIRST = 10.0
"""Seconds before the first note; each further pause is twice as long as the one before."""


@contextmanager
def notes_while_waiting(note: Callable[[], str]) -> Iterator[None]:
    """Prints the text that `note` returns, with the seconds so far, from time to time while the block runs."""
    done = threading.Event()

    def print_notes() -> None:
        began, pause = time.monotonic(), FIRST
        while not done.wait(pause):
            # stderr may be closed; the work goes on.
            with contextlib.suppress(OSError, ValueError, AttributeError):
                sys.stderr.write(f"note: {note()} ({time.monotonic() - began:.0f} s so far)\n")
                sys.stderr.flush()
            pause *= 2

    thread = threading.Thread(target=print_notes, name="hpo-waiting", daemon=True)
    thread.start()
    try:
        yield
    finally:
        done.set()
        thread.join()
