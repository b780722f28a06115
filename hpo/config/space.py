"""The search space: parameters, the conditions under which they exist, and what they set.

The same space serves a sampler (`suggest` with an Optuna trial), a grid (`configurations`), and fixed or
enqueued configurations (`complaints`, `to_optuna`).
"""

import hashlib
import json
import random
from collections.abc import Callable, Iterator, Mapping
from functools import cached_property
from graphlib import TopologicalSorter
from typing import TYPE_CHECKING, Any, TypeVar

from pydantic import Field

from hpo.config.conditions import Interval, describe, holds
from hpo.config.experiment import DatasetSpec, TrainingSpec
from hpo.config.parameters import (
    AnyParameter,
    BooleanParameter,
    CategoricalParameter,
    Constant,
    FloatParameter,
    IntParameter,
    Parameter,
)
from hpo.config.section import Section
from hpo.errors import nearest

if TYPE_CHECKING:
    from optuna.trial import BaseTrial

__all__ = [
    "BooleanParameter",
    "CategoricalParameter",
    "Constant",
    "FloatParameter",
    "IntParameter",
    "Interval",
    "Parameter",
    "SearchSpace",
    "dataset_with",
    "training_with",
]

Config = dict[str, Any]
_Spec = TypeVar("_Spec", bound=Section)


class SearchSpace(Section):
    """What may vary, and the model that it varies."""

    model: str
    """The model: one that hpo knows (`hpo list models`), or the import path `package.module:name` of your own.
    Example: mlp"""
    parameters: dict[str, AnyParameter] = Field(default_factory=dict)
    """The parameters by name. A single value or a list is a constant, which does not vary. Default: none.
    Example: {depth: {type: int, low: 1, high: 4}, width: 128}"""

    @cached_property
    def order(self) -> tuple[str, ...]:
        """The names in the order of the file, but parents before their children.

        Raises:
            graphlib.CycleError: conditions form a cycle, which is the error's second argument.
        """
        sorter = TopologicalSorter({name: self._parents(name) for name in self.parameters})
        sorter.prepare()
        line = {name: index for index, name in enumerate(self.parameters)}
        ready: set[str] = set()
        placed: list[str] = []
        while sorter.is_active():
            ready.update(sorter.get_ready())
            first = min(ready, key=line.__getitem__)
            ready.remove(first)
            placed.append(first)
            sorter.done(first)
        return tuple(placed)

    def _parents(self, name: str) -> list[str]:
        return [parent for parent in self.parameters[name].when if parent in self.parameters]

    def target(self, name: str) -> str:
        """The key that a parameter sets: `sets`, else its own name."""
        return self.parameters[name].sets or name

    def active(self, name: str, config: Mapping[str, Any]) -> bool:
        """Whether a parameter exists, given the values of the parameters before it."""
        return all(
            parent in config and holds(condition, config[parent])
            for parent, condition in self.parameters[name].when.items()
        )

    def all_conditions(self, name: str) -> Iterator[tuple[str, Any]]:
        """All conditions that must hold for a parameter to exist, with those of its parents: (parent, condition)."""
        names, seen = [name], {name}
        while names:
            for parent, condition in self.parameters[names.pop()].when.items():
                yield parent, condition
                if parent in self.parameters and parent not in seen:
                    names.append(parent)
                    seen.add(parent)

    def _decide(self, choose: Callable[[str, AnyParameter], Any]) -> Config:
        config: Config = {}
        for name in self.order:
            if self.active(name, config):
                config[name] = choose(name, self.parameters[name])
        return config

    def suggest(self, trial: "BaseTrial") -> Config:
        """Asks a trial for every parameter that exists, and adds the constants. Name -> value."""
        return self._decide(lambda name, parameter: parameter.suggest(trial, name))

    def extremes(self) -> tuple[Config, Config]:
        """The configurations of the smallest and of the largest model."""
        smallest = self._decide(lambda _, parameter: parameter.extremes()[0])
        return smallest, self._decide(lambda _, parameter: parameter.extremes()[1])

    def examples(self, count: int) -> Iterator[Config]:
        """The extremes, then `count` configurations drawn uniformly at random; always the same ones."""
        yield from self.extremes()
        rng = random.Random(0)
        for _ in range(count):
            yield self._decide(lambda _, parameter: _drawn(parameter, rng))

    def defaults(self) -> Config:
        """The defaults of the parameters that have one, and that exist with the defaults of those before them."""
        known: Config = {}
        for name in self.order:
            parameter = self.parameters[name]
            value = parameter.value if isinstance(parameter, Constant) else parameter.default
            if value is not None and self.active(name, known):
                known[name] = value
        return {name: value for name, value in known.items() if not isinstance(self.parameters[name], Constant)}

    def uncountable(self) -> list[str]:
        """The names of the parameters whose values a grid cannot enumerate."""
        return [name for name, parameter in self.parameters.items() if parameter.values() is None]

    def configurations(self) -> Iterator[Config]:
        """All configurations, each once: parameters that do not exist in one do not make copies of it.

        Raises:
            ValueError: a parameter has no countable values; see `uncountable`.
        """
        if endless := self.uncountable():
            raise ValueError(f"a grid needs a step, or choices, for {', '.join(endless)}")

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
        """What is wrong with the values of a fixed configuration: name -> rule and value.

        A configuration may leave parameters out; a sampler proposes them.
        """
        found = {}
        for name, value in config.items():
            parameter = self.parameters.get(name)
            if parameter is None:
                found[name] = f"unknown parameter; {nearest(name, self.parameters)}"
            elif complaint := parameter.complaint(value):
                found[name] = complaint
            elif not self._possible(name, config):
                found[name] = f"does not exist unless {describe(parameter.when)}"
        return found

    def _possible(self, name: str, config: Mapping[str, Any]) -> bool:
        """Whether a parameter can exist for some values of the parameters that a configuration leaves out."""
        fixed = {key: source.value for key, source in self.parameters.items() if isinstance(source, Constant)}
        known = {**fixed, **config}
        return all(
            holds(condition, known[parent]) for parent, condition in self.all_conditions(name) if parent in known
        )

    def settings(self, config: Mapping[str, Any]) -> Config:
        """The keys that a configuration sets (key -> value): names of parameters are replaced by what `sets` names."""
        return {self.target(name) if name in self.parameters else name: value for name, value in config.items()}

    def key(self, config: Mapping[str, Any]) -> str:
        """A text that is equal for two configurations if and only if they are the same."""
        known = self.parameters
        values = {name: known[name].canonical(value) if name in known else value for name, value in config.items()}
        return json.dumps(values, sort_keys=True)

    def to_optuna(self, config: Mapping[str, Any]) -> Config:
        """A configuration in the form of `enqueue_trial` and `FixedTrial`.

        Constants are left out, and choices that are lists are JSON text, as Optuna stores them.
        """
        found = {}
        for name, value in config.items():
            parameter = self.parameters.get(name)
            if not isinstance(parameter, Constant):
                found[name] = parameter.encoded(value) if isinstance(parameter, CategoricalParameter) else value
        return found

    @cached_property
    def digest(self) -> str:
        """Content hash of the space, 16 hexadecimal digits."""
        text = json.dumps(self.model_dump(mode="json"), sort_keys=True)
        return hashlib.sha256(text.encode()).hexdigest()[:16]


def _drawn(parameter: Parameter, rng: random.Random) -> Any:
    values = parameter.values()
    return rng.uniform(*parameter.extremes()) if values is None else rng.choice(values)


def training_with(training: TrainingSpec, settings: Mapping[str, Any]) -> TrainingSpec:
    """The training section with the keys that a configuration sets: `momentum`, `early_stopping.patience`, ...

    Raises:
        pydantic.ValidationError: a value that the section does not allow.
    """
    return section_with(training, "training", settings)


def dataset_with(dataset: DatasetSpec, settings: Mapping[str, Any]) -> DatasetSpec:
    """The dataset section with the keys that a configuration sets: `dataset.scaling`, ...

    Raises:
        pydantic.ValidationError: a value that the section does not allow.
    """
    return section_with(dataset, "dataset", settings)


def section_with(spec: _Spec, section: str, settings: Mapping[str, Any]) -> _Spec:
    """The section of the experiment with the name `section`, with its keys that a configuration sets.

    Raises:
        pydantic.ValidationError: a value that the section does not allow.
    """
    changes = {path: value for key, value in settings.items() if (path := in_section(key, section))}
    return type(spec).model_validate(_changed(spec.model_dump(exclude_unset=True), changes)) if changes else spec


def sets_section(key: str) -> bool:
    """Whether a key belongs to the experiment's sections `training` or `dataset`, and not to the model."""
    return any(in_section(key, section) for section in ("training", "dataset"))


def in_section(key: str, section: str) -> tuple[str, ...]:
    """The path within a section that a key sets; empty if it sets something else. `training.` may be left out."""
    first, *rest = key.split(".")
    if first == section and rest:
        return tuple(rest)
    return (first, *rest) if section == "training" and first in TrainingSpec.model_fields else ()


def _changed(plain: dict[str, Any], changes: Mapping[tuple[str, ...], Any]) -> dict[str, Any]:
    """Nested mappings with the values at some paths replaced; whole sections are replaced before keys within them."""
    for path, value in sorted(changes.items(), key=lambda change: len(change[0])):
        inner: Any = plain
        for name in path[:-1]:
            inner = _opened(inner, _place(inner, name))
        inner[_place(inner, path[-1])] = value
    return plain


def _place(inner: Any, name: str) -> Any:
    """A key of a mapping, or the place in a list of an item that is counted from 1.

    One that the list does not have is added to its end, where the section refuses it.
    """
    if not isinstance(inner, list):
        return name
    place = int(name) - 1 if name.isdecimal() else len(inner)
    if place not in range(len(inner)):
        inner.append({})
        return len(inner) - 1
    return place


def _opened(inner: Any, place: Any) -> Any:
    """What is at a key, as a mapping or a list that may be changed."""
    found = inner[place] if isinstance(inner, list) else inner.get(place)
    if isinstance(found, list | tuple):
        inner[place] = [*found]
    elif not isinstance(found, dict):
        # A name alone is short for a mapping: `loss.delta` is an option of the loss that is named.
        inner[place] = {"name": found} if isinstance(found, str) else {}
    return inner[place]
