"""Turns pydantic's errors about a document into mistakes with the place, the rule and the nearest valid name."""

from collections.abc import Mapping, Sequence
from difflib import get_close_matches
from typing import Any

from pydantic import BaseModel, ValidationError

from hpo.config.field_types import is_model, tags, types_inside, union_members
from hpo.config.yaml_file import Document, Key
from hpo.errors import Mistake, nearest
from hpo.text.values import is_number

_RULES = {
    "missing": "is required",
    "string_type": "must be text",
    "int_type": "must be a whole number",
    "int_from_float": "must be a whole number",
    "float_type": "must be a number",
    "finite_number": "must be a finite number",
    "bool_type": "must be true or false",
    "dict_type": "must be a mapping",
    "model_type": "must be a mapping",
    "list_type": "must be a list",
    "tuple_type": "must be a list",
    "too_short": "must have at least {min_length} item(s)",
    "too_long": "must have at most {max_length} item(s)",
    "string_too_long": "must be at most {max_length} characters long",
    "string_pattern_mismatch": "must match {pattern}",
    "greater_than": "must be above {gt}",
    "greater_than_equal": "must be at least {ge}",
    "less_than": "must be below {lt}",
    "less_than_equal": "must be at most {le}",
    "literal_error": "must be {expected}",
}


def by_key(error: ValidationError, data: Any, model: type[BaseModel]) -> dict[Key, list[Any]]:
    """Key path -> pydantic's errors about the value there."""
    found: dict[Key, list[Any]] = {}
    for complaint in error.errors(include_url=False):
        key, _ = _walk(complaint, data, model)
        found.setdefault(key, []).append(complaint)
    return found


def explain(complaints: Sequence[Any]) -> str:
    """What is wrong with one value, from pydantic's errors for all types that the value may have."""
    rules = dict.fromkeys(map(_rule, complaints))
    if len(rules) == 1 and complaints[0]["type"] in ("missing", "value_error"):
        return next(iter(rules))
    value = complaints[0]["input"]
    text = " or ".join(rules).replace(" or must be ", " or ") + f", got {show(value)}"
    choices = [str(choice) for complaint in complaints for choice in _choices(complaint)]
    if near := get_close_matches(str(value), choices, n=1):
        return f"{text}; did you mean {near[0]}?"
    wanted = {complaint["type"] for complaint in complaints}
    if isinstance(value, str) and wanted & {"int_type", "float_type"} and is_number(value):
        return f"{text}; write it without quotes"
    return text


def show(value: object) -> str:
    """A value as messages quote it: true, false and nothing as in YAML, everything else shortened to 80 characters."""
    if value is None or isinstance(value, bool):
        return {None: "nothing", True: "true", False: "false"}[value]
    text = repr(value)
    return text if len(text) <= 80 else f"{text[:80]}..."


def mistake_at(key: Key, complaints: Sequence[Any], document: Document, model: type[BaseModel]) -> Mistake:
    """One mistake from all of pydantic's errors about a key."""
    complaint = complaints[0]
    _, kinds = _walk(complaint, document.data, model)
    if complaint["type"] == "extra_forbidden":
        _, kinds = _walk({**complaint, "loc": complaint["loc"][:-1]}, document.data, model)
        siblings = [name for kind in kinds if is_model(kind) for name in kind.model_fields]
        return document.mistake(key, f"unknown key; {_suggest(str(key[-1]), siblings, model)}")
    if complaint["type"] in ("union_tag_invalid", "union_tag_not_found"):
        valid = [tag for kind in kinds for tag in tags(kind)]
        value = complaint["input"].get("type")
        if value is None:
            return document.mistake(key, f"needs a type; valid: {', '.join(valid)}")
        return document.mistake((*key, "type"), f"unknown type {show(value)}; {nearest(value, valid)}")
    return document.mistake(key, explain(complaints))


def _rule(complaint: Any) -> str:
    message = _RULES.get(complaint["type"])
    if message is None:
        return str(complaint["msg"]).removeprefix("Value error, ")
    # Pydantic gives the bounds of numbers as floats: 0.0, 1.0.
    bounds = {
        key: f"{bound:g}" if isinstance(bound, float) else bound for key, bound in complaint.get("ctx", {}).items()
    }
    return message.format(**bounds)


def _choices(complaint: Any) -> list[str]:
    expected = complaint["ctx"]["expected"] if complaint["type"] == "literal_error" else ""
    return list(expected.split("'")[1::2])


def _suggest(name: str, siblings: Sequence[str], model: type[BaseModel]) -> str:
    for section, info in model.model_fields.items():
        for kind in union_members(info.annotation):
            if is_model(kind) and name in kind.model_fields and name not in siblings:
                return f"did you mean {section}.{name}?"
    return nearest(name, siblings)


def _walk(complaint: Any, data: Any, model: type[BaseModel]) -> tuple[Key, list[Any]]:
    """The key path of one of pydantic's errors, and the types that the value there may have.

    Pydantic's own path also contains the union member that it tried, and the key that a short form leaves out; those
    are not in the file.
    """
    key: list[str | int] = []
    kinds: list[Any] = [model]
    for position, part in enumerate(complaint["loc"], 1):
        tagged = [kind for kind in kinds if part in tags(kind)] if len(kinds) > 1 else []
        if tagged:
            kinds = tagged
            continue
        kinds = [inner for kind in kinds for inner in types_inside(kind, part)]
        present = isinstance(data, Mapping) and part in data
        if present or (isinstance(data, list) and isinstance(part, int) and part < len(data)):
            data = data[part]
            key.append(part)
        elif complaint["type"] == "missing" and position == len(complaint["loc"]):
            key.append(part)
    return tuple(key), kinds
