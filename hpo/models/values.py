"""Reads and checks the values of a model's parameters for one of its layers."""

import math
from collections.abc import Collection, Mapping
from dataclasses import dataclass, field
from typing import Any

from hpo.errors import nearest
from hpo.models.built import InvalidModel


@dataclass(frozen=True)
class Found:
    """A value, and where it was found."""

    value: Any
    called: str
    """The name of the value in messages."""
    parameter: str | None
    """The parameter that sets it; None for a default."""

    def refused(self, rule: str, hint: str = "") -> InvalidModel:
        """The error that states a rule and this value."""
        return InvalidModel(f"{self.called} must be {rule}, got {self.value!r}{hint and f'; {hint}'}", self.parameter)


@dataclass(frozen=True)
class Values:
    """The parameters of a model for one of its layers. The layer's own values come before those of all layers."""

    params: Mapping[str, Any]
    number: int | None = None
    """The layer's number, counted from 1: `width_2` is the second layer's own."""
    block: Mapping[str, Any] = field(default_factory=dict)
    """The mapping of this block in a list of blocks."""

    def find(self, key: str, default: Any = None) -> Found:
        """The value for this layer: from `key_N`, else from the block, else from `key`, else the default."""
        numbered = f"{key}_{self.number}"
        if self.number is not None and numbered in self.params:
            return Found(self.params[numbered], numbered, numbered)
        if key in self.block:
            return Found(self.block[key], f"{key.removeprefix('block_')} of block {self.number}", "blocks")
        if key in self.params:
            return Found(self.params[key], key, key)
        return Found(default, key, None)

    def is_own(self, key: str) -> bool:
        """Whether the layer has its own value, which other layers do not share."""
        return self.find(key).parameter not in (None, key)

    def first_set(self, *keys: str) -> str | None:
        """The parameter that sets the first of some keys that is set."""
        return next((parameter for key in keys if (parameter := self.find(key).parameter) is not None), None)

    def whole(self, key: str, default: int, low: int = 1) -> int:
        """A whole number of at least `low`.

        Raises:
            InvalidModel: the value is none.
        """
        found = self.find(key, default)
        if not _is_whole(found.value, low):
            raise found.refused(f"a whole number of at least {low}")
        return int(found.value)

    def wholes(self, key: str) -> tuple[int, ...]:
        """A list of whole numbers of at least 1; it may be empty.

        Raises:
            InvalidModel: the value is none.
        """
        found = self.find(key, [])
        if not isinstance(found.value, list | tuple) or not all(_is_whole(one, 1) for one in found.value):
            raise found.refused("a list of whole numbers of at least 1")
        return tuple(found.value)

    def share(self, key: str, default: float = 0.0) -> float:
        """A share from 0 to below 1.

        Raises:
            InvalidModel: the value is none.
        """
        found = self.find(key, default)
        if not is_finite(found.value) or not 0 <= found.value < 1:
            raise found.refused("a number from 0 to below 1")
        return float(found.value)

    def amount(self, key: str, default: float = 0.0) -> float:
        """A number of at least 0.

        Raises:
            InvalidModel: the value is none.
        """
        found = self.find(key, default)
        if not is_finite(found.value) or found.value < 0:
            raise found.refused("a number of at least 0")
        return float(found.value)

    def boolean(self, key: str, default: bool) -> bool:
        """True or false.

        Raises:
            InvalidModel: the value is neither.
        """
        found = self.find(key, default)
        if not isinstance(found.value, bool):
            raise found.refused("true or false")
        return found.value

    def word(self, key: str, default: str, words: Collection[str], rule: str = "") -> str:
        """One of some words; `rule` describes them in the message if they are too many to list.

        Raises:
            InvalidModel: the value is none of them.
        """
        found = self.find(key, default)
        if not isinstance(found.value, str) or found.value not in words:
            *others, last = words
            hint = nearest(found.value, words)
            # The rule names them all.
            hint = "" if not rule and hint.startswith("valid") else hint
            raise found.refused(rule or f"{', '.join(others)} or {last}", hint)
        return found.value


def is_finite(value: object) -> bool:
    """Whether a value is a finite number."""
    return isinstance(value, int | float) and not isinstance(value, bool) and math.isfinite(value)


def _is_whole(value: object, low: int) -> bool:
    return isinstance(value, int) and not isinstance(value, bool) and value >= low
