"""stdout and stderr that nobody reads to the end: the output is dropped, the work goes on."""

import contextlib
import errno
import io
import os
import sys
from typing import Any, TextIO


def outlast_readers() -> None:
    """Has this process outlive whoever reads its output: `hpo run | head -1`, a terminal that was closed.

    A stream that was closed from the start is replaced too, since the next file to be opened would take its number,
    and what libraries print would be written into that file.
    """
    for number in range(3):
        try:
            os.fstat(number)
        except OSError:
            os.open(os.devnull, os.O_RDWR)
    sys.stdout = _outlasting(sys.stdout, 1)
    sys.stderr = _outlasting(sys.stderr, 2)


class _Raw(io.FileIO):
    """A stream that turns to the null device once nobody reads it."""

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
        # A stream that was asked to keep nothing back, by `python -u` for one, keeps nothing back.
        line_buffering=number == 2 or raw.isatty() or bool(getattr(stream, "write_through", False)),
    )
