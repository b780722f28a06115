"""The search space file: every mistake in it, also in how its parameters are combined."""

import itertools
import re
from collections.abc import Collection, Iterator
from dataclasses import dataclass
from graphlib import CycleError
from typing import Any

from pydantic import ValidationError

from hpo.config.conditions import Interval, exclude, is_number
from hpo.config.experiment import DatasetSpec, TrainingSpec
from hpo.config.mistakes import explain
from hpo.config.parameters import CategoricalParameter, FloatParameter, IntParameter
from hpo.config.section import Section
from hpo.config.space import SearchSpace, in_section, section_with
from hpo.config.valid_parts import examine
from hpo.config.yaml_file import Document, Key
from hpo.errors import Mistake, nearest

# The names of params that MLflow accepts.
_NAME = re.compile(r"\w[\w .:-]{0,199}")
# Replaces the model of a file that names none; its parameters are then not checked.
_UNKNOWN = "unknown:unknown"
# These keys select other data instead of another preparation of the same data.
_FIXED = ("name", "path", "function", "target", "task", "extra_tests", "steps_per_epoch")


@dataclass(frozen=True)
class ExaminedSpace:
    """The valid part of a document that was read as a search space, and the mistakes in the rest."""

    valid: SearchSpace | None
    """The space of the parameters that can be read; None if the document has no valid part."""
    mistakes: tuple[Mistake, ...]
    doubtful: frozenset[str]
    """The parameters with mistakes. Neither they nor parameters that depend on them are checked further."""


def examine_space(
    document: Document, training: TrainingSpec | None = None, dataset: DatasetSpec | None = None
) -> ExaminedSpace:
    """Reads a document as a search space; checks its parameters against the experiment's keys that they set."""
    read = examine(document, SearchSpace, {"model": _UNKNOWN})
    space, found = read.valid, list(read.mistakes)
    doubtful = frozenset(str(key[1]) for key in read.broken if len(key) > 1)
    if space is None:
        return ExaminedSpace(None, tuple(found), doubtful)
    while cycle := _cycle(space):
        message = f"conditions form a cycle: {' -> '.join(cycle)}"
        found.append(document.mistake(("parameters", cycle[0], "when"), message))
        doubtful |= {*cycle}
        kept = {name: one for name, one in space.parameters.items() if name not in cycle}
        space = SearchSpace(model=space.model, parameters=kept)
    conditions = list(_conditions(space, doubtful))
    unclear = doubtful | {str(key[1]) for key, _ in conditions}
    wrong = [*conditions, *_targets(space, unclear), *_section_values(space, doubtful, training, dataset)]
    found += [document.mistake(key, message) for key, message in wrong]
    return ExaminedSpace(space, tuple(found), doubtful | {str(key[1]) for key, _ in wrong})


def _cycle(space: SearchSpace) -> list[str]:
    """Parameters whose conditions form a cycle, with the first repeated at the end; empty if there is no cycle."""
    try:
        _ = space.order
    except CycleError as error:
        return list(error.args[1])
    return []


def _conditions(space: SearchSpace, doubtful: Collection[str]) -> Iterator[tuple[Key, str]]:
    for name, parameter in space.parameters.items():
        if not _NAME.fullmatch(name):
            rule = "a name must be 1 to 200 letters, digits, spaces or any of . _ : -, and begin with a letter or digit"
            yield ("parameters", name), rule
        found = False
        for parent, condition in parameter.when.items():
            if parent in doubtful:
                continue
            for message in _why_never(space, parent, condition, doubtful):
                found = True
                yield ("parameters", name, "when", parent), message
        if not found and name not in doubtful and _cannot_coexist(space, name, name):
            yield ("parameters", name, "when"), "can never hold: it and its parents' conditions exclude each other"


def _why_never(space: SearchSpace, parent: str, condition: Any, doubtful: Collection[str]) -> Iterator[str]:
    """Why a condition can never hold."""
    source = space.parameters.get(parent)
    if source is None:
        yield f"unknown parameter; {nearest(parent, dict.fromkeys((*space.parameters, *sorted(doubtful))))}"
    elif condition == []:
        yield "never holds: the list is empty"
    elif not isinstance(condition, Interval):
        for value in condition if isinstance(condition, list) else [condition]:
            if complaint := source.complaint(value):
                yield f"never holds: {parent} {complaint}"
    elif isinstance(source, IntParameter | FloatParameter):
        low, high = source.extremes()
        if exclude(condition, Interval(low=low, high=high)):
            yield f"never holds: {parent} runs from {low:g} to {high:g}"
    elif not any(map(is_number, source.values() or ())):
        yield f"an interval needs a number, and {parent} is none"
    elif not any(map(condition.holds, source.values() or ())):
        yield f"never holds: {parent} is one of {', '.join(map(str, source.values() or ()))}"


def _cannot_coexist(space: SearchSpace, one: str, other: str) -> bool:
    """Whether two parameters cannot exist together."""
    return any(
        parent == another and exclude(condition, against)
        for parent, condition in space.all_conditions(one)
        for another, against in space.all_conditions(other)
    )


def _targets(space: SearchSpace, doubtful: frozenset[str]) -> Iterator[tuple[Key, str]]:
    """Keys that two parameters could set at once; which one wins would be a guess."""
    by_key: dict[str, list[str]] = {}
    for name in space.parameters:
        if name in doubtful or doubtful & {parent for parent, _ in space.all_conditions(name)}:
            continue
        by_key.setdefault(space.target(name).removeprefix("training."), []).append(name)
    for key, names in by_key.items():
        for other, one in itertools.combinations(names, 2):
            if not _cannot_coexist(space, one, other):
                rule = "give them conditions that exclude each other"
                yield ("parameters", one), f"{other} may set {key} at the same time; {rule}"


def _section_values(
    space: SearchSpace, doubtful: frozenset[str], training: TrainingSpec | None, dataset: DatasetSpec | None
) -> Iterator[tuple[Key, str]]:
    """Parameters with a value that the section which they set does not allow; each value is checked by itself."""
    # The rules for keys that may vary are the same for every dataset.
    specs = {"training": training or TrainingSpec(), "dataset": dataset or DatasetSpec(name="digits")}
    for (name, parameter), (section, spec) in itertools.product(space.parameters.items(), specs.items()):
        if name in doubtful:
            continue
        key = space.target(name)
        path = in_section(key, section)
        if not path:
            continue
        if path[0] not in type(spec).model_fields:
            hint = nearest(path[0], type(spec).model_fields)
            yield ("parameters", name), f"sets an unknown key of {section}; {hint}"
            continue
        if path[0] == "phases" and len(path) > 1 and (path[1] not in _numbers(spec)):
            rule = f"and the section has {len(_numbers(spec)) or 'no'} phases; they are counted from 1"
            yield ("parameters", name), f"sets {section}.{'.'.join(path)}, {rule}"
            continue
        if section == "dataset" and (path[0] in _FIXED or path == ("validation", "folds")):
            yield ("parameters", name), f"sets dataset.{'.'.join(path)}, which is the same for all trials of a study"
            continue
        if section == "dataset" and path[0] == "arguments" and dataset is None:
            continue
        finite = isinstance(parameter, CategoricalParameter)
        for value in (parameter.values() if finite else parameter.extremes()) or ():
            try:
                section_with(spec, section, {key: value})
            except ValidationError as error:
                yield ("parameters", name), f"sets {section}.{'.'.join(path)}, which {explain(error.errors())}"
                break


def _numbers(spec: Section) -> list[str]:
    """The numbers of the phases of a training section."""
    return [str(number) for number, _ in enumerate(getattr(spec, "phases", None) or (), start=1)]
