"""The arguments of a user's function that makes data: `dataset.arguments`, which a search space may vary."""

import inspect
from collections.abc import Callable, Mapping
from typing import Any

from hpo.errors import DataError, nearest

KEY = ("dataset", "arguments")


class Arguments(dict[str, Any]):
    """The arguments by name, for a function that takes them all as one; it knows which were read."""

    def __init__(self, function: str, given: Mapping[str, Any]) -> None:
        super().__init__(given)
        self._function = function
        self.read: set[str] = set()

    def __getitem__(self, name: str) -> Any:
        self.read.add(name)
        return super().__getitem__(name)

    def __missing__(self, name: str) -> Any:
        raise lacking(self._function, name)

    def get(self, name: str, default: Any = None) -> Any:
        """The argument, or else a default."""
        self.read.add(name)
        return super().get(name, default)

    def unread(self) -> str | None:
        """A note on the arguments that the function did not read; None where it has read all."""
        if not (names := [name for name in self if name not in self.read]):
            return None
        return f"{self._function} did not read {', '.join(f'dataset.arguments.{name}' for name in names)}"


def lacking(function: str, name: str) -> DataError:
    """The mistake of an argument that is not there."""
    how = f"write arguments: {{{name}: ...}}, or have a parameter set dataset.arguments.{name}"
    return DataError(f"is required: {function} needs {name}; {how}", (*KEY, name))


def takes_all(called: Callable[..., Any], given: Mapping[str, Any]) -> bool:
    """Whether a function takes all arguments as one mapping, `data(params)`, rather than by their names."""
    return _required(called) == ["params"] and "params" not in given


def with_arguments(
    function: str, called: Callable[..., Any], given: Mapping[str, Any]
) -> tuple[Callable[[], Any], Arguments | None]:
    """The call of a function with its arguments; and these, where it takes them as one mapping.

    Raises:
        DataError: it takes no argument of that name, or lacks one.
    """
    if takes_all(called, given):
        whole = Arguments(function, given)
        return lambda: called(whole), whole
    parameters = inspect.signature(called).parameters if given else {}
    if not any(one.kind is one.VAR_KEYWORD for one in parameters.values()):
        for name in given:
            if name not in parameters:
                hint = nearest(name, parameters) if parameters else "it takes none"
                hint += "; a function that takes all as one mapping calls it params"
                raise DataError(f"{function} takes no argument {name}; {hint}", (*KEY, name))
    for name in _required(called):
        if name not in given:
            raise lacking(function, name)
    return lambda: called(**given), None


def _required(called: Callable[..., Any]) -> list[str]:
    try:
        parameters = inspect.signature(called).parameters.values()
    except (TypeError, ValueError):  # what is written in C may not tell
        return []
    kinds = (inspect.Parameter.VAR_POSITIONAL, inspect.Parameter.VAR_KEYWORD)
    return [one.name for one in parameters if one.default is one.empty and one.kind not in kinds]
