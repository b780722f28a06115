"""The parameters that a user's function gets, which know which of them it has read."""

from collections.abc import Iterator
from typing import Any


class ReadParams(dict[str, Any]):
    """A dictionary that notes which keys were read; whoever goes through all of it has read all."""

    def __init__(self, values: dict[str, Any]) -> None:
        super().__init__(values)
        self.read: set[str] = set()

    def __getitem__(self, key: str) -> Any:
        self.read.add(key)
        return super().__getitem__(key)

    def __contains__(self, key: object) -> bool:
        self.read.add(str(key))
        return super().__contains__(key)

    def get(self, key: str, default: Any = None) -> Any:
        """The value of a key."""
        self.read.add(key)
        return super().get(key, default)

    def pop(self, key: str, *default: Any) -> Any:
        """Takes a key out."""
        self.read.add(key)
        return super().pop(key, *default)

    def setdefault(self, key: str, default: Any = None) -> Any:
        """The value of a key, which is made where it lacks."""
        self.read.add(key)
        return super().setdefault(key, default)

    def __iter__(self) -> Iterator[str]:
        self.read.update(super().keys())
        return super().__iter__()

    def keys(self) -> Any:
        """All keys."""
        self.read.update(super().keys())
        return super().keys()

    def values(self) -> Any:
        """All values."""
        self.read.update(super().keys())
        return super().values()

    def items(self) -> Any:
        """All keys with their values."""
        self.read.update(super().keys())
        return super().items()

    def copy(self) -> dict[str, Any]:
        """A plain copy."""
        return dict(self.items())

    def __or__(self, other: Any) -> Any:
        return self.copy() | other

    def __ror__(self, other: Any) -> Any:
        return other | self.copy()
