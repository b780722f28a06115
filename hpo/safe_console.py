"""The console of the commands: what comes from users is text there, and never acts."""

import io
import sys
from collections.abc import Iterable
from typing import Any

from rich.console import Console, ConsoleOptions, RenderableType
from rich.segment import Segment

from hpo.credentials import hidden
from hpo.texts import visible

# Where nobody looks at a window, lines are as wide as tables need.
_PLAIN_WIDTH = 200


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
    """A console on stdout or stderr; without control sequences where that is no terminal."""
    stream = sys.stderr if stderr else sys.stdout
    terminal = stream.isatty()
    width = None if terminal else _PLAIN_WIDTH
    return SafeConsole(
        stderr=stderr, highlight=False, markup=False, emoji=False, width=width, no_color=not terminal
    )  # fmt: skip


def spell_out_what_cannot_be_printed() -> None:
    """Lets stdout and stderr take every text: what their encoding lacks is spelled out, as `\\xe9`."""
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, io.TextIOWrapper):
            stream.reconfigure(errors="backslashreplace")


def printable(text: str, encoding: str) -> str:
    """A text as a console of the caller's own can take it."""
    return visible(text).encode(encoding, "backslashreplace").decode(encoding)
