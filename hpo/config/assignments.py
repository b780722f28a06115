"""`--set a.b=c`: assignments laid over an experiment's file."""

from collections.abc import Sequence
from copy import deepcopy
from typing import Any

from hpo.config.experiment import Experiment
from hpo.config.field_types import is_model, types_inside
from hpo.config.mistakes import show
from hpo.config.section import Shorthand
from hpo.config.yaml_file import Document, Key, dotted, read_value
from hpo.errors import FileMistakes, Mistake
from hpo.text.credentials import hidden


def examine_assignments(document: Document, assignments: Sequence[str]) -> tuple[Document, list[Mistake]]:
    """Applies `a.b=c` assignments to a document; the values are read as YAML.

    A short form (`sampler: tpe`) becomes the mapping (`{name: tpe}`) if a key within it is set. Three kinds of
    assignments are left out and returned as mistakes: those without `=`, those whose value is not YAML, and those that
    set a key within a value that is not a mapping.
    """
    data, places = deepcopy(document.data), dict(document.places)
    mistakes: list[Mistake] = []
    for assignment in assignments:
        option = f"--set {hidden(assignment)}"
        path, equals, text = assignment.partition("=")
        key: Key = tuple(part.strip() for part in path.split("."))
        if not equals or not all(key):
            mistakes.append(Mistake(option, "", "must have the form key.key=value"))
            continue
        try:
            value = read_value(option, text)
        except FileMistakes as error:
            mistakes += error.mistakes
            continue
        problem = _assign(data, key, value)
        if problem:
            mistakes.append(Mistake(option, path.strip(), problem))
            continue
        places = {old: place for old, place in places.items() if old[: len(key)] != key}
        for length in range(1, len(key)):
            places.setdefault(key[:length], option)
        places[key] = option
    return Document(document.name, data, places, document.above), mistakes


def _assign(target: dict[str, Any], key: Key, value: Any) -> str | None:
    """Sets a value inside nested mappings; returns a message if a value on the way is not a mapping."""
    inside: list[tuple[dict[str, Any], str, dict[str, Any]]] = []
    for depth, part in enumerate(map(str, key[:-1]), 1):
        child = target.get(part)
        if child is None:
            child = {}
        elif (section := _shorthand(key[:depth])) is not None and section.is_short(child):
            child = {section.short_key: child}
        elif not isinstance(child, dict):
            return f"{dotted(key[:depth])} is {show(child)}, not a mapping that could hold {key[depth]}"
        inside.append((target, part, child))
        target = child
    for around, part, child in inside:
        around[part] = child
    target[str(key[-1])] = value
    return None


def _shorthand(key: Key) -> type[Shorthand] | None:
    """The section at a key, if it has a short form."""
    kinds: list[Any] = [Experiment]
    for part in key:
        kinds = [
            one for kind in kinds if is_model(kind) and part in kind.model_fields for one in types_inside(kind, part)
        ]
    return next((kind for kind in kinds if is_model(kind) and issubclass(kind, Shorthand)), None)
