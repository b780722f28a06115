"""Ends workers and their forkserver together with the coordinator, however it ends, and for no other reason."""

import ctypes
import os
import signal
import sys
from types import FrameType

from hpo.system.signals import ENDING

COORDINATOR = "HPO_COORDINATOR"
"""The environment variable with the process id of the forkserver's parent; empty if the server may outlive it."""

_PR_SET_PDEATHSIG = 1

_server = 0


def become_server() -> None:
    """Remembers that this process is the forkserver, the parent of all workers, which inherit the variable."""
    global _server  # noqa: PLW0603 - it is a property of the process
    _server = os.getpid()


def leave_with_server() -> None:
    """Has the system kill this worker as soon as its forkserver is gone."""
    leave_with(_server)


def leave_with(parent: int) -> None:
    """Has the system kill this process as soon as its parent is gone; only on Linux, elsewhere it checks once.

    The system counts the thread that started this process as the parent, so that thread must last.
    """
    if sys.platform == "linux":
        ctypes.CDLL(None).prctl(_PR_SET_PDEATHSIG, signal.SIGKILL)
    # The parent may be gone already.
    if os.getppid() != parent:
        os._exit(0)


def ignore_signals() -> None:
    """Leaves signals to the coordinator: Ctrl-C and a hang-up reach every process of the terminal.

    It uses a handler, since programs that the user's code starts would inherit SIG_IGN or blocked signals. Ctrl-C is
    ignored by SIG_IGN: such programs should not react to it either.
    """
    for number in ENDING:
        signal.signal(number, signal.SIG_IGN if number == signal.SIGINT else _nothing)
    signal.pthread_sigmask(signal.SIG_UNBLOCK, ENDING)


def _nothing(number: int, frame: FrameType | None) -> None: ...
