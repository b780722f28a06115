"""Keeps a process running when nobody reads its stdout or stderr any more: further output is dropped."""

import contextlib
import errno
import io
import os
import sys
from typing import Any, TextIO


def survive_closed_pipes() -> None:
    """Keeps this process running after the reader of its output is gone: `hpo run | head -1`, a closed terminal.

    A stream that was closed from the start is replaced too. Otherwise the next file to be opened would get its number,
    and the output of libraries would be written into that file.
    """
    for number in range(3):
        try:
            os.fstat(number)
        except OSError:
            os.open(os.devnull, os.O_RDWR)
    sys.stdout = _outlasting(sys.stdout, 1)
    sys.stderr = _outlasting(sys.stderr, 2)


class _Raw(io.FileIO):
    """A stream that switches to the null device when nobody reads it any more."""

    def write(self, data: Any) -> int:
        try:
            return super().write(data)
        except OSError as error:
            if error.errno not in (errno.EPIPE, errno.EIO):
                raise
            nowhere = os.open(os.devnull, os.O_WRONLY)
            os.dup2(nowhere, self.fileno())
            os.close(nowhere)
            return len(data)


def _outlasting(stream: TextIO | None, number: int) -> TextIO:
    if isinstance(stream, io.TextIOWrapper):
        with contextlib.suppress(OSError):
            stream.flush()
    raw = _Raw(number, "w", closefd=False)
    return io.TextIOWrapper(
        io.BufferedWriter(raw),
        encoding=getattr(stream, "encoding", None) or "utf-8",
        errors=getattr(stream, "errors", None) or "backslashreplace",
        # A stream that was set to write at once, for example by `python -u`, still writes at once.
        line_buffering=number == 2 or raw.isatty() or bool(getattr(stream, "write_through", False)),
    )
