"""The search space: parameters, the conditions under which they exist, and what they set.

The same space serves a sampler (`suggest` with an Optuna trial), a grid (`configurations`), and fixed or
enqueued configurations (`suggest` with `optuna.trial.FixedTrial`, `complaints`).
"""

import hashlib
import itertools
import json
import math
from collections.abc import Callable, Iterator, Mapping, Sequence
from functools import cached_property
from typing import TYPE_CHECKING, Annotated, Any, Literal, Self

from pydantic import Field, ValidationError, model_validator

from hpo.errors import FileMistakes, nearest
from hpo.experiment import Section, TrainingSpec
from hpo.yaml_file import Document, Key, mistakes_of

if TYPE_CHECKING:
    from optuna.trial import BaseTrial

Scalar = bool | int | float | str | None
Config = dict[str, Any]


class Interval(Section):
    """A condition on a number: from `low` to `high`, both inclusive, either may be left out."""

    low: float | None = None
    """The least value."""
    high: float | None = None
    """The largest value."""


class Parameter(Section):
    """What all parameters share."""

    when: dict[str, Interval | list[Scalar] | Scalar] = {}
    """The parameter exists only when each named parameter exists and has this value, one of these
    values, or a value within {low, high}."""
    sets: str | None = None
    """The key that the parameter sets, where it is not the parameter's own name."""

    def values(self) -> Sequence[Any] | None:
        """All values in order, or None where they cannot be counted."""
        raise NotImplementedError

    def suggest(self, trial: "BaseTrial", name: str) -> Any:
        """Asks a trial for a value."""
        raise NotImplementedError

    def complaint(self, value: object) -> str | None:
        """What is wrong with a value, or None."""
        raise NotImplementedError

    def extremes(self) -> tuple[Any, Any]:
        """The values that make the smallest and the largest model, as far as the parameter can know."""
        raise NotImplementedError


class IntParameter(Parameter):
    """A whole number from low to high, both inclusive."""

    type: Literal["int"]
    """A whole number."""
    low: int
    """The least value."""
    high: int
    """The largest value."""
    step: Annotated[int, Field(ge=1)] = 1
    """The distance of neighbouring values."""
    log: bool = False
    """Whether values are drawn evenly in the logarithm."""

    @model_validator(mode="after")
    def _check(self) -> Self:
        _check_range(self.low, self.high, self.log, self.step if self.step != 1 else None)
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
        return f"must be a whole number from {self.low} to {self.high}{step}, got {value!r}"

    def extremes(self) -> tuple[int, int]:
        """The least and the largest value."""
        return self.low, self.values()[-1]


class FloatParameter(Parameter):
    """A number from low to high, both inclusive."""

    type: Literal["float"]
    """A number."""
    low: float
    """The least value."""
    high: float
    """The largest value."""
    step: Annotated[float, Field(gt=0)] | None = None
    """The distance of neighbouring values; without it, any number."""
    log: bool = False
    """Whether values are drawn evenly in the logarithm."""

    @model_validator(mode="after")
    def _check(self) -> Self:
        _check_range(self.low, self.high, self.log, self.step)
        return self

    def values(self) -> Sequence[float] | None:
        """All values in order; None without a step."""
        if self.low == self.high:
            return [self.low]
        if self.step is None:
            return None
        count = math.floor((self.high - self.low) / self.step + 1e-9) + 1
        return [round(self.low + index * self.step, 12) for index in range(count)]

    def suggest(self, trial: "BaseTrial", name: str) -> float:
        """Asks a trial for a value."""
        grid = self.values()
        high = grid[-1] if grid else self.high
        return trial.suggest_float(name, self.low, high, step=self.step, log=self.log)

    def complaint(self, value: object) -> str | None:
        """What is wrong with a value, or None."""
        number = isinstance(value, int | float) and not isinstance(value, bool)
        grid = self.values()
        if number and self.low <= value <= self.high:  # type: ignore[operator]
            if self.step is None or any(math.isclose(value, at, abs_tol=1e-9) for at in grid or ()):  # type: ignore[arg-type]
                return None
        step = f" in steps of {self.step:g}" if self.step else ""
        return f"must be a number from {self.low:g} to {self.high:g}{step}, got {value!r}"

    def extremes(self) -> tuple[float, float]:
        """The least and the largest value."""
        return self.low, self.high


class CategoricalParameter(Parameter):
    """One of a list of values."""

    type: Literal["categorical"]
    """One of a list."""
    choices: Annotated[list[Any], Field(min_length=1)]
    """The values."""

    @model_validator(mode="after")
    def _check(self) -> Self:
        seen = [json.dumps(choice) for choice in self.choices]
        twice = {choice for choice in seen if seen.count(choice) > 1}
        if twice:
            raise ValueError(f"choices must differ, twice: {', '.join(sorted(twice))}")
        return self

    def values(self) -> Sequence[Any]:
        """The choices."""
        return self.choices

    def suggest(self, trial: "BaseTrial", name: str) -> Any:
        """Asks a trial for a value."""
        return trial.suggest_categorical(name, self.choices)

    def complaint(self, value: object) -> str | None:
        """What is wrong with a value, or None."""
        if json.dumps(value, default=repr) in [json.dumps(choice) for choice in self.choices]:
            return None
        return f"must be one of {self.choices}, got {value!r}"

    def extremes(self) -> tuple[Any, Any]:
        """The least and the largest number; the first choice where they are no numbers."""
        if all(isinstance(choice, int | float) for choice in self.choices):
            return min(self.choices), max(self.choices)
        if all(isinstance(choice, list) for choice in self.choices):
            return min(self.choices, key=_size), max(self.choices, key=_size)
        return self.choices[0], self.choices[0]


class BooleanParameter(Parameter):
    """True or false."""

    type: Literal["boolean"]
    """True or false."""

    def values(self) -> Sequence[bool]:
        """Both values."""
        return [False, True]

    def suggest(self, trial: "BaseTrial", name: str) -> bool:
        """Asks a trial for a value."""
        return bool(trial.suggest_categorical(name, [False, True]))

    def complaint(self, value: object) -> str | None:
        """What is wrong with a value, or None."""
        return None if isinstance(value, bool) else f"must be true or false, got {value!r}"

    def extremes(self) -> tuple[bool, bool]:
        """Both values."""
        return False, True


class Constant(Parameter):
    """A value that does not vary; a scalar or a list alone will do."""

    type: Literal["constant"]
    """A value that does not vary."""
    value: Any
    """The value."""

    def values(self) -> Sequence[Any]:
        """The one value."""
        return [self.value]

    def suggest(self, trial: "BaseTrial", name: str) -> Any:
        """The value; the trial is not asked."""
        return self.value

    def complaint(self, value: object) -> str | None:
        """What is wrong with a value, or None."""
        return None if value == self.value else f"is fixed at {self.value!r}, got {value!r}"

    def extremes(self) -> tuple[Any, Any]:
        """The one value, twice."""
        return self.value, self.value


AnyParameter = Annotated[
    IntParameter | FloatParameter | CategoricalParameter | BooleanParameter | Constant,
    Field(discriminator="type"),
]


class SearchSpace(Section):
    """What may vary, and the model that it varies."""

    model: str
    """A model that hpo knows (`hpo list --models`), or an import path `package.module:name`."""
    parameters: dict[str, AnyParameter] = {}
    """The parameters by name; a scalar or a list is a constant."""

    @model_validator(mode="before")
    @classmethod
    def _constants(cls, value: Any) -> Any:
        if not isinstance(value, dict) or not isinstance(value.get("parameters"), dict):
            return value
        parameters = {
            name: parameter if isinstance(parameter, dict | Section) else {"type": "constant", "value": parameter}
            for name, parameter in value["parameters"].items()
        }
        return {**value, "parameters": parameters}

    @cached_property
    def order(self) -> tuple[str, ...]:
        """The names, parents before their children, else as in the file."""
        placed: dict[str, None] = {}

        def place(name: str, below: tuple[str, ...] = ()) -> None:
            if name in below:
                raise ValueError(f"conditions run in a circle: {' -> '.join((*below, name))}")
            for parent in self.parameters[name].when:
                if parent in self.parameters:
                    place(parent, (*below, name))
            placed[name] = None

        for name in self.parameters:
            place(name)
        return tuple(placed)

    def active(self, name: str, config: Mapping[str, Any]) -> bool:
        """Whether a parameter exists, given the values of those before it."""
        return all(
            parent in config and _matches(config[parent], allowed)
            for parent, allowed in self.parameters[name].when.items()
        )

    def _decide(self, choose: Callable[[str, AnyParameter], Any]) -> Config:
        config: Config = {}
        for name in self.order:
            if self.active(name, config):
                config[name] = choose(name, self.parameters[name])
        return config

    def suggest(self, trial: "BaseTrial") -> Config:
        """Asks a trial for every parameter that exists; constants included. Name -> value."""
        return self._decide(lambda name, parameter: parameter.suggest(trial, name))

    def extremes(self) -> tuple[Config, Config]:
        """The configurations of the smallest and of the largest model."""
        smallest = self._decide(lambda _, parameter: parameter.extremes()[0])
        return smallest, self._decide(lambda _, parameter: parameter.extremes()[1])

    def uncountable(self) -> list[str]:
        """The names of the parameters that a grid cannot run through."""
        return [name for name, parameter in self.parameters.items() if parameter.values() is None]

    def configurations(self) -> Iterator[Config]:
        """All configurations, each once: parameters that do not exist in one do not multiply it."""

        def extend(config: Config, names: tuple[str, ...]) -> Iterator[Config]:
            if not names:
                yield config
            elif not self.active(names[0], config):
                yield from extend(config, names[1:])
            else:
                for value in self.parameters[names[0]].values() or ():
                    yield from extend({**config, names[0]: value}, names[1:])

        return extend({}, self.order)

    def complaints(self, config: Mapping[str, Any]) -> dict[str, str]:
        """What is wrong with the values of a fixed configuration: name -> rule and value."""
        found = {}
        for name, value in config.items():
            parameter = self.parameters.get(name)
            if parameter is None:
                found[name] = f"unknown parameter; {nearest(name, self.parameters)}"
            elif complaint := parameter.complaint(value):
                found[name] = complaint
            elif any(
                parent in config and not _matches(config[parent], allowed)
                for parent, allowed in parameter.when.items()
            ):
                found[name] = f"does not exist unless {_say(parameter.when)}"
        return found

    def settings(self, config: Mapping[str, Any]) -> Config:
        """What a configuration sets: key -> value, `sets` followed."""
        return {
            (self.parameters[name].sets or name) if name in self.parameters else name: value
            for name, value in config.items()
        }

    def merged(self, declared: "SearchSpace") -> "SearchSpace":
        """This space and the parameters that a model declared itself; where both name one, this one's."""
        return SearchSpace(model=self.model, parameters={**declared.parameters, **self.parameters})

    @cached_property
    def digest(self) -> str:
        """Content hash of the space, 16 hexadecimal digits."""
        text = json.dumps(self.model_dump(mode="json"), sort_keys=True)
        return hashlib.sha256(text.encode()).hexdigest()[:16]


def parse_space(document: Document, training: TrainingSpec | None = None) -> SearchSpace:
    """Checks a document as a search space, and its parameters against the keys of `training` they set.

    Raises:
        FileMistakes: all its mistakes at once.
    """
    try:
        space = SearchSpace.model_validate(document.data)
    except ValidationError as error:
        raise FileMistakes(mistakes_of(error, document, SearchSpace)) from None
    mistakes = [document.mistake(key, message) for key, message in _conditions(space)]
    mistakes += [document.mistake(key, message) for key, message in _training_values(space, training)]
    if mistakes:
        raise FileMistakes(mistakes)
    return space


def training_with(training: TrainingSpec, settings: Mapping[str, Any]) -> TrainingSpec:
    """The training section with the keys that a configuration sets.

    Raises:
        pydantic.ValidationError: a value that the section does not allow.
    """
    fields = TrainingSpec.model_fields
    changes = {key.removeprefix("training."): value for key, value in settings.items()}
    changes = {key: value for key, value in changes.items() if key in fields}
    return TrainingSpec.model_validate({**training.model_dump(), **changes})


def _conditions(space: SearchSpace) -> Iterator[tuple[Key, str]]:
    try:
        _ = space.order
    except ValueError as error:
        yield ("parameters",), str(error)
        return
    for name, parameter in space.parameters.items():
        for parent, allowed in parameter.when.items():
            key: Key = ("parameters", name, "when", parent)
            if parent not in space.parameters:
                yield key, f"unknown parameter; {nearest(parent, space.parameters)}"
                continue
            if isinstance(allowed, Interval):
                low, high = space.parameters[parent].extremes()
                numbers = isinstance(low, int | float) and isinstance(high, int | float)
                if not numbers:
                    yield key, f"an interval needs a number, and {parent} is none"
                elif (allowed.low or -math.inf) > high or (math.inf if allowed.high is None else allowed.high) < low:
                    yield key, f"never holds: {parent} runs from {low} to {high}"
                continue
            for value in allowed if isinstance(allowed, list) else [allowed]:
                if complaint := space.parameters[parent].complaint(value):
                    yield key, f"never holds: {parent} {complaint}"


def _training_values(space: SearchSpace, training: TrainingSpec | None) -> Iterator[tuple[Key, str]]:
    fields = TrainingSpec.model_fields
    for name, parameter in space.parameters.items():
        target = (parameter.sets or name).removeprefix("training.")
        if target not in fields:
            if (parameter.sets or name).startswith("training."):
                yield ("parameters", name), f"sets an unknown key of training; {nearest(target, fields)}"
            continue
        candidates = parameter.values() if isinstance(parameter, CategoricalParameter) else parameter.extremes()
        for value in dict.fromkeys(map(json.dumps, candidates or ())):
            try:
                training_with(training or TrainingSpec(), {target: json.loads(value)})
            except ValidationError as error:
                problem = error.errors()[0]["msg"].replace("Input should be", "must be")
                yield ("parameters", name), f"sets training.{target} to {value}, which {problem}"


def _check_range(low: float, high: float, log: bool, step: float | None) -> None:
    if low > high:
        raise ValueError(f"low must not exceed high, got {low:g} and {high:g}")
    if log and low <= 0:
        raise ValueError(f"low must be above 0 for a log scale, got {low:g}")
    if log and step is not None:
        raise ValueError(f"log and step exclude each other, got step {step:g}")


def _matches(value: Any, allowed: Any) -> bool:
    if isinstance(allowed, Interval):
        low = -math.inf if allowed.low is None else allowed.low
        high = math.inf if allowed.high is None else allowed.high
        return isinstance(value, int | float) and low <= value <= high
    if isinstance(allowed, list):
        return any(_matches(value, one) for one in allowed)
    # True == 1 in Python; in a YAML file they are two values.
    return bool(value == allowed) and isinstance(value, bool) == isinstance(allowed, bool)


def _say(when: Mapping[str, Any]) -> str:
    def one(allowed: Any) -> str:
        if isinstance(allowed, Interval):
            ends = (f"at least {allowed.low:g}" if allowed.low is not None else "",
                    f"at most {allowed.high:g}" if allowed.high is not None else "")
            return " and ".join(filter(None, ends))
        return " or ".join(map(str, allowed)) if isinstance(allowed, list) else str(allowed)

    return " and ".join(f"{parent} is {one(allowed)}" for parent, allowed in when.items())


def _size(value: Any) -> float:
    flat = itertools.chain.from_iterable([item] if not isinstance(item, list) else item for item in value)
    return float(sum(item for item in flat if isinstance(item, int | float)))
