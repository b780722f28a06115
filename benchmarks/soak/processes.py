"""The processes of a soak, found by a mark in their environment, even if their parent has changed."""

import contextlib
import time
from pathlib import Path

import psutil

MARK = "HPO_SOAK"


def alive(mark: str) -> list[psutil.Process]:
    """The living processes that carry the mark."""
    found = []
    for process in psutil.process_iter():
        with contextlib.suppress(psutil.Error, OSError):
            environment = Path(f"/proc/{process.pid}/environ").read_bytes()
            if f"{MARK}={mark}".encode() in environment.split(b"\0") and process.status() != psutil.STATUS_ZOMBIE:
                found.append(process)
    return found


def left_after(mark: str, seconds: float) -> list[str]:
    """The command lines of the processes that are still there after some seconds; they are ended."""
    end = time.monotonic() + seconds
    while (found := alive(mark)) and time.monotonic() < end:
        time.sleep(0.1)
    names = []
    for process in found:
        with contextlib.suppress(psutil.Error):
            names.append(" ".join(process.cmdline())[-120:])
            process.kill()
    return names


def workers(mark: str) -> list[psutil.Process]:
    """The processes that train: children of the forkserver."""
    found = []
    for process in alive(mark):
        with contextlib.suppress(psutil.Error):
            parent = process.parent()
            if parent is not None and any("forkserver" in word for word in parent.cmdline()):
                found.append(process)
    return found
