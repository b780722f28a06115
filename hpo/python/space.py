"""A search space in Python: `hpo.Space(depth=hpo.Int(1, 4), ...)`. It becomes the mapping that a file would hold."""

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, final

from hpo.errors import UserError

_KINDS = {"int": "Int", "float": "Float", "categorical": "Choice", "boolean": "Bool"}


@final
@dataclass(frozen=True)
class Parameter:
    """One parameter of a search space; `keys` are those that it has in a file."""

    keys: Mapping[str, Any]

    def __repr__(self) -> str:
        rest = {key: value for key, value in self.keys.items() if key != "type"}
        first = rest.pop("choices", [rest.pop(key) for key in ("low", "high") if key in rest])
        inside = [*map(repr, first), *(f"{key}={value!r}" for key, value in rest.items())]
        return f"{_KINDS[self.keys['type']]}({', '.join(inside)})"


def Int(low: int, high: int, **options: Any) -> Parameter:
    """A whole number from low to high, both inclusive; options: step, log, when, sets, as in a search space file."""
    return _parameter("int", {"low": low, "high": high}, options)


def Float(low: float, high: float, **options: Any) -> Parameter:
    """A number from low to high, both inclusive; options: step, log, when, sets, as in a search space file."""
    return _parameter("float", {"low": low, "high": high}, options)


def Choice(*choices: Any, **options: Any) -> Parameter:
    """One of the given values, or of a single list of values; options: when, sets, as in a search space file."""
    alone = choices[0] if len(choices) == 1 else None
    return _parameter("categorical", {"choices": alone if isinstance(alone, list | tuple) else choices}, options)


def Bool(**options: Any) -> Parameter:
    """True or false; options: when, sets, as in a search space file."""
    return _parameter("boolean", {}, options)


def _parameter(kind: str, keys: Mapping[str, Any], options: Mapping[str, Any]) -> Parameter:
    known = {key: value for key, value in options.items() if value is not None}
    return Parameter({"type": kind, **{key: plain(value) for key, value in {**keys, **known}.items()}})


@final
class Space:
    """What may vary: parameters by name. A plain value is a constant.

    hpo.Space(depth=hpo.Int(1, 4), rate=hpo.Float(1e-4, 1e-1, log=True), optimizer=hpo.Choice("adam", "sgd"),
              momentum=hpo.Float(0, 0.99, when={"optimizer": "sgd"}), batch_size=64)

    Names that are no Python names are given in a mapping, which comes first. Mistakes are reported when the space is
    used, all at once.
    """

    def __init__(self, parameters: Mapping[str, Any] | None = None, /, **more: Any) -> None:
        self.parameters: dict[str, Any] = {**(parameters or {}), **more}

    def __repr__(self) -> str:
        return f"Space({', '.join(f'{name}={one!r}' for name, one in self.parameters.items())})"

    def as_mapping(self, model: str) -> dict[str, Any]:
        """What a search space file would hold; `model`: a name that hpo knows, or an import path."""
        return {"model": model, "parameters": {name: _written(one) for name, one in self.parameters.items()}}

    def to_yaml(self, path: str | Path | None = None, model: str = "mlp") -> str:
        """The text of a search space file that `hpo run` takes; written to `path`, if one is given.

        `model`: a name that hpo knows, or the import path of your own.
        """
        from hpo.config.yaml_file import to_yaml

        text = to_yaml(self.as_mapping(model), block=True)
        if path is not None:
            Path(path).write_text(text, encoding="utf-8")
        return text


def space_of(space: "Space | Mapping[str, Any] | str | Path | None", model: str | None) -> dict[str, Any] | str:
    """The value of the key `search_space` for what a caller gave.

    Args:
        space: a Space, a mapping name -> parameter, a file or its name (it names its own model), or nothing.
        model: replaces the model that a file names.

    Raises:
        UserError: no model is named.
    """
    if isinstance(space, str | Path):
        return str(space)
    if not isinstance(space, Space) and space is not None and "parameters" in space:
        return {**plain(space), **({} if model is None else {"model": model})}
    if model is None:
        raise UserError("model: is required: a function, a HyperModel, or the name of a model that hpo knows")
    return (space if isinstance(space, Space) else Space(space or {})).as_mapping(model)


def _written(parameter: Any) -> Any:
    return dict(parameter.keys) if isinstance(parameter, Parameter) else plain(parameter)


def plain(value: Any) -> Any:
    """A value as YAML has it: lists for tuples and arrays, Python's numbers for NumPy's."""
    if isinstance(value, Parameter):
        return dict(value.keys)
    if isinstance(value, Mapping):
        return {str(key): plain(one) for key, one in value.items()}
    if isinstance(value, list | tuple | set | range):
        return [plain(one) for one in value]
    if isinstance(value, Path):
        return str(value)
    return plain(value.tolist()) if hasattr(value, "tolist") else value
