"""Python source laid out as `ruff format` and `black` lay it out: what does not fit a line goes an item a line."""

import sys
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

WIDTH = 88


def statement(head: str, items: Sequence[str], tail: str, indent: int = 4) -> str:
    """`head`, items and `tail` on a line, or an item a line: `f(` + `a, b` + `)`.

    Once exploded, the comma after the last item keeps formatters of any width from joining the lines.
    """
    pad = " " * indent
    line = f"{pad}{head}{', '.join(items)}{tail}"
    if len(line) <= WIDTH and "\n" not in line:
        return line
    return "\n".join([f"{pad}{head}", *(f"{pad}    {item}," for item in items), f"{pad}{tail}"])


def literal(value: Any, head: str = "", indent: int = 0, tail: str = "") -> str:
    """A plain value as source, after `head` and before `tail`; mappings and lists go an item a line where too long."""
    line = f"{' ' * indent}{head}{_flat(value)}{tail}"
    if len(line) <= WIDTH or not isinstance(value, Mapping | list | tuple) or not value:
        return line
    opening, closing = "{}" if isinstance(value, Mapping) else "[]" if isinstance(value, list) else "()"
    if isinstance(value, Mapping):
        items = [literal(one, f"{_flat(key)}: ", indent + 4, ",") for key, one in value.items()]
    else:
        items = [literal(one, "", indent + 4, ",") for one in value]
    pad = " " * indent
    return "\n".join([f"{pad}{head}{opening}", *items, f"{pad}{closing}{tail}"])


def _flat(value: Any) -> str:
    if isinstance(value, str):
        return f'"{value}"' if repr(value) == f"'{value}'" else repr(value)
    if isinstance(value, Mapping):
        return "{" + ", ".join(f"{_flat(key)}: {_flat(one)}" for key, one in value.items()) + "}"
    if isinstance(value, list):
        return "[" + ", ".join(_flat(one) for one in value) + "]"
    if isinstance(value, tuple):
        return "(" + ", ".join(_flat(one) for one in value) + ("," if len(value) == 1 else "") + ")"
    return repr(value)


def arguments(values: Mapping[str, Any]) -> list[str]:
    """Keyword arguments of a call."""
    return [f"{name}={_flat(value)}" for name, value in values.items()]


def imports(lines: Iterable[str]) -> str:
    """Import statements, one name each, sorted and joined as isort does it: the standard library's first."""
    names: dict[str, list[str]] = {}
    for line in set(lines):
        start, _, name = line.partition(" import ")
        names.setdefault(start, []).extend([name] if name else [])
    joined = [
        f"{start} import {', '.join(sorted(found, key=_kind))}" if found else start for start, found in names.items()
    ]

    def order(line: str) -> tuple[bool, str]:
        return line.startswith("from"), line.split()[1].lower()

    standard = [line for line in joined if line.split()[1].partition(".")[0] in sys.stdlib_module_names]
    others = [line for line in joined if line not in standard]
    return "\n\n".join("\n".join(sorted(group, key=order)) for group in (standard, others) if group)


def _kind(name: str) -> tuple[int, str]:
    """Constants first, then classes, then the rest."""
    return 0 if name.isupper() and len(name) > 1 else 1 if name[0].isupper() else 2, name
