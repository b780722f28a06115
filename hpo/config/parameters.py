"""The kinds of parameters of a search space: int, float, categorical, boolean, constant."""

import json
import math
from abc import abstractmethod
from collections.abc import Sequence
from decimal import Decimal
from typing import TYPE_CHECKING, Annotated, Any, Literal, Self

from pydantic import BeforeValidator, ConfigDict, Field, PositiveFloat, model_validator

from hpo.config.conditions import Condition, Scalar, is_number, same
from hpo.config.mistakes import show
from hpo.config.ranges import check_range, size_of
from hpo.config.section import WHOLE, Section

if TYPE_CHECKING:
    from optuna.trial import BaseTrial

# Optuna's databases keep numbers as doubles, which hold whole numbers exactly up to here.
_LARGEST = 2**53
_MOST_STEPS = 1_000_000


def _on_log_scale(no_step: dict[str, Any]) -> dict[str, Any]:
    """The JSON Schema of the rules for a range with `log: true`."""
    logarithmic = {"properties": {"log": {"const": True}}, "required": ["log"]}
    return {"if": logarithmic, "then": {"properties": {"low": {"exclusiveMinimum": 0}, "step": no_step}}}


class Parameter(Section):
    """The keys and methods that all kinds of parameters share."""

    when: dict[str, Condition] = Field(default_factory=dict)
    """A condition: the parameter is used only in trials in which the named parameters have this value, one of these
    values, or a value from `low` to `high`. Default: always used. Example: {optimizer: sgd}"""
    sets: str | None = None
    """The key that the parameter sets, where it differs from the parameter's name: for a key within a section, or if
    two parameters set the same key. Default: the parameter's name. Example: schedule.warmup_epochs"""

    # It only says where to begin, so it is no part of what defines a study.
    default: Annotated[Any, Field(exclude=True)] = None
    """The value in the study's first configuration, unless the study enqueues some. Parameters without one are proposed
    there, too. Unit: that of the key it sets. Default: none. Example: 0.001"""

    @abstractmethod
    def values(self) -> Sequence[Any] | None:
        """All values in order, or None if they cannot be counted."""

    @model_validator(mode="after")
    def _allows_its_default(self) -> Self:
        if self.default is not None and (complaint := self.complaint(self.default)):
            raise ValueError(f"default {complaint}")
        return self

    @property
    def varies(self) -> bool:
        """Whether it may take more than one value."""
        values = self.values()
        return values is None or len(values) > 1

    @abstractmethod
    def suggest(self, trial: "BaseTrial", name: str) -> Any:
        """Asks a trial for a value."""

    @abstractmethod
    def complaint(self, value: object) -> str | None:
        """What is wrong with a value, or None."""

    def canonical(self, value: Any) -> Any:
        """The one form of an allowed value: equal values have the same form, whichever way they were computed."""
        return value

    def extremes(self) -> tuple[Any, Any]:
        """The values that make the smallest and the largest model, as far as the values show it."""
        values = self.values() or ()
        return values[0], values[-1]


class IntParameter(Parameter):
    """A whole number from low to high, both inclusive."""

    model_config = ConfigDict(json_schema_extra=_on_log_scale({"const": 1}))

    type: Literal["int"]
    """What the parameter is. Values: int: a whole number. Example: int"""
    low: Annotated[int, Field(ge=-_LARGEST, le=_LARGEST), WHOLE]
    """The smallest value. Unit: that of the key it sets. Example: 1"""
    high: Annotated[int, Field(ge=-_LARGEST, le=_LARGEST), WHOLE]
    """The largest value. Unit: that of the key it sets. Example: 4"""
    step: Annotated[int, Field(ge=1, le=_LARGEST), WHOLE] = 1
    """The distance between neighbouring values. Unit: that of the key it sets. Example: 16"""
    log: bool = False
    """Whether values are drawn on a logarithmic scale, for ranges over orders of magnitude; `low` is above 0 then.
    Example: true"""

    @model_validator(mode="after")
    def _check(self) -> Self:
        check_range(self.low, self.high, self.log, self.step if self.step != 1 else None)
        return self

    def values(self) -> Sequence[int]:
        """All values in order."""
        return range(self.low, self.high + 1, self.step)

    def suggest(self, trial: "BaseTrial", name: str) -> int:
        """Asks a trial for a value."""
        return trial.suggest_int(name, self.low, self.values()[-1], step=self.step, log=self.log)

    def complaint(self, value: object) -> str | None:
        """What is wrong with a value, or None."""
        if isinstance(value, int) and not isinstance(value, bool) and value in self.values():
            return None
        step = f" in steps of {self.step}" if self.step != 1 else ""
        return f"must be a whole number from {self.low} to {self.high}{step}, got {show(value)}"


class FloatParameter(Parameter):
    """A number from low to high, both inclusive."""

    model_config = ConfigDict(json_schema_extra=_on_log_scale({"type": "null"}))

    type: Literal["float"]
    """What the parameter is. Values: float: a number. Example: float"""
    low: float
    """The smallest value. Unit: that of the key it sets. Example: 1.0e-4"""
    high: float
    """The largest value. Unit: that of the key it sets. Example: 0.1"""
    step: PositiveFloat | None = None
    """The distance between neighbouring values. Unit: that of the key it sets. Default: any number in the range.
    Example: 0.05"""
    log: bool = False
    """Whether values are drawn on a logarithmic scale, for ranges over orders of magnitude; `low` is above 0 then.
    Example: true"""

    @model_validator(mode="after")
    def _check(self) -> Self:
        check_range(self.low, self.high, self.log, self.step)
        if self.step is not None and (self.high - self.low) / self.step > _MOST_STEPS:
            raise ValueError(f"step must give at most {_MOST_STEPS:,} values, got step {self.step:g}")
        return self

    def values(self) -> Sequence[float] | None:
        """All values in order; None without a step."""
        if self.low == self.high:
            return [self.low]
        if self.step is None:
            return None
        return [self._at(index) for index in range(self._last() + 1)]

    # Computed in decimals, as in Optuna: 0.3 is 0.1 + 2 * 0.1.
    def _at(self, index: int) -> float:
        return float(Decimal(str(self.low)) + index * Decimal(str(self.step)))

    def _last(self) -> int:
        return int((Decimal(str(self.high)) - Decimal(str(self.low))) // Decimal(str(self.step)))

    def suggest(self, trial: "BaseTrial", name: str) -> float:
        """Asks a trial for a value."""
        return trial.suggest_float(name, self.low, self.extremes()[1], step=self.step, log=self.log)

    def complaint(self, value: object) -> str | None:
        """What is wrong with a value, or None."""
        low, high = self.extremes()
        if is_number(value) and low <= value <= high:  # type: ignore[operator]
            steps = (value - self.low) / self.step if self.step else 0.0  # type: ignore[operator]
            if math.isclose(steps, round(steps), rel_tol=0, abs_tol=1e-6):
                return None
        step = f" in steps of {self.step:g}" if self.step else ""
        return f"must be a number from {self.low:g} to {self.high:g}{step}, got {show(value)}"

    def canonical(self, value: Any) -> Any:
        """The value as a float; with a step, the nearest value on the grid: 0.3 for 0.30000000000000004 (0.1 + 0.2)."""
        if self.complaint(value) or not self.step:
            return float(value) if is_number(value) else value
        return self._at(round((value - self.low) / self.step))

    def extremes(self) -> tuple[float, float]:
        """The smallest and the largest value."""
        return self.low, self.high if self.step is None else self._at(self._last())


class CategoricalParameter(Parameter):
    """One of a list of values."""

    type: Literal["categorical"]
    """What the parameter is. Values: categorical: one of a list. Example: categorical"""
    choices: Annotated[list[Any], Field(min_length=1, strict=False)]
    """The values to choose from; lists and mappings, too. Example: [relu, tanh]"""

    @model_validator(mode="after")
    def _check(self) -> Self:
        try:
            encoded = [self.encoded(choice) for choice in self.choices]
        except (TypeError, ValueError) as error:
            raise ValueError(f"choices must be plain finite values: {error}") from None
        # Optuna compares with ==: 1, 1.0 and true are the same choice to it.
        twice = [choice for index, choice in enumerate(encoded) if choice in encoded[:index]]
        if twice:
            raise ValueError(f"choices must differ, twice: {', '.join(map(show, twice))}")
        return self

    @staticmethod
    def encoded(choice: Any) -> Scalar:
        """A choice as Optuna can store it: lists and mappings become JSON text.

        Raises:
            TypeError, ValueError: the choice is not a JSON value.
        """
        text = json.dumps(choice, allow_nan=False)
        return text if isinstance(choice, list | tuple | dict) else choice

    def values(self) -> Sequence[Any]:
        """The choices."""
        return self.choices

    def suggest(self, trial: "BaseTrial", name: str) -> Any:
        """Asks a trial for a value."""
        encoded = [self.encoded(choice) for choice in self.choices]
        return self.choices[encoded.index(trial.suggest_categorical(name, encoded))]

    def complaint(self, value: object) -> str | None:
        """What is wrong with a value, or None."""
        if any(same(value, choice) for choice in self.choices):
            return None
        return f"must be one of {', '.join(map(show, self.choices))}, got {show(value)}"

    def canonical(self, value: Any) -> Any:
        """The choice that equals the value, as the file writes it: 1 for 1.0 if the file has 1."""
        return next((choice for choice in self.choices if same(value, choice)), value)

    def extremes(self) -> tuple[Any, Any]:
        """The smallest and the largest number, or list of numbers; else the first choice twice."""
        if all(map(is_number, self.choices)):
            return min(self.choices), max(self.choices)
        if all(isinstance(choice, list) for choice in self.choices):
            return min(self.choices, key=size_of), max(self.choices, key=size_of)
        return self.choices[0], self.choices[0]


class BooleanParameter(Parameter):
    """True or false."""

    type: Literal["boolean"]
    """What the parameter is. Values: boolean: true or false. Example: boolean"""

    def values(self) -> Sequence[bool]:
        """Both values."""
        return [False, True]

    def suggest(self, trial: "BaseTrial", name: str) -> bool:
        """Asks a trial for a value."""
        return bool(trial.suggest_categorical(name, [False, True]))

    def complaint(self, value: object) -> str | None:
        """What is wrong with a value, or None."""
        return None if isinstance(value, bool) else f"must be true or false, got {show(value)}"


class Constant(Parameter):
    """A value that does not vary. Its short form is the value itself."""

    type: Literal["constant"]
    """What the parameter is. Values: constant: a value that does not vary. Example: constant"""
    value: Any
    """The value. Example: 128"""

    def values(self) -> Sequence[Any]:
        """The one value."""
        return [self.value]

    def suggest(self, trial: "BaseTrial", name: str) -> Any:
        """The value; the trial is not asked."""
        return self.value

    def complaint(self, value: object) -> str | None:
        """What is wrong with a value, or None."""
        return None if same(value, self.value) else f"is fixed at {show(self.value)}, got {show(value)}"


def _typed(value: object) -> object:
    return value if isinstance(value, dict | Section) else {"type": "constant", "value": value}


_Typed = Annotated[
    IntParameter | FloatParameter | CategoricalParameter | BooleanParameter | Constant,
    Field(discriminator="type"),
]
AnyParameter = Annotated[_Typed, BeforeValidator(_typed, json_schema_input_type=_Typed | Scalar | list[Any])]
