"""Ctrl-C, termination and hang-up: one way for a command to end, from its first moment to its last.

`heed` is called before anything else. From then on the first signal raises `Signalled` where the program stands, so
that what it holds is put away; within `deferred`, where a study runs, it is counted instead, and the coordinator gives
its trials back. Should either take too long, or a second signal come, the process leaves at once. Only what has to be
is imported here: a signal may come in the first tenth of a second.
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

# How long after the first signal a command may put away what it holds, seconds; within a study, after the second.
_PATIENCE = 4.0
_LAST_PATIENCE = 2.0


class Signalled(BaseException):
    """The process was told to end. No `Exception`: neither the user's code nor a library's is to catch it."""

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
    """What a shell reports of a process that a signal ended."""
    return 128 + number


def first() -> int | None:
    """The signal that is ending this process, if one is."""
    return _all.numbers[0] if _all.numbers else None


def heed() -> None:
    """Has the process end in an orderly way; signals that it was started to ignore stay ignored, as by nohup."""
    global _heeding  # noqa: PLW0603 - a process has one set of handlers
    _heeding = True
    reader, writer = os.pipe()
    os.set_blocking(writer, False)
    for number in ENDING:
        if signal.getsignal(number) is not signal.SIG_IGN:
            signal.signal(number, _handle)
    signal.set_wakeup_fd(writer, warn_on_full_buffer=False)
    # Handlers wait for Python's main thread, which may stand in a library or in code that never ends.
    threading.Thread(target=_watch, args=(reader,), name="hpo-signals", daemon=True).start()
    _forget_signals_in_finalizers()


@contextmanager
def deferred() -> Iterator[Received]:
    """Counts signals rather than raising; what the block leaves undone is its own affair.

    Without `heed`, as in a notebook, SIGINT and SIGTERM are heeded for the block, and put back afterwards.
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
    """Ends the process at once: what it started ends with it, its temporary files are removed at the next start."""
    os._exit(code)


def _handle(number: int, frame: FrameType | None) -> None:
    if _heeding:
        _all.numbers.append(number)
    if _deferring:
        _deferring[-1].numbers.append(number)
    elif len(_all) == 1:
        raise Signalled(number)


def _watch(reader: int) -> None:
    """Ends the process where it does not end by itself: a second signal ends it at once, a study's trials in 2 s."""
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
    """Python prints what is raised in a finalizer and goes on; of a signal, `_watch` takes care then."""
    show = sys.unraisablehook

    def hook(found: Any) -> None:
        if not isinstance(found.exc_value, Signalled):
            show(found)

    sys.unraisablehook = hook
