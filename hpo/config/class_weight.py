"""Class weights as users write them: by the names of the classes, or by their numbers."""

from collections.abc import Mapping, Sequence
from typing import Annotated, Literal

from pydantic import BeforeValidator, PositiveFloat

from hpo.errors import nearest


def _named(value: object) -> object:
    """The mapping with its keys as text, as YAML and JSON have them; from Python, class numbers come as numbers."""
    if isinstance(value, Mapping) and all(isinstance(key, str | int | float) for key in value):
        return {key if isinstance(key, str) else str(key): weight for key, weight in value.items()}
    return value


Weights = Annotated[dict[str, PositiveFloat], BeforeValidator(_named)]
ClassWeight = Literal["balanced"] | Mapping[str, float] | None


def class_number(key: str, labels: Sequence[str]) -> int | None:
    """The number of the class that a key names, counted from 0; None if there is no such class.

    A key is what a class is called. 1 also names a class that is called 1.0, and true one that is called True. Where
    the classes are called by words, their numbers name them too, in the order of `labels`.
    """
    if key in labels:
        return labels.index(key)
    called = [label.casefold() for label in labels]
    if called.count(key.casefold()) == 1:
        return called.index(key.casefold())
    number, numbers = _number(key), [_number(label) for label in labels]
    if number is None:
        return None
    if None not in numbers:
        return numbers.index(number) if number in numbers else None
    return int(number) if number.is_integer() and 0 <= number < len(labels) else None


def class_weight_mistakes(given: ClassWeight, labels: Sequence[str]) -> dict[str, str]:
    """The keys of class weights that name no class, or one that another key names as well: key -> message.

    `labels`: what the classes are called; empty for regression.
    """
    if given is None:
        return {}
    if not labels:
        return {"": "only classification has classes, and the task is regression"}
    if isinstance(given, str):
        return {}
    wrong: dict[str, str] = {}
    keys: dict[int, str] = {}
    for key in given:
        number = class_number(key, labels)
        if number is None:
            hint = nearest(key, labels) if len(labels) <= _LISTED else f"there are {len(labels)}: {_some(labels)}"
            wrong[key] = f"there is no class {key}; {hint}"
        elif number in keys:
            wrong[key] = f"names the class {labels[number]} again, which {keys[number]} names"
        else:
            keys[number] = key
    return wrong


_LISTED = 20


def _some(labels: Sequence[str]) -> str:
    return f"{', '.join(labels[:3])}, ... {labels[-1]}"


def _number(text: str) -> float | None:
    try:
        return float(text)
    except ValueError:
        return None
