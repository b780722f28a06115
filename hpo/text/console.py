"""The console of the commands: what comes from users is text there, and never acts."""

import io
import os
import sys
from collections.abc import Iterable
from typing import Any

from rich.console import Console, ConsoleOptions, RenderableType
from rich.segment import Segment

from hpo.text.cleaning import visible
from hpo.text.credentials import hidden

# Where nobody looks at a window, lines are as wide as tables need.
_ENDLESS = 10_000


class SafeConsole(Console):
    """A console without markup in texts; control characters in them are spelled out."""

    def print(self, *objects: Any, **options: Any) -> None:
        """Prints, lines without credentials."""
        super().print(*(hidden(one) if isinstance(one, str) else one for one in objects), **options)

    def render(self, renderable: RenderableType, options: ConsoleOptions | None = None) -> Iterable[Segment]:
        """The segments of whatever is printed, tables and live displays too; Rich's own control codes stay."""
        for segment in super().render(renderable, options):
            yield segment if segment.control else Segment(visible(segment.text), segment.style)


def console(stderr: bool = False) -> Console:
    """A console on stdout or stderr; without control sequences where that is no terminal.

    NO_COLOR takes the colours away. FORCE_COLOR gives them to a file too, but no display that moves.
    """
    stream = sys.stderr if stderr else sys.stdout
    terminal = stream.isatty()
    forced = not terminal and os.environ.get("FORCE_COLOR") and not os.environ.get("NO_COLOR")
    columns = os.environ.get("COLUMNS", "")
    return SafeConsole(
        stderr=stderr, highlight=False, markup=False, emoji=False, force_terminal=terminal,
        color_system="standard" if forced else "auto",
        width=None if terminal else int(columns) if columns.isdecimal() and int(columns) else _ENDLESS,
    )  # fmt: skip


def is_live(out: Console) -> bool:
    """Whether a display may move there: somebody looks, and the terminal can take back what it showed."""
    return out.is_terminal and not out.is_dumb_terminal and os.environ.get("CI", "").lower() not in ("true", "1")


def width_of(out: Console) -> int | None:
    """How wide lines may be; None: as wide as they are, since nobody looks at a window."""
    return None if out.width >= _ENDLESS and not out.is_terminal else out.width


def spell_out_what_cannot_be_printed() -> None:
    """Lets stdout and stderr take every text: what their encoding lacks is spelled out, as `\\xe9`."""
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, io.TextIOWrapper):
            stream.reconfigure(errors="backslashreplace")


def printable(text: str, encoding: str) -> str:
    """A text as a console of the caller's own can take it."""
    return visible(text).encode(encoding, "backslashreplace").decode(encoding)
