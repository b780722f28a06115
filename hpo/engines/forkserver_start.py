"""Starts the forkserver and its workers without what this process has beyond an import of hpo."""

import os
import signal
import sys
import threading
import types
from collections.abc import Iterator
from contextlib import contextmanager
from multiprocessing import resource_tracker

from hpo.engines.process_exit import COORDINATOR
from hpo.system.signals import ENDING


@contextmanager
def starting() -> Iterator[None]:
    """Hides `__main__` from multiprocessing, which would run the user's script again in each worker.

    A forkserver that starts here learns the coordinator's process id, unless a thread that may end before this process
    starts it. It starts with signals blocked, and keeps them blocked: the coordinator decides what they mean.
    """
    main_module = sys.modules["__main__"]
    sys.modules["__main__"] = types.ModuleType("__main__")
    lasts = threading.current_thread() is threading.main_thread()
    os.environ[COORDINATOR] = str(os.getpid()) if lasts else ""
    mask = signal.pthread_sigmask(signal.SIG_BLOCK, ENDING)
    try:
        # Starting the resource tracker unblocks Ctrl-C and SIGTERM, so they are blocked again below.
        resource_tracker.ensure_running()
        signal.pthread_sigmask(signal.SIG_BLOCK, ENDING)
        yield
    finally:
        signal.pthread_sigmask(signal.SIG_SETMASK, mask)
        sys.modules["__main__"] = main_module
        del os.environ[COORDINATOR]
