"""What Keras knows by name, or a user's own by import path, with options: losses, optimizers, callbacks, metrics."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Annotated, Any

from pydantic import BeforeValidator, WithJsonSchema

from hpo.config.mistakes import show

Named = str | dict[str, Any]
"""A name, or a mapping of its name and options, as a file has it."""


@dataclass(frozen=True)
class Choice:
    """A name and its options."""

    name: str
    options: Mapping[str, Any]

    @property
    def is_own(self) -> bool:
        """Whether it is the import path of a user's own code."""
        return ":" in self.name


def choice_of(value: Named) -> Choice:
    """The name and the options of a value that was checked."""
    if isinstance(value, str):
        return Choice(value, {})
    return Choice(str(value["name"]), {key: option for key, option in value.items() if key != "name"})


def by_output(value: Named | None) -> Mapping[str, Named] | None:
    """What is named for each of several outputs; None where one is named for all."""
    return value if isinstance(value, dict) and "name" not in value else None


def plain_choice(value: Named | None) -> str | None:
    """The name, where one stands alone; None where there are options, several, or a user's own."""
    return value if isinstance(value, str) and ":" not in value else None


def _checked(value: Any) -> Any:
    if isinstance(value, str) and value:
        return value
    if not isinstance(value, Mapping) or not isinstance(value.get("name"), str):
        raise ValueError(f"must be a name, or a mapping of its name and options, got {show(value)}")
    return dict(value)


def _checked_loss(value: Any) -> Any:
    if value is None or not isinstance(value, Mapping) or "name" in value:
        return value if value is None else _checked(value)
    return {str(output): _checked(loss) for output, loss in value.items()}


_NAME = {"type": "string", "minLength": 1}


def with_options(example: str) -> dict[str, Any]:
    """The schema of a mapping of a name and options; `example` is such a name."""
    described = {"description": "The name in Keras, or the import path of your own.", "examples": [example]}
    return {"type": "object", "properties": {"name": {**_NAME, **described}}, "required": ["name"]}


_SCHEMA: dict[str, Any] = {"anyOf": [_NAME, with_options("CSVLogger")]}
_LOSS_SCHEMA: dict[str, Any] = {
    "anyOf": [
        {"type": "null"},
        _NAME,
        with_options("huber"),
        {
            "type": "object",
            "not": {"required": ["name"]},
            "additionalProperties": {
                "anyOf": [_NAME, {"description": "The loss of the output of this name.", **with_options("huber")}],
            },
        },
    ]
}

NamedValue = Annotated[Any, BeforeValidator(_checked), WithJsonSchema(_SCHEMA)]
LossValue = Annotated[Any, BeforeValidator(_checked_loss), WithJsonSchema(_LOSS_SCHEMA)]
"""A loss, or one for each of several outputs by name."""


def own_paths(training: Any) -> list[str]:
    """The import paths of the user's own code that a training section names."""
    losses = by_output(training.loss)
    named = [training.optimizer, *(training.callbacks or ()), *(losses.values() if losses else [training.loss])]
    names = [choice_of(value).name for value in named if value is not None]
    return [name for name in (*names, *(spec.name for spec in training.metrics)) if ":" in name]
