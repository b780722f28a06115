"""Workers and their forkserver leave with the coordinator, however that ends, and with nothing else."""

import ctypes
import os
import signal
import sys
from types import FrameType

from hpo.system.signals import ENDING

COORDINATOR = "HPO_COORDINATOR"
"""The environment variable that tells the forkserver whose child it is; empty where it is nobody's for life."""

_PR_SET_PDEATHSIG = 1

_server = 0


def become_server() -> None:
    """Says that this process is the forkserver, the parent of all workers, which inherit what is said here."""
    global _server  # noqa: PLW0603 - of the process itself
    _server = os.getpid()


def leave_with_server() -> None:
    """Has the system kill this worker as soon as its forkserver is gone."""
    leave_with(_server)


def leave_with(parent: int) -> None:
    """Has the system kill this process as soon as its parent is gone; where Linux is, at any moment.

    Only the thread that started this process counts as its parent: it has to be one that lasts.
    """
    if sys.platform == "linux":
        ctypes.CDLL(None).prctl(_PR_SET_PDEATHSIG, signal.SIGKILL)
    # It may have gone before.
    if os.getppid() != parent:
        os._exit(0)


def ignore_signals() -> None:
    """Leaves signals to the coordinator: Ctrl-C and a hang-up reach every process of the terminal.

    By a handler rather than by SIG_IGN or by holding them back, which programs that the user's code starts would
    inherit; but Ctrl-C is not for them either.
    """
    for number in ENDING:
        signal.signal(number, signal.SIG_IGN if number == signal.SIGINT else _nothing)
    signal.pthread_sigmask(signal.SIG_UNBLOCK, ENDING)


def _nothing(number: int, frame: FrameType | None) -> None: ...
