"""Ctrl-C, termination and hang-up: how a command ends in an orderly way.

`heed` is called before anything else. From then on the first signal raises `Signalled` in the main thread, so that
resources are released on the way out. Within `deferred`, where a study runs, the signal is counted instead, and the
coordinator ends its trials. If either takes too long, or a second signal comes, the process leaves at once. This module
imports as little as possible, since a signal may come in the first tenth of a second.
"""

import contextlib
import os
import signal
import sys
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from types import FrameType
from typing import Any, NoReturn

ENDING = tuple(getattr(signal, name) for name in ("SIGINT", "SIGTERM", "SIGHUP") if hasattr(signal, name))

# Seconds that a command may take to end: after the first signal, and, where a study runs, after the second.
_PATIENCE = 4.0
_LAST_PATIENCE = 2.0


class Signalled(BaseException):
    """A signal asked the process to end. It is no `Exception`, so that no code of users or libraries catches it."""

    def __init__(self, number: int) -> None:
        super().__init__(f"ended by {signal.Signals(number).name}")
        self.exit_code = exit_code(number)


class Received:
    """The signals that came since a block began."""

    def __init__(self) -> None:
        self.numbers: list[int] = []

    def __len__(self) -> int:
        return len(self.numbers)


_all = Received()
_deferring: list[Received] = []
_heeding = False


def exit_code(number: int) -> int:
    """The exit code that a shell reports for a process that a signal ended."""
    return 128 + number


def first() -> int | None:
    """The signal that is ending this process, if one is."""
    return _all.numbers[0] if _all.numbers else None


def heed() -> None:
    """Installs the handlers; signals that the process was started to ignore, as by nohup, stay ignored."""
    global _heeding  # noqa: PLW0603 - a process has one set of handlers
    _heeding = True
    reader, writer = os.pipe()
    os.set_blocking(writer, False)
    for number in ENDING:
        if signal.getsignal(number) is not signal.SIG_IGN:
            signal.signal(number, _handle)
    signal.set_wakeup_fd(writer, warn_on_full_buffer=False)
    # Handlers run in Python's main thread, which may be busy in a library or in code that never ends.
    threading.Thread(target=_watch, args=(reader,), name="hpo-signals", daemon=True).start()
    _forget_signals_in_finalizers()


@contextmanager
def deferred() -> Iterator[Received]:
    """Counts signals instead of raising; the block itself has to react to them.

    Without `heed`, as in a notebook, SIGINT and SIGTERM are handled for the block, and restored afterwards.
    """
    received = Received()
    if threading.current_thread() is not threading.main_thread():
        yield received
        return
    numbers = () if _heeding else (signal.SIGINT, signal.SIGTERM)
    before = {one: signal.getsignal(one) for one in numbers}
    _deferring.append(received)
    try:
        for number, handler in before.items():
            if handler is not signal.SIG_IGN:
                signal.signal(number, _handle)
        yield received
    finally:
        _deferring.pop()
        for number, handler in before.items():
            signal.signal(number, handler)


def leave(code: int) -> NoReturn:
    """Ends the process at once. Its child processes end with it; the next start removes its temporary files."""
    os._exit(code)


def _handle(number: int, frame: FrameType | None) -> None:
    if _heeding:
        _all.numbers.append(number)
    if _deferring:
        _deferring[-1].numbers.append(number)
    elif len(_all) == 1:
        raise Signalled(number)


def _watch(reader: int) -> None:
    """Ends a process that does not end by itself.

    A second signal ends it at once. Where a study runs, the second signal gives it 2 s, and a third ends it at once.
    """
    numbers: list[int] = []
    while True:
        for number in os.read(reader, 64):
            if number not in ENDING:
                continue
            numbers.append(number)
            studying = bool(_deferring)
            if len(numbers) == 1 and not studying:
                _later(_PATIENCE, numbers[0])
            elif len(numbers) == 2 and studying:
                _later(_LAST_PATIENCE, numbers[0])
            elif len(numbers) >= 2:
                _end(numbers[0])


def _later(seconds: float, number: int) -> None:
    def end() -> None:
        time.sleep(seconds)
        _end(number)

    threading.Thread(target=end, name="hpo-signals-end", daemon=True).start()


def _end(number: int) -> NoReturn:
    with contextlib.suppress(OSError):
        os.write(2, b"interrupted\n")
    leave(exit_code(number))


def _forget_signals_in_finalizers() -> None:
    """Drops `Signalled` in a finalizer, which Python would print and ignore; `_watch` ends the process then."""
    show = sys.unraisablehook

    def hook(found: Any) -> None:
        if not isinstance(found.exc_value, Signalled):
            show(found)

    sys.unraisablehook = hook
