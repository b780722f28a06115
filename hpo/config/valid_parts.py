"""Validates a file without its keys that have mistakes, so that all mistakes are reported at once."""

from collections.abc import Mapping
from copy import deepcopy
from dataclasses import dataclass
from typing import Any, Generic, TypeVar

from pydantic import BaseModel, ValidationError

from hpo.config.mistakes import by_key, mistake_at
from hpo.config.yaml_file import Document, Key
from hpo.errors import Mistake

_Model = TypeVar("_Model", bound=BaseModel)
# Each round removes what is wrong, and an error can be no deeper than files may be nested.
_ROUNDS = 60


@dataclass(frozen=True)
class Examined(Generic[_Model]):
    """The valid part of a document, and the mistakes in the rest."""

    valid: _Model | None
    """The model of the valid keys, with defaults for the others; None if the document has no valid part."""
    mistakes: tuple[Mistake, ...]
    broken: frozenset[Key]
    """The keys with mistakes. They are replaced by defaults, so a problem with their values is not one of the file."""

    def is_doubtful(self, key: Key) -> bool:
        """Whether a mistake at a key may be due to a default that replaced a broken value."""
        return any(key == one[: len(key)] or one == key[: len(one)] for one in self.broken)


def examine(document: Document, model: type[_Model], stand_ins: Mapping[str, Any]) -> Examined[_Model]:
    """Reads a document as a model, without the keys that have mistakes; `stand_ins` replace required ones."""
    data, broken, unknown = deepcopy(document.data), set[Key](), set[Key]()
    mistakes: list[Mistake] = []
    for _ in range(_ROUNDS):
        try:
            return Examined(model.model_validate(data), tuple(mistakes), frozenset(broken))
        except ValidationError as error:
            found = by_key(error, data, model)
        for key, complaints in found.items():
            if not _follows(key, complaints[0], broken, unknown):
                mistakes.append(mistake_at(key, complaints, document, model))
        for key, complaints in found.items():
            (unknown if complaints[0]["type"] == "extra_forbidden" else broken).add(key)
            if not key:
                return Examined(None, tuple(mistakes), frozenset(broken))
            _take_out(data, key, stand_ins)
    return Examined(None, tuple(mistakes), frozenset(broken))


def _follows(key: Key, complaint: Any, broken: set[Key], unknown: set[Key]) -> bool:
    """Whether one of pydantic's errors may be due to a key that was removed before."""
    if any(key == one[: len(key)] for one in broken):
        return True
    # An item of a list is not taken out: it is left without its keys.
    if complaint["type"] == "missing" and key[:-1] in broken:
        return True
    lacks = complaint["type"] == "missing" or "needs" in complaint["msg"]
    around = key[:-1] if complaint["type"] == "missing" else key
    return lacks and any(around == one[: len(around)] for one in unknown)


def _take_out(data: Any, key: Key, stand_ins: Mapping[str, Any]) -> None:
    """Removes a key, or the value around it if that cannot be without the key."""
    around = data
    for part in key[:-1]:
        if not _holds(around, part):
            # It was removed already, with the value around it.
            return
        around = around[part]
    last = key[-1]
    stand_in = stand_ins.get(str(last)) if len(key) == 1 else None
    if stand_in is not None and around.get(last) != stand_in:
        around[last] = deepcopy(stand_in)
    elif isinstance(around, list) and isinstance(last, int) and _holds(around, last) and around[last] != {}:
        # The other items keep their index.
        around[last] = {}
    elif isinstance(around, dict) and last in around:
        del around[last]
    elif len(key) > 1:
        # What is missing, such as the second of two numbers, is removed with the value that lacks it.
        _take_out(data, key[:-1], stand_ins)


def _holds(around: Any, part: str | int) -> bool:
    """Whether a mapping has a key, or a list an index."""
    if isinstance(around, list):
        return isinstance(part, int) and 0 <= part < len(around)
    return isinstance(around, dict) and part in around
