"""The hyperparameters that a KerasTuner model declares: how they are stored, and their search space.

This module does not import KerasTuner.
"""

import copy
import itertools
import math
from collections import Counter, defaultdict
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from hpo.config.space import SearchSpace
from hpo.errors import ModelError
from hpo.text.cleaning import LONGEST_NAME, is_clean

When = dict[str, Any]


def _nothing() -> Mapping[str, Any]:
    return {"space": [], "values": {}}


@dataclass(frozen=True)
class Declared:
    """The hyperparameters that a model is known to declare while it is built or trained.

    Only KerasTuner models declare hyperparameters. This object travels with each job, since a model that is built again
    must find the same names.
    """

    config: Mapping[str, Any] = field(default_factory=_nothing)
    """The stored form: KerasTuner's `HyperParameters.get_config()`."""

    @classmethod
    def from_config(cls, model: str, config: Mapping[str, Any]) -> "Declared":
        """The declarations in the configuration of a model; it is copied, since KerasTuner goes on changing it.

        Raises:
            ModelError: it contains a name or a choice that cannot be stored or printed.
        """
        _refuse_unstorable(model, config)
        return cls(copy.deepcopy(dict(config)))

    def space(self, model: str) -> SearchSpace:
        """The search space of a model that declares this: the same names, ranges, steps and conditions.

        There are three differences. `sampling="log"` with a step becomes a list of its values.
        `sampling="reverse_log"`, which Optuna lacks, becomes uniform over the range. A name that KerasTuner knows under
        several conditions becomes one parameter for each condition, named `units when model is cnn`, which sets
        `units`.
        """
        return SearchSpace.model_validate({"model": model, "parameters": _parameters(self.config["space"])})

    def added_to(self, space: SearchSpace) -> SearchSpace:
        """A space with the parameters that its model declares; if both have a parameter, the space's is used."""
        parameters = {**self.space(space.model).parameters, **space.parameters}
        return SearchSpace(model=space.model, parameters=parameters)

    def widened(self, found: "Declared") -> "Declared":
        """This, extended by what a trial declared in addition.

        Trials that train at the same time may each declare what the other does not, so nothing known is removed.
        """
        known = [_place(entry) for entry in self.config["space"]]
        more = [entry for entry in found.config["space"] if _place(entry) not in known]
        values = {**self.config["values"], **found.config["values"]}
        return Declared({"space": [*self.config["space"], *more], "values": values})


NOTHING_DECLARED = Declared()


def _place(entry: Mapping[str, Any]) -> tuple[str, list[Any]]:
    """The name and the conditions of a hyperparameter, by which KerasTuner identifies it."""
    return entry["config"]["name"], entry["config"].get("conditions") or []


def _parameters(entries: Sequence[Mapping[str, Any]]) -> dict[str, Any]:
    """The parameters of a search space by name, in the form of a search space file."""
    times = Counter(entry["config"]["name"] for entry in entries)
    kinds = {entry["config"]["name"]: entry["class_name"] for entry in entries}
    parameters: dict[str, Any] = {}
    variants: dict[str, list[str]] = defaultdict(list)
    for entry in entries:
        name = entry["config"]["name"]
        if name in parameters:
            # The first one always exists, so KerasTuner never asks for this one.
            continue
        whens = list(_combinations(entry["config"].get("conditions") or [], variants, kinds))
        for when in whens:
            alone = not when or (times[name] == 1 and len(whens) == 1)
            key = name if alone else f"{name} when {_in_words(when)}"
            if key not in parameters:
                sets = None if alone else name
                parameters[key] = {
                    **_parameter(entry["class_name"], entry["config"]),
                    "when": when,
                    "sets": sets,
                }
                variants[name].append(key)
    return parameters


def _refuse_unstorable(model: str, config: Mapping[str, Any]) -> None:
    """Refuses names and choices that a database, a file or a terminal cannot hold.

    Raises:
        ModelError: a name is too long, or a text contains NUL or half a surrogate pair.
    """
    for entry in config["space"]:
        name = entry["config"]["name"]
        if not is_clean(name) or len(name) > LONGEST_NAME:
            rule = f"must be text of at most {LONGEST_NAME} characters, without NUL and surrogate characters"
            raise ModelError(f"{model}: declares the name {name[:80]!r}; a name {rule}")
        for choice in entry["config"].get("values") or ():
            if isinstance(choice, str) and not is_clean(choice):
                rule = "must be text without NUL and surrogate characters"
                raise ModelError(f"{model}: declares {name} with the choice {choice[:80]!r}; a choice {rule}")


def _parameter(kind: str, config: Mapping[str, Any]) -> dict[str, Any]:
    parameter = _ranged(kind, config)
    # KerasTuner fills in the first value where a model declares none.
    implied = {"Boolean": False, "Choice": (config.get("values") or [None])[0]}.get(kind, config.get("min_value"))
    default = config.get("default")
    # KerasTuner's default need not be one of the steps, and a parameter's does.
    if kind != "Fixed" and default not in (None, implied) and _allows(parameter, default):
        parameter["default"] = default
    return parameter


def _allows(parameter: Mapping[str, Any], value: Any) -> bool:
    space = SearchSpace.model_validate({"model": "declared", "parameters": {"one": parameter}})
    return space.parameters["one"].complaint(value) is None


def _ranged(kind: str, config: Mapping[str, Any]) -> dict[str, Any]:
    if kind == "Boolean":
        return {"type": "boolean"}
    if kind == "Fixed":
        return {"type": "constant", "value": config["value"]}
    if kind == "Choice":
        return {"type": "categorical", "choices": list(dict.fromkeys(config["values"]))}
    number = int if kind == "Int" else float
    low, high, step, sampling = (config[key] for key in ("min_value", "max_value", "step", "sampling"))
    if sampling != "linear" and step is not None:
        choices = dict.fromkeys(map(number, _multiples(low, high, step, sampling)))
        return {"type": "categorical", "choices": list(choices)}
    parameter = {"type": number.__name__, "low": low, "high": high, "log": sampling == "log"}
    return parameter if step is None else {**parameter, "step": step}


def _multiples(low: float, high: float, step: float, sampling: str) -> list[float]:
    """Values from `low` upwards, each `step` times the one before; for reverse_log the same, mirrored in the range."""
    # As KerasTuner's Numerical._get_n_values: a whole power still counts if rounding made it slightly too small.
    count = int(math.log(high / low, step) + 1e-8) + 1
    values = [low * step**power for power in range(count)]
    return values if sampling == "log" else [high + low - value for value in values]


def _combinations(
    conditions: Sequence[Mapping[str, Any]], variants: Mapping[str, list[str]], kinds: Mapping[str, str]
) -> Iterator[When]:
    """Yields the conditions in the form of `when`, one mapping for each combination of the variants of the parents."""
    parents = [one["config"]["name"] for one in conditions]
    for names in itertools.product(*(variants[parent] for parent in parents)):
        when: dict[str, list[Any]] = {}
        for name, parent, one in zip(names, parents, conditions, strict=True):
            # KerasTuner stores a Choice of booleans as 1 and 0; a search space distinguishes true from 1.
            number = bool if kinds[parent] == "Boolean" else int
            values = [number(value) if isinstance(value, bool | int) else value for value in one["config"]["values"]]
            when[name] = [value for value in values if value in when.get(name, values)]
        yield {name: values[0] if len(values) == 1 else values for name, values in when.items()}


def _in_words(when: When) -> str:
    return " and ".join(
        f"{name} is {' or '.join(map(str, values)) if isinstance(values, list) else values}"
        for name, values in when.items()
    )
