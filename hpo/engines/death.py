"""Why a worker process died, and what it printed last."""

import os
import signal
from pathlib import Path

from hpo.training.messages import FailureReason

# How much of what a worker printed is kept when it dies, in lines, and how much of the log is read for it, in bytes.
_LAST_LINES = 15
_LAST_BYTES = 65536

# Of a fatal error, how Python's report of it begins, and how many of the lines before it are kept: the error's message.
_FATAL = "Fatal Python error: "
_LINES_BEFORE_FATAL = 4


def cause(code: int, out_of_memory: bool, log: Path, start: int) -> tuple[FailureReason, str, str]:
    """Why a worker died: the reason, a message, and its last output.

    Args:
        code: its exit code, as `multiprocessing` gives it.
        out_of_memory: whether the system has killed a process for lack of memory while it ran.
        log: what it printed.
        start: the size of the log when its job was handed out, bytes.
    """
    printed = _last_lines(log, start)
    if code >= 0:
        return "crashed", f"the worker's process left with exit code {code}", printed
    if -code != signal.SIGKILL:
        return "crashed", f"the worker's process was ended by {signal.Signals(-code).name}", printed
    if out_of_memory:
        return "out_of_memory", "the system killed the worker's process because memory ran out (SIGKILL)", printed
    return "killed", "the worker's process was killed (SIGKILL)", printed


def oom_kills() -> int:
    """How many processes the kernel has killed for lack of memory since it started; 0 if it does not report that."""
    try:
        lines = Path("/proc/vmstat").read_text(encoding="ascii").splitlines()
    except OSError:
        return 0
    return next((int(line.split()[1]) for line in lines if line.startswith("oom_kill ")), 0)


def _last_lines(log: Path, start: int) -> str:
    """The last lines of a log after byte `start`, below a heading; empty if there are none.

    Of a fatal error these are its first lines: Python prints the innermost call first, and at the end one long line of
    the modules that were imported.
    """
    try:
        with log.open("rb") as file:
            end = file.seek(0, os.SEEK_END)
            file.seek(max(start, end - _LAST_BYTES))
            lines = file.read().decode(errors="replace").splitlines()
    except FileNotFoundError:
        return ""
    fatal = next((number for number, line in enumerate(lines) if line.startswith(_FATAL)), len(lines))
    begin = max(0, min(fatal - _LINES_BEFORE_FATAL, len(lines) - _LAST_LINES))
    return "\n".join(["Its last output:", *lines[begin : begin + _LAST_LINES]]) if lines else ""
