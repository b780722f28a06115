"""YAML files with the line of every key, and pydantic's complaints as mistakes in them."""

import io
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from pydantic import BaseModel, ValidationError
from ruamel.yaml import YAML
from ruamel.yaml.comments import CommentedMap, CommentedSeq
from ruamel.yaml.error import MarkedYAMLError, YAMLError

from hpo.errors import FileMistakes, Mistake, NotFound, nearest

Key = tuple[str | int, ...]


@dataclass(frozen=True)
class Document:
    """A YAML file as plain Python values, with the place each key was set.

    `places` maps a key path to `file:line`, or to the `--set` option that overrode it.
    """

    name: str
    data: Any
    places: Mapping[Key, str] = field(default_factory=dict)

    def where(self, key: Key) -> str:
        """The place of a key, or of the nearest mapping around it that has one."""
        for length in range(len(key), -1, -1):
            if key[:length] in self.places:
                return self.places[key[:length]]
        return self.name

    def mistake(self, key: Key, message: str) -> Mistake:
        """A mistake at a key of this document."""
        return Mistake(self.where(key), dotted(key), message)

    def below(self, *key: str | int) -> "Document":
        """The part of the document under a key, as a document of its own."""
        data = self.data
        for part in key:
            data = data[part]
        inside = {path[len(key) :]: place for path, place in self.places.items() if path[: len(key)] == key}
        return Document(self.name, data, inside)


def dotted(key: Key) -> str:
    """`("study", "enqueue", 0, "depth")` -> `study.enqueue[0].depth`."""
    text = ""
    for part in key:
        text += f"[{part}]" if isinstance(part, int) else f".{part}" if text else part
    return text


def read_yaml(path: Path) -> Document:
    """Reads a YAML 1.2 file safely.

    Raises:
        NotFound: there is no such file.
        FileMistakes: the file is not YAML, or has a key twice; with the line.
    """
    try:
        text = path.read_text(encoding="utf-8")
    except FileNotFoundError:
        raise NotFound(f"{path}: no such file") from None
    except (OSError, UnicodeDecodeError) as error:
        raise FileMistakes([Mistake(str(path), "", f"cannot be read: {error}")]) from None
    data = _parse(text, str(path))
    if data is None:
        raise FileMistakes([Mistake(str(path), "", "the file is empty")])
    if not isinstance(data, CommentedMap):
        raise FileMistakes([Mistake(f"{path}:1", "", "must be a mapping of keys to values")])
    return Document(str(path), _plain(data), dict(_places(data, str(path))))


def override(document: Document, assignments: Sequence[str]) -> Document:
    """Applies `a.b=c` assignments over a document; the values are read as YAML.

    Raises:
        FileMistakes: an assignment without `=`, or through a value that is not a mapping.
    """
    data, places = _copy(document.data), dict(document.places)
    mistakes = []
    for assignment in assignments:
        option = f"--set {assignment}"
        path, equals, text = assignment.partition("=")
        parts = path.strip().split(".")
        if not equals or not all(parts):
            mistakes.append(Mistake(option, "", "must have the form key.key=value"))
            continue
        target = data
        for depth, part in enumerate(parts[:-1], 1):
            child = target.get(part)
            if child is None:
                child = {}
            elif isinstance(child, str) and parts[0] in _SHORTHAND and depth == len(parts) - 1:
                # `dataset: digits` or `sampler: tpe` given as a name: the longer form of the same thing.
                child = {_SHORTHAND[parts[0]]: child}
            elif not isinstance(child, dict):
                mistakes.append(Mistake(option, ".".join(parts[:depth]), f"is not a mapping: {child!r}"))
                break
            target[part] = child
            target = child
        else:
            target[parts[-1]] = _plain(_parse(text, option))
            key = tuple(parts)
            places = {old: place for old, place in places.items() if old[: len(key)] != key}
            places[key] = option
    if mistakes:
        raise FileMistakes(mistakes)
    return Document(document.name, data, places)


# The sections that may be written as a name alone, and the key that the name then stands for.
_SHORTHAND = {"dataset": "name", "study": "name", "engine": "name", "objective": "metric", "tracking": "uri"}


def mistakes_of(error: ValidationError, document: Document, model: type[BaseModel]) -> list[Mistake]:
    """Turns all complaints of pydantic into mistakes, with the nearest valid name for unknown keys."""
    return [_mistake(complaint, document, model) for complaint in error.errors(include_url=False)]


def _mistake(complaint: Any, document: Document, model: type[BaseModel]) -> Mistake:
    key = _locate(document.data, complaint["loc"])
    if complaint["type"] == "extra_forbidden":
        siblings = _fields_at(model, complaint["loc"][:-1])
        return document.mistake(key, f"unknown key; {_suggest(str(key[-1]), siblings, model)}")
    if complaint["type"] == "missing":
        return document.mistake(key, "is required")
    message = complaint["msg"].removeprefix("Value error, ").removeprefix("Assertion failed, ")
    message = message.replace("Input should be", "must be")
    if complaint["type"] in ("union_tag_invalid", "union_tag_not_found"):
        tags = [tag.strip(" '") for tag in complaint["ctx"].get("expected_tags", "").split(",")]
        value = complaint["input"].get("type") if isinstance(complaint["input"], Mapping) else None
        if value is None:
            return document.mistake(key, f"needs a type; valid: {', '.join(filter(None, tags))}")
        return document.mistake((*key, "type"), f"unknown type {value!r}; {nearest(value, tags)}")
    if complaint["type"] == "literal_error":
        choices = [choice.strip(" '") for choice in complaint["ctx"]["expected"].replace(" or ", ", ").split(",")]
        return document.mistake(key, f"{message}, got {complaint['input']!r}; {nearest(complaint['input'], choices)}")
    if complaint["type"] != "value_error":
        message += f", got {complaint['input']!r}"
    return document.mistake(key, message)


def _suggest(name: str, siblings: Sequence[str], model: type[BaseModel]) -> str:
    for section, info in model.model_fields.items():
        kind = _model_in(info.annotation)
        if kind is not None and name in kind.model_fields and name not in siblings:
            return f"did you mean {section}.{name}?"
    return nearest(name, siblings)


def _fields_at(model: type[BaseModel], loc: Sequence[str | int]) -> list[str]:
    kind: type[BaseModel] | None = model
    for part in loc:
        info = kind.model_fields.get(str(part)) if kind is not None else None
        if info is None:
            tagged = _tagged(model).get(str(part))
            kind = tagged if tagged is not None else kind
        else:
            kind = _model_in(info.annotation)
    return list(kind.model_fields) if kind is not None else []


def _tagged(model: type[BaseModel]) -> dict[str, type[BaseModel]]:
    """The members of the model's discriminated unions, by tag."""
    members = [kind for info in model.model_fields.values() for kind in _models_in(info.annotation)]
    return {
        str(kind.model_fields["type"].default): kind for kind in members if "type" in kind.model_fields
    }


def _model_in(annotation: Any) -> type[BaseModel] | None:
    return next(_models_in(annotation), None)


def _models_in(annotation: Any) -> Iterator[type[BaseModel]]:
    if isinstance(annotation, type) and issubclass(annotation, BaseModel):
        yield annotation
    for argument in getattr(annotation, "__args__", ()):
        yield from _models_in(argument)


def _locate(data: Any, loc: Sequence[str | int]) -> Key:
    """The key path of a complaint: pydantic's own, less the tags of unions that the file does not have."""
    key: list[str | int] = []
    for position, part in enumerate(loc):
        inside = isinstance(data, Mapping) and part in data
        inside = inside or (isinstance(data, Sequence) and isinstance(part, int) and part < len(data))
        if inside:
            data = data[part]
        elif position < len(loc) - 1 or not isinstance(data, Mapping):
            continue
        key.append(part)
    return tuple(key)


def _parse(text: str, name: str) -> Any:
    try:
        return YAML(typ="rt").load(io.StringIO(text))
    except MarkedYAMLError as error:
        mark = error.problem_mark or error.context_mark
        where = f"{name}:{mark.line + 1}" if mark else name
        problem = (error.problem or error.context or "not YAML").splitlines()[0]
        raise FileMistakes([Mistake(where, "", problem)]) from None
    except YAMLError as error:
        raise FileMistakes([Mistake(name, "", str(error).splitlines()[0])]) from None


def _plain(value: Any) -> Any:
    """ruamel's values, which remember comments and layout, as the plain types that they stand for."""
    if isinstance(value, Mapping):
        return {str(key): _plain(item) for key, item in value.items()}
    if isinstance(value, list):
        return [_plain(item) for item in value]
    for kind in (bool, int, float, str):
        if isinstance(value, kind):
            return kind(value)
    return value


def _places(value: Any, name: str, key: Key = ()) -> Iterator[tuple[Key, str]]:
    if isinstance(value, CommentedMap):
        for child, item in value.items():
            line = value.lc.key(child)[0] + 1 if value.lc.data and child in value.lc.data else None
            if line is not None:
                yield (*key, str(child)), f"{name}:{line}"
            yield from _places(item, name, (*key, str(child)))
    elif isinstance(value, CommentedSeq):
        for index, item in enumerate(value):
            if value.lc.data and index in value.lc.data:
                yield (*key, index), f"{name}:{value.lc.item(index)[0] + 1}"
            yield from _places(item, name, (*key, index))


def _copy(value: Any) -> Any:
    if isinstance(value, dict):
        return {key: _copy(item) for key, item in value.items()}
    return [_copy(item) for item in value] if isinstance(value, list) else value
