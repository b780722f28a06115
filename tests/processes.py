"""Processes that tests start: each leads a group of its own, which ends with the test even if the test fails."""

import contextlib
import os
import signal
import socket
import subprocess
from collections.abc import Iterator, Sequence
from typing import Any

import pytest

_STARTED: "list[subprocess.Popen[Any]]" = []


def start(arguments: Sequence[str], **options: Any) -> "subprocess.Popen[Any]":
    """Starts a process as `subprocess.Popen` does."""
    process = subprocess.Popen(arguments, start_new_session=True, **options)
    _STARTED.append(process)
    return process


@pytest.fixture(autouse=True)
def _no_process_outlives_its_test() -> Iterator[None]:
    yield
    while _STARTED:
        process = _STARTED.pop()
        # Its children are in the group for as long as one of them lives.
        with contextlib.suppress(ProcessLookupError):
            os.killpg(process.pid, signal.SIGKILL)
        process.wait()
        for pipe in (process.stdin, process.stdout, process.stderr):
            if pipe is not None:
                pipe.close()


def free_port() -> int:
    """A port on the loopback address on which nobody listens."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])
