"""The output of `hpo explain`."""

import textwrap
from collections.abc import Iterator, Mapping
from typing import Any

from hpo.project.keys import Key, resolved, sections

_BOUNDS = (
    ("minimum", "of at least {}"), ("exclusiveMinimum", "above {}"),
    ("maximum", "at most {}"), ("exclusiveMaximum", "below {}"),
)  # fmt: skip
# Keys that come first in a mapping, as people write them; JSON Schemas keep examples in alphabetical order.
_FIRST = ("name", "path", "metric", "type", "low", "high")
# A larger bound is a limit of the computer, and is not shown.
_LARGEST = 2**50
_WIDEST = 100
_NAMES = {
    "integer": "whole number", "number": "number", "string": "text", "boolean": "true or false", "object": "mapping",
    "null": "nothing",
}  # fmt: skip


def overview(width: int) -> Iterator[str]:
    """The lines of the overview: one for each section."""
    width = min(width, _WIDEST)
    for title, keys in sections().items():
        yield f"{title}:"
        yield from _lines(keys, width)
        yield ""
    yield "hpo explain KEY says more about a key: hpo explain training, hpo explain training.schedule"


def explanation(key: Key, width: int) -> Iterator[str]:
    """The lines that explain a key."""
    width = min(width, _WIDEST)
    yield key.path
    if key.text.meaning:
        yield from textwrap.wrap(key.text.meaning, width, initial_indent="  ", subsequent_indent="  ")
    yield ""
    for name, text in facts(key).items():
        yield from _fact(name, text, width)
    if key.text.values and not set(key.text.values) <= set(key.keys):
        yield "  values:"
        longest = max(map(len, key.text.values))
        for value, meaning in key.text.values.items():
            indent = " " * (longest + 6)
            yield from textwrap.wrap(
                meaning, width, initial_indent=f"    {value:<{longest}}  ", subsequent_indent=indent
            )
    if key.keys:
        yield "  keys:"
        yield from _lines(tuple(key.keys.values()), width, "    ")


def facts(key: Key) -> dict[str, str]:
    """Name -> fact of a key, in order: its type, unit, default, and an example."""
    found: dict[str, str] = {}
    if kind := type_of(key.schema):
        found["type"] = kind
    if key.text.unit:
        found["unit"] = key.text.unit
    if (default := default_of(key)) is not None:
        found["default"] = default
    if key.example is not None:
        found["example"] = "\n".join(f"{name}: {flow(value)}" for name, value in key.example.items())
    return found


def default_of(key: Key) -> str | None:
    """The default as text, or `required`; None where neither applies."""
    if key.text.default:
        return key.text.default
    if "default" in key.schema:
        return "none" if key.schema["default"] is None else flow(_short(key.schema["default"]))
    return "required" if "examples" in key.schema else None


def type_of(schema: Mapping[str, Any]) -> str:
    """The values that a JSON Schema allows, in words; an empty text where every value is allowed."""
    *others, last = [kind for kind in dict.fromkeys(_kinds(schema)) if kind != "nothing"] or [""]
    return f"{', '.join(others)} or {last}" if others else last


def flow(value: Any) -> str:
    """A value as YAML in one line."""
    if isinstance(value, Mapping):
        first = sorted(value, key=lambda name: _FIRST.index(name) if name in _FIRST else len(_FIRST))
        return "{" + ", ".join(f"{name}: {flow(value[name])}" for name in first) + "}"
    if isinstance(value, list | tuple):
        return "[" + ", ".join(map(flow, value)) + "]"
    if isinstance(value, bool):
        return str(value).lower()
    if value is None:
        return "null"
    if isinstance(value, str):
        return f'"{value}"' if ":" in value or not value else value
    return str(value)


def as_json(key: Key) -> dict[str, Any]:
    """The explanation of a key for programs."""
    return {
        "key": key.path, "meaning": key.text.meaning, "values": dict(key.text.values), **facts(key),
        "keys": [inner.path for inner in key.keys.values()],
    }  # fmt: skip


def _kinds(schema: Mapping[str, Any]) -> Iterator[str]:
    schema = resolved(schema)
    if "type" in schema:
        yield from _plain_kind(schema)
    elif "enum" in schema:
        yield from (str(value) for value in schema["enum"])
    for form in (*schema.get("anyOf", ()), *schema.get("oneOf", ())):
        if "type" not in schema:
            yield from _kinds(form)


def _plain_kind(schema: Mapping[str, Any]) -> Iterator[str]:
    kind = schema["type"]
    if "enum" in schema:
        yield from map(str, schema["enum"])
    elif kind == "array":
        items = type_of(schema.get("items", {}))
        yield f"list of {items}" if items else "list"
    else:
        bounds = " and ".join(
            text.format(schema[name]) for name, text in _BOUNDS if abs(schema.get(name, _LARGEST)) < _LARGEST
        )
        yield f"{_NAMES[kind]} {bounds}".strip()


def _short(default: Any) -> Any:
    """A default without the keys that are null."""
    if not isinstance(default, Mapping):
        return default
    return {name: _short(value) for name, value in default.items() if value is not None}


def _fact(name: str, text: str, width: int) -> Iterator[str]:
    lead = f"  {name}:"
    for line in text.splitlines():
        if name == "example":
            # Not wrapped, so that it can be copied.
            yield f"{lead:<12}{line}"
        else:
            yield from textwrap.wrap(line, width, initial_indent=f"{lead:<12}", subsequent_indent=" " * 12)
        lead = ""


def _lines(keys: tuple[Key, ...], width: int, indent: str = "  ") -> Iterator[str]:
    keys = tuple(sorted(keys, key=lambda key: default_of(key) != "required"))
    names = [key.path.rpartition(".")[2] for key in keys]
    longest = max(map(len, names), default=0)
    for key, name in zip(keys, names, strict=True):
        sentence = key.text.meaning.partition(". ")[0].removesuffix(".")
        default = default_of(key)
        behind = f" [{default}]" if default and len(default) <= 24 and not key.keys else ""
        room = max(width - longest - len(indent) - 2 - len(behind), 20)
        text = textwrap.shorten(sentence, room, placeholder=" ...")
        yield f"{indent}{name:<{longest}}  {text}{behind}".rstrip()
