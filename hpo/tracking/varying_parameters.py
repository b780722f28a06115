"""Which parameters of a study vary, as MLflow's UI shows them, and which of them make good axes."""

import math
from collections import defaultdict
from collections.abc import Hashable, Mapping, Sequence
from typing import final

from hpo.study.record import TrialRecord
from hpo.tracking import entities

MOST_AXES = 7
"""The most axes of parallel coordinates. If there are more, the UI writes their names at an angle and they overlap."""

_MOST_TEXTS = 30
"""The most different texts on an axis. The UI leaves out trials with others."""

_BINS = 4
"""The number of bins of a numeric parameter; each has the same number of trials."""


@final
class Varied:
    """Collects which values the parameters of a study took, and the scores."""

    def __init__(self, declared: Sequence[str]) -> None:
        """`declared`: the parameters that may vary by the search space, in its order."""
        self._declared = [entities.key(name) for name in declared]
        self._seen: dict[int, Mapping[str, str]] = {}
        self._first: dict[str, str] = {}
        self._several: set[str] = set()
        self.tests: set[str] = set()
        """The metrics on the test part that any trial has."""
        self._scores: dict[int, float] = {}

    def __len__(self) -> int:
        """The number of trials that were added."""
        return len(self._seen)

    def see(self, record: TrialRecord) -> None:
        """Adds a trial. Trials that have not ended, and confirming runs, are ignored."""
        if record.confirms is not None or record.state not in entities.STATUS:
            return
        params = {param.key: param.value for param in entities.params(record.params)}
        self._seen[record.number] = params
        self._several |= {name for name, value in params.items() if self._first.setdefault(name, value) != value}
        self.tests |= {name.removeprefix("test_") for name in record.test}
        if record.value is not None and record.state != "failed" and math.isfinite(record.value):
            self._scores[record.number] = record.value

    def columns(self) -> list[str]:
        """The parameters that took several values; until two trials have ended, those that may vary."""
        if len(self._seen) < 2:
            return list(self._declared)
        first = [name for name in self._declared if name in self._several]
        return first + sorted(self._several - set(first))

    def axes(self) -> list[str]:
        """The parameters for parallel coordinates: if there are many, those that influence the score most.

        The UI leaves out a trial that lacks one of them, or that has a text where most have numbers. So these are
        parameters that all trials with a score have, and that are either numbers or few different texts.
        """
        columns = self.columns()
        if len(self._scores) < 2:
            return columns[:MOST_AXES]
        fit = [name for name in columns if self._fits(name)]
        if len(fit) <= MOST_AXES:
            return fit
        strongest = sorted(fit, key=self._influence, reverse=True)[:MOST_AXES]
        return [name for name in fit if name in strongest]

    def _values(self, name: str) -> list[str]:
        """The parameter's values in the trials that have a score. Trials without the parameter are left out."""
        return [self._seen[number][name] for number in self._scores if name in self._seen[number]]

    def _fits(self, name: str) -> bool:
        values = self._values(name)
        numbers = sum(_number(value) is not None for value in values)
        alike = numbers == len(values) or (numbers == 0 and len(set(values)) <= _MOST_TEXTS)
        return len(values) == len(self._scores) and len(set(values)) > 1 and alike

    def _influence(self, name: str) -> float:
        """The share of the variance of the scores' ranks that is between values, or bins, adjusted for their number.

        The adjustment keeps a parameter with many values from seeming stronger than one with two.
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
    """The bin of each value if they are many numbers; otherwise the values themselves."""
    numbers = [_number(value) for value in values]
    known = [number for number in numbers if number is not None]
    if len(known) < len(values) or len(set(known)) <= _BINS:
        return values
    return [int(rank * _BINS / len(known)) for rank in _ranks(known)]


def _ranks(values: Sequence[float]) -> list[float]:
    """The rank of each value, from 0. Equal values share the mean of their ranks."""
    places: dict[float, list[int]] = defaultdict(list)
    for place, value in enumerate(sorted(values)):
        places[value].append(place)
    return [sum(places[value]) / len(places[value]) for value in values]
