"""Tables that fit a terminal. No number and no heading is ever cut; columns that do not fit are named below."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from rich.cells import cell_len
from rich.text import Text

from hpo.text.cleaning import visible
from hpo.text.console import width_of
from hpo.text.values import NOTHING, setting

if TYPE_CHECKING:
    from rich.console import Console

STATES: Mapping[str, str] = {"complete": "green", "pruned": "yellow", "running": "cyan", "paused": "cyan", NOTHING: ""}
"""The colours of states; every other word in a column of states is the reason of a failure."""
_GAP = 2
_FIRST_PARAMETERS = 2
# The least width of a column of texts where there is no more room; longer words may be broken.
_LEAST_OF_A_TEXT = 24


@dataclass(frozen=True)
class Column:
    """A column: its cells, and how soon it is left out in favour of others."""

    name: str
    cells: Sequence[str]
    rank: int = 0
    """Columns of larger rank are left out first where there is no room; of equal rank, the rightmost first."""
    text: bool = False
    """Whether the cells may be broken into several lines; names and lists may, numbers may not."""
    states: bool = False
    """Whether the cells are states of trials, which have colours."""


@dataclass(frozen=True)
class _Fitted:
    """A column with its width and its cells as they are shown: lines of at most that width."""

    column: Column
    width: int
    cells: Sequence[Sequence[str]] = field(default_factory=list)


def print_table(
    out: "Console",
    columns: Sequence[Column],
    *,
    title: str | None = None,
    wide: bool = False,
    more: str = "--wide shows them",
    bold: int | None = None,
) -> list[str]:
    """Prints a table that fits the console; with `wide`, or to a file or a pipe, as wide as its columns are.

    Columns that do not fit are left out, the least important first. They are named below the table, followed by
    `more`, which says how to see them. A single column that does not fit is shown all the same. The row number `bold`
    is printed bold. Returns the names of the columns that were left out.
    """
    columns = [_clean(column) for column in columns]
    room = None if wide else width_of(out)
    shown = columns if room is None else _chosen(columns, room)
    fitted = _fitted(shown, room)
    if title is not None:
        out.print(Text(title, style="italic"), soft_wrap=True)
    heading = "  ".join(_justified(one, one.column.name) for one in fitted).rstrip()
    out.print(Text(heading, style="bold"), soft_wrap=True)
    line = "─" if "utf" in out.encoding else "-"
    out.print(Text("  ".join(line * one.width for one in fitted), style="dim"), soft_wrap=True)
    for place in range(max((len(one.column.cells) for one in fitted), default=0)):
        _print_row(out, fitted, place, "bold" if place == bold else "")
    left_out = [column.name for column in columns if column not in shown]
    if left_out:
        print_items(
            out, "not shown:", [*(f"{name}," for name in left_out[:-1]), left_out[-1], f"({more})"], style="dim"
        )
    return left_out


def fits(out: "Console", columns: Sequence[Column]) -> bool:
    """Whether a table of these columns fits the console with every cell in one line."""
    room = width_of(out)
    return room is None or sum(_natural(_clean(one)) + _GAP for one in columns) - _GAP <= room


def print_facts(out: "Console", facts: Sequence[tuple[str, object]]) -> None:
    """Prints a line for each name with its text; longer texts continue below, indented."""
    texts = [(_plain(name), visible(str(value)).split("\n")) for name, value in facts]
    first = max((cell_len(name) for name, _ in texts), default=0) + _GAP
    room = width_of(out)
    for name, paragraphs in texts:
        lines = paragraphs
        if room is not None:
            lines = [line for one in paragraphs for line in _lines(one, max(_LEAST_OF_A_TEXT, room - first)) or [""]]
        for place, line in enumerate(lines):
            out.print(Text(_padded("" if place else name, first) + line), soft_wrap=True)


def print_items(out: "Console", lead: str, items: Sequence[str], style: str = "") -> None:
    """Prints items one after the other; lines are broken only between items."""
    room = width_of(out)
    lines = [_plain(lead)]
    for item in map(_plain, items):
        if room is not None and cell_len(lines[-1]) + 1 + cell_len(item) > room:
            lines.append(item)
        else:
            lines[-1] += f" {item}"
    for line in lines:
        out.print(Text(line, style=style), soft_wrap=True)


def print_settings(out: "Console", lead: str, texts: Mapping[str, str]) -> None:
    """Prints names with their values, one after the other."""
    items = [f"{name} {text}" for name, text in texts.items()]
    print_items(out, lead, [*(f"{item}," for item in items[:-1]), *items[-1:]])


def parameter_columns(params: Mapping[str, Sequence[Any]], names: Sequence[str]) -> list[Column]:
    """Columns of parameters; the first in `names` are more important than the columns of a trial's cost."""
    return [
        Column(
            name,
            [NOTHING if value is None else setting(value) for value in params[name]],
            1 if place < _FIRST_PARAMETERS else 5,
            _is_text(params[name]),
        )
        for place, name in enumerate(names)
    ]


def _is_text(values: Sequence[Any]) -> bool:
    return any(isinstance(value, str | list | tuple | Mapping) for value in values)


def by_variation(values: Mapping[str, Sequence[Any]]) -> list[str]:
    """Names, those with the most distinct values first; a missing value does not count."""
    counts = {name: len({repr(one) for one in several if one is not None}) for name, several in values.items()}
    return sorted(counts, key=lambda name: -counts[name])


def style_of(state: str) -> str:
    """The colour of a state, or of the reason of a failure."""
    return STATES.get(state, "red")


def _chosen(columns: Sequence[Column], room: int) -> list[Column]:
    """The columns that fit, in their order; at least the most important one."""
    by_rank = sorted(range(len(columns)), key=lambda place: columns[place].rank)
    taken: set[int] = set()
    used = -_GAP
    for place in by_rank:
        wanted = _GAP + _least(columns[place])
        if not taken or used + wanted <= room:
            taken.add(place)
            used += wanted
    return [columns[place] for place in sorted(taken)]


def _fitted(columns: Sequence[Column], room: int | None) -> list[_Fitted]:
    """The columns with their widths: columns of texts share the room that is left."""
    spare = None if room is None else room - sum(map(_least, columns)) - _GAP * (len(columns) - 1)
    fitted = []
    for column in columns:
        width = _natural(column)
        if spare is not None:
            width = min(width, _least(column) + max(0, spare))
            spare -= width - _least(column)
        fitted.append(_Fitted(column, width, [_lines(cell, width) for cell in column.cells]))
    return fitted


def _print_row(out: "Console", fitted: Sequence[_Fitted], place: int, style: str) -> None:
    cells = [one.cells[place] for one in fitted]
    for number in range(max(map(len, cells), default=0)):
        line = Text(style=style)
        for one, lines in zip(fitted, cells, strict=True):
            cell = lines[number] if number < len(lines) else ""
            colour = style_of(one.column.cells[place]) if one.column.states else ""
            line.append("  " if line.plain or one is not fitted[0] else "")
            line.append(_justified(one, cell), style=colour)
        line.rstrip()
        out.print(line, soft_wrap=True)


def _natural(column: Column) -> int:
    return max(map(cell_len, (column.name, *column.cells)))


def _least(column: Column) -> int:
    """The width that a column needs."""
    if not column.text:
        return _natural(column)
    words = (cell_len(word) for cell in column.cells for word in cell.split())
    longest = min(_LEAST_OF_A_TEXT, max(words, default=0))
    return min(_natural(column), max(cell_len(column.name), longest, _LEAST_OF_A_TEXT))


def _lines(cell: str, width: int) -> list[str]:
    """A cell as lines of at most `width`: broken between words, and within those that are longer."""
    if cell_len(cell) <= width:
        return [cell]
    lines, line = [], ""
    for word in cell.split():
        if line and cell_len(line) + 1 + cell_len(word) <= width:
            line = f"{line} {word}"
            continue
        lines += [line] if line else []
        while cell_len(word) > width:
            head = _head(word, width)
            lines.append(head)
            word = word[len(head) :]
        line = word
    return [*lines, line] if line else lines


def _head(word: str, width: int) -> str:
    end = len(word)
    while end > 1 and cell_len(word[:end]) > width:
        end -= 1
    return word[:end]


def _justified(one: _Fitted, text: str) -> str:
    left = one.column.text or one.column.states
    return _padded(text, one.width) if left else " " * (one.width - cell_len(text)) + text


def _padded(text: str, width: int) -> str:
    return text + " " * (width - cell_len(text))


def _clean(column: Column) -> Column:
    cells = tuple(map(_plain, column.cells))
    return Column(_plain(column.name), cells, column.rank, column.text, column.states)


def _plain(text: str) -> str:
    """A text in one line with its control characters spelled out, so that its width is known."""
    return " ".join(visible(text).split("\n")).replace("\t", " ")
