"""Parses the docstring of a key: its meaning, followed by its values, unit, default and example.

    epochs: int = 20
    '''The most epochs that a trial trains. Unit: epochs. Example: 50'''

Each of the four may be left out; their order is fixed. `Values` has the form `name: meaning; name: meaning`. `Default`
is for defaults that are computed; one in the code needs no words. `Example` is YAML.
"""

import json
import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

_MARKS = re.compile(r"\s(Values|Unit|Default|Example): ")


@dataclass(frozen=True)
class KeyText:
    """The docstring of a key, in its parts."""

    meaning: str
    values: Mapping[str, str] = field(default_factory=dict)
    """Value -> what it means."""
    unit: str | None = None
    default: str | None = None
    example: str | None = None

    @property
    def without_example(self) -> str:
        """The text that an editor shows; it gets the values and the example from elsewhere in the schema."""
        marked = [("Unit", self.unit), ("Default", self.default)]
        return " ".join([self.meaning, *(f"{mark}: {text}." for mark, text in marked if text)])


def parse_docstring(docstring: str) -> KeyText:
    """Parses the docstring of a key."""
    meaning, *marked = _MARKS.split(" ".join(docstring.split()))
    parts = dict(zip(marked[::2], marked[1::2], strict=True))
    pairs = [one.partition(": ") for one in parts.get("Values", "").removesuffix(".").split("; ") if one]
    return KeyText(
        meaning,
        {name: text for name, _, text in pairs},
        parts["Unit"].removesuffix(".") if "Unit" in parts else None,
        parts["Default"].removesuffix(".") if "Default" in parts else None,
        parts.get("Example"),
    )


def fill_schema(schema: dict[str, Any]) -> None:
    """Moves the example and the meanings of values from a JSON Schema's description to where editors look for them."""
    text = parse_docstring(schema["description"])
    schema["description"] = text.without_example
    if text.example is not None:
        from ruamel.yaml import YAML

        # Keys of JSON are text.
        schema["examples"] = [json.loads(json.dumps(YAML(typ="safe", pure=True).load(text.example)))]
    if text.values:
        _describe(schema, text.values)


def _describe(schema: dict[str, Any], values: Mapping[str, str]) -> None:
    forms = [form for form in (schema, *schema.get("anyOf", ())) if form.get("type") == "string" or "const" in form]
    for form in forms:
        form["enum"] = [form.pop("const")] if "const" in form else form.get("enum", list(values))
        form["enumDescriptions"] = [values[value] for value in form["enum"]]
