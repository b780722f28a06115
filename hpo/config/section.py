"""The building blocks of the models of YAML files: sections, sections with a short form, and numbers within them."""

import re
from typing import Annotated, Any, ClassVar, Self

from pydantic import (
    BaseModel,
    BeforeValidator,
    ConfigDict,
    Field,
    GetJsonSchemaHandler,
    WithJsonSchema,
    model_validator,
)
from pydantic.json_schema import JsonSchemaValue
from pydantic_core import CoreSchema

from hpo.config.docstrings import fill_schema
from hpo.config.mistakes import show

_PART = r"(\d+(?:\.\d+)?)"
_DURATION = re.compile(rf"\s*(?:{_PART}\s*h)?\s*(?:{_PART}\s*m)?\s*(?:{_PART}\s*s)?\s*")


def seconds(value: object) -> float:
    """Reads a duration such as `90`, `90s`, `10m`, `1h30m` or `1.5h`; returns seconds, more than zero.

    Raises:
        ValueError: the value is not a duration above zero.
    """
    rule = f"must be a duration above zero such as 90, 90s, 10m or 1h30m, got {show(value)}"
    if isinstance(value, bool) or not isinstance(value, int | float | str):
        raise ValueError(rule)
    try:
        number = float(value)
    except OverflowError:
        raise ValueError(rule) from None
    except ValueError:
        parts = _DURATION.fullmatch(str(value))
        if parts is None or not any(parts.groups()):
            raise ValueError(rule) from None
        units = zip(parts.groups(), (3600, 60, 1), strict=True)
        number = sum(float(part or 0) * unit for part, unit in units)
    if not 0 < number < float("inf"):
        raise ValueError(rule)
    return number


def _whole(value: object) -> object:
    # As in JSON Schema, 20.0 and 1e3 are whole numbers; "20" and true are not.
    return int(value) if isinstance(value, float) and value.is_integer() else value


# Refuses only what cannot be a duration: a text without a digit, or with a letter that no unit has.
_DURATION_SCHEMA = {
    "anyOf": [
        {"type": "number", "exclusiveMinimum": 0},
        {"type": "string", "pattern": r"^[\d\s.+_eEhms-]*\d[\d\s.+_eEhms-]*$"},
    ]
}
Duration = Annotated[
    float, BeforeValidator(seconds, json_schema_input_type=Annotated[Any, WithJsonSchema(_DURATION_SCHEMA)])
]
WHOLE = BeforeValidator(_whole)
"""Lets an `int` be written as 20.0 or 1e3; comes after the field's bounds."""

Count = Annotated[int, Field(ge=1), WHOLE]
Seed = Annotated[int, Field(ge=0, lt=2**32), WHOLE]
BelowOne = Annotated[float, Field(ge=0, lt=1)]
"""A share below 1."""


# The keywords of a JSON Schema that describe a value, and not the key that has it.
_VALUE_KEYWORDS = ("type", "anyOf", "enum", "enumDescriptions", "pattern")


class Section(BaseModel):
    """A frozen section of a file; unknown keys are mistakes, and so are numbers in quotes."""

    model_config = ConfigDict(
        frozen=True, extra="forbid", strict=True, use_attribute_docstrings=True, allow_inf_nan=False
    )
    needs_one_of: ClassVar[tuple[str, ...]] = ()
    """Keys of which at least one must be set."""

    @model_validator(mode="after")
    def _has_one(self) -> Self:
        if self.needs_one_of and all(getattr(self, key) is None for key in self.needs_one_of):
            raise ValueError(f"needs {' or '.join(self.needs_one_of)}")
        return self

    @classmethod
    def __get_pydantic_json_schema__(cls, core: CoreSchema, handler: GetJsonSchemaHandler) -> JsonSchemaValue:
        schema = handler.resolve_ref_schema(handler(core))
        if cls.needs_one_of:
            schema["anyOf"] = [{"required": [key]} for key in cls.needs_one_of]
        for key in schema.get("properties", {}).values():
            if "description" in key:
                fill_schema(key)
        return schema


def switch(section: type[Section]) -> BeforeValidator:
    """Lets `true` switch a section on, with its defaults, and `false` switch it off."""

    def read(value: object) -> object:
        if isinstance(value, bool):
            return section() if value else None
        return value

    return BeforeValidator(read, json_schema_input_type=section | bool | None)


class Shorthand(Section):
    """A section with a short form: the value of one of its keys may be written instead of the whole mapping."""

    short_key: ClassVar[str]
    """The key whose value is the short form."""

    @classmethod
    def is_short(cls, value: object) -> bool:
        """Whether a value is the short form."""
        return isinstance(value, str)

    @model_validator(mode="before")
    @classmethod
    def _lengthen(cls, value: Any) -> Any:
        if cls.is_short(value):
            value = {cls.short_key: value}
        if isinstance(value, dict):
            return cls._inferred(value)
        if isinstance(value, cls):
            return value
        raise ValueError(f"must be a {cls.short_key} or a mapping, got {show(value)}")

    @classmethod
    def _inferred(cls, value: dict[str, Any]) -> dict[str, Any]:
        """The mapping, with missing keys filled in where others decide them."""
        return value

    @classmethod
    def __get_pydantic_json_schema__(cls, core: CoreSchema, handler: GetJsonSchemaHandler) -> JsonSchemaValue:
        schema = super().__get_pydantic_json_schema__(core, handler)
        mapping = {key: schema.pop(key) for key in list(schema) if key not in ("title", "description")}
        whole = mapping["properties"][cls.short_key]
        short = next((form for form in whole.get("anyOf", ()) if form.get("type") == "string"), whole)
        schema["anyOf"] = [{key: short[key] for key in short if key in _VALUE_KEYWORDS}, mapping]
        return schema
