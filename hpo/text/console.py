"""The console of the commands. It prints users' texts as plain text: no markup, no control characters."""

import io
import os
import sys
from collections.abc import Iterable
from typing import Any

from rich.console import Console, ConsoleOptions, RenderableType
from rich.segment import Segment

from hpo.text.cleaning import visible
from hpo.text.credentials import hidden

# Columns of output that goes to a file or a pipe: lines there are as wide as tables need.
_ENDLESS = 10_000


class SafeConsole(Console):
    """A console that takes no text for markup and spells out control characters."""

    def print(self, *objects: Any, **options: Any) -> None:
        """Prints like `Console.print`, with credentials in texts masked."""
        super().print(*(hidden(one) if isinstance(one, str) else one for one in objects), **options)

    def render(self, renderable: RenderableType, options: ConsoleOptions | None = None) -> Iterable[Segment]:
        """Yields the segments of texts, tables and live displays, cleaned; Rich's own control codes stay."""
        for segment in super().render(renderable, options):
            yield segment if segment.control else Segment(visible(segment.text), segment.style)


def console(stderr: bool = False) -> Console:
    """A console on stdout or stderr, without control sequences where the stream is no terminal.

    NO_COLOR turns colours off. FORCE_COLOR turns them on for a file too, but turns on no live display.
    """
    stream = sys.stderr if stderr else sys.stdout
    terminal = stream.isatty()
    forced = not terminal and os.environ.get("FORCE_COLOR") and not os.environ.get("NO_COLOR")
    columns = os.environ.get("COLUMNS", "")
    return SafeConsole(
        stderr=stderr, highlight=False, markup=False, emoji=False, force_terminal=terminal, force_jupyter=False,
        color_system="standard" if forced else "auto",
        width=None if terminal else int(columns) if columns.isdecimal() and int(columns) else _ENDLESS,
    )  # fmt: skip


def is_live(out: Console) -> bool:
    """Whether a live display can be shown: the output is a terminal that can overwrite lines, and not in CI."""
    return out.is_terminal and not out.is_dumb_terminal and os.environ.get("CI", "").lower() not in ("true", "1")


def width_of(out: Console) -> int | None:
    """The most columns of a line; None where the output goes to a file or a pipe, and lines may have any width."""
    return None if out.width >= _ENDLESS and not out.is_terminal else out.width


def print_commands(out: Console, *commands: tuple[str, str]) -> None:
    """Prints commands to continue with, each with what it is for: beside it, or above it where the line is too short.

    A command is never wrapped, so that it can be copied.
    """
    for command, purpose in commands:
        beside = f"  {command}   # {purpose}"
        width = width_of(out)
        fits = width is None or len(beside) <= width
        out.print(beside if fits else f"  # {purpose}\n  {command}", soft_wrap=True)


def escape_unprintable() -> None:
    """Makes stdout and stderr take every text: characters that their encoding lacks are spelled out, as `\\xe9`."""
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, io.TextIOWrapper):
            stream.reconfigure(errors="backslashreplace")


def printable(text: str, encoding: str) -> str:
    """A text with control characters, and characters that `encoding` lacks, spelled out."""
    return visible(text).encode(encoding, "backslashreplace").decode(encoding)
