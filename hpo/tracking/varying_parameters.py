"""Which parameters of a study vary, as MLflow's UI sees them, and which of them make good axes. Pure."""

import math
from collections import defaultdict
from collections.abc import Hashable, Mapping, Sequence
from typing import final

from hpo.study.record import TrialRecord
from hpo.tracking import entities

MOST_AXES = 7
"""Parameters in parallel coordinates: with more the UI writes their names aslant, over each other."""

_MOST_TEXTS = 30
"""Different texts on an axis; the UI leaves out the trials of others."""

_BINS = 4
"""Of equally many trials, for a parameter of numbers."""


@final
class Varied:
    """What is known of the parameters of a study; each trial that ends adds to it."""

    def __init__(self, declared: Sequence[str]) -> None:
        """`declared`: what may vary by the search space, in its order."""
        self._declared = [entities.key(name) for name in declared]
        self._seen: dict[int, Mapping[str, str]] = {}
        self._first: dict[str, str] = {}
        self._several: set[str] = set()
        self.tests: set[str] = set()
        """The metrics that some trial has on the test part."""
        self._scores: dict[int, float] = {}

    def __len__(self) -> int:
        """The trials that were taken up."""
        return len(self._seen)

    def see(self, record: TrialRecord) -> None:
        """Takes up a trial; one that has not ended, or that confirms another, says nothing."""
        if record.confirms is not None or record.state not in entities.STATUS:
            return
        params = {param.key: param.value for param in entities.params(record.params)}
        self._seen[record.number] = params
        self._several |= {name for name, value in params.items() if self._first.setdefault(name, value) != value}
        self.tests |= {name.removeprefix("test_") for name in record.test}
        if record.value is not None and record.state != "failed" and math.isfinite(record.value):
            self._scores[record.number] = record.value

    def columns(self) -> list[str]:
        """The parameters that took several values; until two trials have ended, those that may."""
        if len(self._seen) < 2:
            return list(self._declared)
        first = [name for name in self._declared if name in self._several]
        return first + sorted(self._several - set(first))

    def axes(self) -> list[str]:
        """The parameters for parallel coordinates, the most telling ones where there are many.

        The UI leaves out a trial that lacks one of them, or that has a text where most have numbers. So these are
        parameters that all trials with a score have, and that are either numbers or few different texts.
        """
        columns = self.columns()
        if len(self._scores) < 2:
            return columns[:MOST_AXES]
        fit = [name for name in columns if self._fits(name)]
        if len(fit) <= MOST_AXES:
            return fit
        telling = sorted(fit, key=self._influence, reverse=True)[:MOST_AXES]
        return [name for name in fit if name in telling]

    def _values(self, name: str) -> list[str]:
        """The values of the trials that have a score; fewer of them where some lack the parameter."""
        return [self._seen[number][name] for number in self._scores if name in self._seen[number]]

    def _fits(self, name: str) -> bool:
        values = self._values(name)
        numbers = sum(_number(value) is not None for value in values)
        alike = numbers == len(values) or (numbers == 0 and len(set(values)) <= _MOST_TEXTS)
        return len(values) == len(self._scores) and len(set(values)) > 1 and alike

    def _influence(self, name: str) -> float:
        """The share of the variance of the scores' ranks that lies between values, or bins; adjusted for their count.

        So a parameter of many values does not seem to tell more than one of two.
        """
        groups: dict[Hashable, list[float]] = defaultdict(list)
        values = self._values(name)
        for group, rank in zip(_grouped(values), _ranks(list(self._scores.values())), strict=True):
            groups[group].append(rank)
        count, mean = len(values), (len(values) - 1) / 2
        total = sum((rank - mean) ** 2 for ranks in groups.values() for rank in ranks)
        within = sum((rank - sum(ranks) / len(ranks)) ** 2 for ranks in groups.values() for rank in ranks)
        free = count - len(groups)
        return 1 - within / total * (count - 1) / free if total and free > 0 else 0.0


def _number(text: str) -> float | None:
    try:
        value = float(text)
    except ValueError:
        return None
    return value if math.isfinite(value) else None


def _grouped(values: Sequence[str]) -> Sequence[Hashable]:
    """Of each value its bin, where they are many numbers, else itself."""
    numbers = [_number(value) for value in values]
    known = [number for number in numbers if number is not None]
    if len(known) < len(values) or len(set(known)) <= _BINS:
        return values
    return [int(rank * _BINS / len(known)) for rank in _ranks(known)]


def _ranks(values: Sequence[float]) -> list[float]:
    """Of each value its place from 0; equal ones share the mean of theirs."""
    places: dict[float, list[int]] = defaultdict(list)
    for place, value in enumerate(sorted(values)):
        places[value].append(place)
    return [sum(places[value]) / len(places[value]) for value in values]
