"""The types that a key of a pydantic model may have, read from the annotations of its fields."""

from collections.abc import Iterator
from typing import Annotated, Any, Literal, TypeGuard, get_args, get_origin

from pydantic import BaseModel


def is_model(kind: object) -> TypeGuard[type[BaseModel]]:
    """Whether a type is a pydantic model."""
    return isinstance(kind, type) and issubclass(kind, BaseModel)


def types_inside(kind: Any, part: str | int) -> list[Any]:
    """The types that a field or an item of a type may have; the type itself if a model has no field `part`."""
    if is_model(kind):
        info = kind.model_fields.get(str(part))
        return [kind] if info is None else list(union_members(info.annotation))
    arguments = get_args(kind)
    return list(union_members(arguments[-1] if get_origin(kind) is dict else arguments[0])) if arguments else []


def union_members(annotation: Any) -> Iterator[Any]:
    """The members of a union, annotated or not; any other type is yielded itself."""
    arguments = get_args(annotation)
    if get_origin(annotation) is Annotated:
        yield from union_members(arguments[0])
    elif arguments and get_origin(annotation) not in (dict, list, tuple, Literal):
        for argument in arguments:
            yield from union_members(argument)
    else:
        yield annotation


def tags(kind: Any) -> tuple[str, ...]:
    """The values of `type:` that select this member of a discriminated union."""
    return get_args(kind.model_fields["type"].annotation) if is_model(kind) and "type" in kind.model_fields else ()
