"""The types that a key of pydantic's models may have, read from the annotations of their fields."""

from collections.abc import Iterator
from typing import Annotated, Any, Literal, TypeGuard, get_args, get_origin

from pydantic import BaseModel


def is_model(kind: object) -> TypeGuard[type[BaseModel]]:
    """Whether a type is a model of pydantic's."""
    return isinstance(kind, type) and issubclass(kind, BaseModel)


def inside(kind: Any, part: str | int) -> list[Any]:
    """The types that a field or item of a type may have; the type itself where `part` is neither."""
    if is_model(kind):
        info = kind.model_fields.get(str(part))
        return [kind] if info is None else list(members(info.annotation))
    arguments = get_args(kind)
    return list(members(arguments[-1] if get_origin(kind) is dict else arguments[0])) if arguments else []


def members(annotation: Any) -> Iterator[Any]:
    """The members of a union, however it is annotated; any other type alone."""
    arguments = get_args(annotation)
    if get_origin(annotation) is Annotated:
        yield from members(arguments[0])
    elif arguments and get_origin(annotation) not in (dict, list, tuple, Literal):
        for argument in arguments:
            yield from members(argument)
    else:
        yield annotation


def tags(kind: Any) -> tuple[str, ...]:
    """What `type:` must say for this member of a discriminated union."""
    return get_args(kind.model_fields["type"].annotation) if is_model(kind) and "type" in kind.model_fields else ()
