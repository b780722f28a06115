"""What is known of an object that no source tells of, as a text that is the same in each process.

A text is never made from `repr` of an object, which may contain its address, nor in the order of a set, which differs
between processes. Objects are described by their class and their attributes.
"""

import functools
import hashlib
import json
import logging
import re
import sys
import types
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from hpo.system.code_files import is_users_file

_LONGEST = 500
"""A text that is longer is represented by its digest."""
_DEEPEST = 6
"""Up to this depth the attributes of objects within objects are looked at."""
_NUMBERED, _UNNUMBERED = re.compile(r'("name": "[^"]*?)_[0-9]+"'), r'\1"'
_CODE = (types.FunctionType, types.MethodType, type, types.ModuleType)
_COLLECTIONS = (list, tuple, dict, set, frozenset)


def is_users(module: str) -> bool:
    """Whether a module is the user's own: neither a library, nor Python's, nor of hpo."""
    if module == "__main__":
        return True
    file = getattr(sys.modules.get(module), "__file__", None)
    return file is not None and is_users_file(file)


def literal(value: Any) -> str | None:
    """A value as Python would write it; None where it is long, or more than numbers, texts and collections of them."""
    text = _literal(value)
    return text if text is not None and len(text) <= _LONGEST else None


def _literal(value: Any) -> str | None:
    if value is None or type(value) in (bool, int, float, complex, str, bytes):
        return repr(value)
    if type(value) not in _COLLECTIONS:
        return None
    pairs = value.items() if isinstance(value, dict) else ((one,) for one in value)
    inside = [[_literal(one) for one in pair] for pair in pairs]
    if any(text is None for pair in inside for text in pair):
        return None
    return _joined(value, [": ".join(str(text) for text in pair) for pair in inside])


def _joined(value: Any, parts: list[str]) -> str:
    """The texts of the elements of a collection as Python would write the whole."""
    if isinstance(value, dict):
        return "{" + ", ".join(parts) + "}"
    if isinstance(value, set | frozenset):
        return f"{type(value).__name__}([{', '.join(sorted(parts))}])"
    if isinstance(value, tuple):
        return f"({', '.join(parts)}{',' if len(parts) == 1 else ''})"
    return f"[{', '.join(parts)}]"


@dataclass(frozen=True)
class Description:
    """Describes objects, and tells of the functions, classes and modules that they contain."""

    found: Callable[[str, Any], None]
    """Called with the name and each function, class or module of the user's that is met."""

    def of(self, value: Any) -> str:
        """The class of an object with its content, at any depth."""
        return self._of(value, ())

    def _of(self, value: Any, within: tuple[int, ...]) -> str:
        kind = f"{type(value).__module__}.{type(value).__qualname__}"
        if id(value) in within or len(within) > _DEEPEST:
            return kind
        inside = functools.partial(self._part, within=(*within, id(value)))
        if isinstance(value, functools.partial):
            return f"{kind} of {inside(value.func)}, {inside(value.args)}, {inside(value.keywords)}"
        if type(value) in (str, bytes):
            return f"{kind} {_short(repr(value))}"
        if isinstance(value, _COLLECTIONS):
            return f"{kind} {_short(_joined(value, [*_parts(value, inside)]))}"
        return self._of_code(value, inside) if isinstance(value, _CODE) else self._of_object(kind, value, inside)

    def _part(self, value: Any, within: tuple[int, ...]) -> str:
        return literal(value) or self._of(value, within)

    def _of_code(self, value: Any, inside: Callable[[Any], str]) -> str:
        name = str(getattr(value, "__name__", ""))
        if isinstance(value, types.MethodType):
            return f"{name} of {inside(value.__self__)}"
        if is_users(name if isinstance(value, types.ModuleType) else str(value.__module__)):
            self.found(name, value)
        if isinstance(value, types.ModuleType):
            return name
        return f"{value.__module__}.{value.__qualname__}"

    def _of_object(self, kind: str, value: Any, inside: Callable[[Any], str]) -> str:
        if is_users(type(value).__module__):
            self.found(type(value).__name__, type(value))
        if hasattr(value, "dtype") and hasattr(value, "__array__"):
            return f"{kind} {_of_array(value, inside)}"
        if hasattr(value, "columns") and hasattr(value, "to_numpy"):
            columns = [(str(name), _of_array(value.iloc[:, at], inside)) for at, name in enumerate(value.columns)]
            return f"{kind} {_short(json.dumps([columns, _of_array(value.index, inside)]))}"
        if callable(getattr(value, "get_config", None)):
            try:
                config = json.dumps(value.get_config(), sort_keys=True, default=inside)
            except Exception:  # whatever a class of the user's raises
                return kind
            # Keras numbers the names of what has none by how many were made in this process.
            return f"{kind} {_short(_NUMBERED.sub(_UNNUMBERED, config))}"
        name = value.name if isinstance(value, logging.Logger) else getattr(value, "__name__", None)
        if isinstance(name, str):
            return f"{kind} {name}"
        known = {name: inside(one) for name, one in _attributes(value).items()}
        return f"{kind} {_short(json.dumps(known, sort_keys=True))}" if known else kind


def _parts(value: Any, inside: Callable[[Any], str]) -> Iterator[str]:
    """The texts of the elements of a collection, in an order that is the same in each process."""
    if isinstance(value, dict):
        yield from (f"{inside(key)}: {inside(one)}" for key, one in value.items())
    elif isinstance(value, set | frozenset):
        yield from map(inside, sorted(value, key=lambda one: literal(one) or str(getattr(one, "__qualname__", ""))))
    else:
        yield from map(inside, value)


def _attributes(value: Any) -> Mapping[str, Any]:
    # What a library's object keeps under private names may be filled as it is used.
    users = is_users(type(value).__module__)
    slots = [name for one in type(value).__mro__ for name in _names(vars(one).get("__slots__", ()))]
    return {
        **{
            name: getattr(value, name)
            for name in slots
            if name not in ("__dict__", "__weakref__") and hasattr(value, name)
        },
        **{name: one for name, one in getattr(value, "__dict__", {}).items() if users or not name.startswith("_")},
    }


def _names(slots: Any) -> tuple[str, ...]:
    return (slots,) if isinstance(slots, str) else tuple(slots)


def _of_array(value: Any, inside: Callable[[Any], str]) -> str:
    import numpy as np

    array = np.ascontiguousarray(np.asarray(value))
    content = array.tobytes() if array.dtype.kind != "O" else inside(array.tolist()).encode()
    return f"of shape {array.shape}, {array.dtype}, {hashlib.sha256(content).hexdigest()[:16]}"


def _short(text: str) -> str:
    return text if len(text) <= _LONGEST else hashlib.sha256(text.encode()).hexdigest()[:16]
