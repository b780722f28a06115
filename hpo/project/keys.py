"""All keys of both files as a tree, read from the JSON Schemas, with the options of schedules, samplers and pruners."""

import json
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field, replace
from functools import cache, cached_property
from pathlib import Path
from typing import Any

from hpo.config.docstrings import KeyText, parse_docstring
from hpo.errors import NotFound, nearest

_FILE = Path(__file__).parent / "schemas" / "experiment.schema.json"
_MODELS = ("mlp", "cnn", "rnn", "conv1d", "text", "application")
# Names with options of their own.
_CHOICES = ("study.schedule", "study.sampler", "study.pruner")
ANY = "NAME"
"""The placeholder in a path for a name that the user chooses."""
# For examples: names that a user might choose, and further keys without which an example would make no sense.
_NAMES = {"extra_tests": "shifted", "when": "depth"}
_PARAMETERS = {"int": "width", "float": "dropout", "categorical": "activation", "boolean": "constant_input"}
_BESIDE = {
    "dataset.target": {"path": "houses.csv"},
    "dataset.text": {"path": "reviews.csv", "target": "stars"},
    "dataset.series": {"path": "weather.csv", "target": "temperature"},
    "dataset.steps_per_epoch": {"function": "mydata:batches"},
    "training.metrics.threshold": {"name": "f1_score"},
}
# A step into a list.
_ITEM = "[]"

_Schema = Mapping[str, Any]
_Step = tuple[str, Mapping[str, Any]]


@dataclass(frozen=True)
class Key:
    """A key; or a value of a key (the name of a sampler, a pruner or a model) that has keys of its own."""

    path: str
    """Its dotted path: `training.schedule.name`."""
    text: KeyText
    schema: _Schema
    """The JSON Schema of its value."""
    steps: tuple[_Step, ...] = ()
    """Its place in a file: the keys that lead to it, each with the keys that an example must have beside it."""
    beside: Mapping[str, Any] = field(default_factory=dict)
    """What an example must have beside any of the keys within this one."""

    @cached_property
    def keys(self) -> Mapping[str, "Key"]:
        """The keys within it, by name."""
        return {key.path.rpartition(".")[2]: key for key in _within(self)}

    @property
    def is_choice(self) -> bool:
        """Whether it is a value of the key above it, as `study.sampler.tpe` is."""
        return "default" not in self.schema and "examples" not in self.schema

    @property
    def example(self) -> Mapping[str, Any] | None:
        """A piece of a file that sets the key; None if there is no example."""
        if not self.schema.get("examples"):
            return None
        value = self.schema["examples"][0]
        if isinstance(value, Mapping) and self.path.partition(".")[0] in _MODELS:
            value = {"type": "constant", "value": value}
        for name, siblings in reversed(self.steps):
            value = [value] if name == _ITEM else {**siblings, name: value}
        return dict(value)


@cache
def root() -> Key:
    """The keys of the experiment file and of the search space file, and the parameters of hpo's models."""
    schema = json.loads(_FILE.read_text(encoding="utf-8"))
    space = schema["$defs"]["SearchSpace"]["properties"]
    models = {name: schema["$defs"][name] for name in _MODELS}
    return Key("", KeyText(""), {"properties": {**schema["properties"], **space, **models}})


def sections() -> Mapping[str, tuple[Key, ...]]:
    """The keys at the top level, by the file that they belong to."""
    keys = root().keys
    space = ("model", "parameters")
    return {
        "experiment file": tuple(key for name, key in keys.items() if name not in (*space, *_MODELS)),
        "search space file": tuple(keys[name] for name in space),
        "parameters of hpo's models": tuple(keys[name] for name in _MODELS),
    }


def find(path: str) -> Key:
    """The key of a path; the end of a path is enough if only one key ends with it.

    Raises:
        NotFound: there is no such key, or there are several.
    """
    if (key := _at(path)) is not None:
        return key
    ending = [key for key in walk() if key.path.endswith(f".{path}")]
    if len(ending) == 1:
        return ending[0]
    if ending:
        raise NotFound(f"{path}: several keys end with this: {', '.join(key.path for key in ending)}")
    raise NotFound(f"{path}: unknown key; {_hint(path)}")


def walk(key: Key | None = None, options: bool = False) -> Iterator[Key]:
    """All keys below a key, or all keys. With `options` also those of samplers, pruners and schedules, which imports
    Optuna.

    The search space may be within the experiment file, too; its keys are yielded once.
    """
    for inner in (key or root()).keys.values():
        yield inner
        if inner.path != "search_space" and (options or not _has_options(inner.path)):
            yield from walk(inner, options)


def complete(begun: str) -> list[str]:
    """The paths that begin with a text, one level at a time."""
    above, _, _ = begun.rpartition(".")
    key = _at(above) if above else root()
    return [] if key is None else [inner.path for inner in key.keys.values() if inner.path.startswith(begun)]


def _at(path: str) -> Key | None:
    key = root()
    for part in path.split("."):
        inner = key.keys.get(part) or key.keys.get(ANY)
        if inner is None and key.path in _MODELS:
            # width_2 is the width of one layer.
            inner = key.keys.get(re.sub(r"_[1-9][0-9]*$", "", part))
        if inner is None:
            return None
        key = inner
    return key


def _hint(path: str) -> str:
    above, _, last = path.rpartition(".")
    if above and (key := _at(above)) is not None and key.keys:
        return nearest(path, [inner.path for inner in key.keys.values()])
    everywhere = [key.path for key in walk()]
    hint = nearest(path, everywhere)
    if not hint.startswith("did you mean"):
        names = {name.rpartition(".")[2]: name for name in reversed(everywhere)}
        close = nearest(last, names)
        hint = f"did you mean {names[close[13:-1]]}?" if close.startswith("did you mean") else ""
    return hint or "hpo explain lists the sections"


def _within(key: Key) -> Iterator[Key]:
    if _has_options(key.path):
        yield from _options_of(key)
        return
    names: set[str] = set()
    for form in _forms(key.schema):
        for name, schema in form.get("properties", {}).items():
            if name not in names:
                names.add(name)
                yield _inner(key, name, schema, form)
        yield from _of_any_name(key, form)
        for item in _forms(form["items"]) if isinstance(form.get("items"), Mapping) else ():
            steps = (*key.steps, (_ITEM, {}))
            yield from (
                _inner(replace(key, steps=steps), name, schema, item)
                for name, schema in item.get("properties", {}).items()
            )
    if key.path in _CHOICES:
        form = _name_schema(key)
        for name, meaning in zip(form["enum"], form["enumDescriptions"], strict=True):
            yield Key(f"{key.path}.{name}", KeyText(_sentence(meaning)), {}, key.steps, {"name": name})


def _name_schema(key: Key) -> _Schema:
    return next(form["properties"]["name"] for form in _forms(key.schema) if "properties" in form)


def _inner(key: Key, name: str, schema: _Schema, form: _Schema) -> Key:
    whole = {**resolved(schema), **schema}
    path = f"{key.path}.{name}".lstrip(".")
    if not key.path and name in _MODELS:
        return Key(path, parse_docstring(schema["description"]), schema, (("parameters", {"model": name}),))
    above = () if key.path == "search_space" else key.steps
    steps = (*above, (name, _needed(key, path, form) if key.path else {}))
    text = parse_docstring(whole.get("description", ""))
    return Key(path, KeyText(text.meaning, _meanings(whole), text.unit, text.default), whole, steps)


def _needed(key: Key, path: str, form: _Schema) -> dict[str, Any]:
    """What an example of a key must have beside it: examples of the keys that are required."""
    name = path.rpartition(".")[2]
    needed = [one for one in form.get("required", ()) if one != name]
    alternatives = [one["required"][0] for one in form.get("anyOf", ())]
    if path not in _BESIDE and alternatives and name not in alternatives:
        needed.append(alternatives[0])
    found = {one: form["properties"][one]["examples"][0] for one in needed}
    return {**found, **_BESIDE.get(path, {}), **key.beside}


def _of_any_name(key: Key, form: _Schema) -> Iterator[Key]:
    """The keys below names that the user chooses: an extra test, a condition, a parameter by its type."""
    for schema in (form.get("additionalProperties"), *form.get("patternProperties", {}).values()):
        inner = list(_forms(schema)) if isinstance(schema, Mapping) else []
        mappings = [one for one in inner if "properties" in one]
        last = key.path.rpartition(".")[2]
        if len(mappings) == 1:
            name = _NAMES.get(last, ANY)
            text = parse_docstring(mappings[0].get("description", ""))
            yield Key(f"{key.path}.{ANY}", text, mappings[0], (*key.steps, (name, key.beside)))
            continue
        for one in mappings:
            (kind,) = one["properties"]["type"]["enum"]
            steps = (*key.steps, (_PARAMETERS.get(kind, "depth"), {}))
            yield Key(f"{key.path}.{kind}", parse_docstring(one["description"]), one, steps)


def _has_options(path: str) -> bool:
    above, _, name = path.rpartition(".")
    return above in _CHOICES and name != "name"


def _options_of(key: Key) -> Iterator[Key]:
    from hpo.project.named_options import options

    _, kind, name = key.path.split(".")
    for option in options(kind, name):
        steps = (*key.steps, (option.name, key.beside))
        yield Key(f"{key.path}.{option.name}", option.text, option.schema, steps)


def resolved(schema: _Schema) -> dict[str, Any]:
    """A schema, or the one that it refers to."""
    if "$ref" not in schema:
        return dict(schema)
    return dict(_definitions()[schema["$ref"].rpartition("/")[2]])


@cache
def _definitions() -> _Schema:
    definitions: _Schema = json.loads(_FILE.read_text(encoding="utf-8"))["$defs"]
    return definitions


def _forms(schema: _Schema) -> Iterator[_Schema]:
    """The forms that a value may have; each form has no alternatives of its own."""
    schema = resolved(schema)
    inner = [*schema.get("anyOf", ()), *schema.get("oneOf", ())]
    if not inner or "properties" in schema:
        yield schema
    else:
        for form in inner:
            yield from _forms(form)


def _meanings(schema: _Schema) -> dict[str, str]:
    """Value -> meaning, for the values of a key that have names."""
    return {
        value: meaning
        for form in (schema, *schema.get("anyOf", ()))
        for value, meaning in zip(form.get("enum", ()), form.get("enumDescriptions", ()), strict=False)
    }


def _sentence(text: str) -> str:
    return f"{text[:1].upper()}{text[1:]}."
