"""A search space as a unit cube: configurations as vectors, for models that work with distances."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np

from hpo.config.conditions import is_number, same
from hpo.config.parameters import BooleanParameter, CategoricalParameter, FloatParameter, IntParameter, Parameter
from hpo.config.space import SearchSpace

# Two values of a list without an order are sqrt(2) times this apart; the ends of a range are 1 apart.
_APART = 0.5


@dataclass(frozen=True)
class _Axis:
    """A parameter that varies: its values as numbers from 0 to 1."""

    name: str
    place: Callable[[Any], float]
    """Value -> number from 0 to 1."""
    value: Callable[[float], Any]
    """Number from 0 to 1 -> the nearest value."""
    settle: Callable[[np.ndarray], np.ndarray]
    """Numbers from 0 to 1 -> the numbers of the nearest values, all at once."""
    choices: int = 0
    """How many values a list without an order has; 0: the values have an order."""


class Cube:
    """The parameters of a space that vary, each as a number from 0 to 1, NaN where it does not exist.

    Ranges are on the scale on which they are declared; numbers in a list are in their order. Lists of anything else
    have no order: their values are equally far from each other.
    """

    def __init__(self, space: SearchSpace) -> None:
        self.space = space
        parameters = space.parameters
        self._axes = [_axis(name, parameters[name]) for name in space.order if parameters[name].varies]
        self._conditional = [place for place, axis in enumerate(self._axes) if parameters[axis.name].when]

    @property
    def size(self) -> int:
        """How many parameters vary."""
        return len(self._axes)

    @property
    def unordered(self) -> np.ndarray:
        """How many values each parameter has whose values have no order; 0 for the others."""
        return np.array([axis.choices for axis in self._axes], dtype=int)

    def encode(self, config: Mapping[str, Any]) -> np.ndarray:
        """The numbers of a configuration, shape (size,)."""
        return np.array([axis.place(config[axis.name]) if axis.name in config else np.nan for axis in self._axes])

    def decode(self, numbers: np.ndarray, fixed: Mapping[str, Any] | None = None) -> dict[str, Any]:
        """The configuration nearest to these numbers, shape (size,); `fixed`: values that it must have."""
        places = {axis.name: place for place, axis in enumerate(self._axes)}
        config: dict[str, Any] = {}
        for name in self.space.order:
            if not self.space.active(name, config):
                continue
            if fixed and name in fixed:
                config[name] = fixed[name]
            elif name in places:
                number = numbers[places[name]]
                config[name] = self._axes[places[name]].value(0.5 if np.isnan(number) else float(number))
            else:
                config[name] = (self.space.parameters[name].values() or [None])[0]
        return config

    def settled(self, numbers: np.ndarray, fixed: Mapping[str, Any] | None = None) -> np.ndarray:
        """Points, shape (n, size), moved to those of real configurations, which have the values `fixed`."""
        if not self._conditional and not np.isnan(numbers).any():
            places = {axis.name: place for place, axis in enumerate(self._axes)}
            columns = [axis.settle(numbers[:, place]) for place, axis in enumerate(self._axes)]
            for name in (fixed or {}).keys() & places.keys():
                columns[places[name]] = np.full(len(numbers), self._axes[places[name]].place((fixed or {})[name]))
            return np.column_stack(columns) if columns else np.zeros((len(numbers), 0))
        return np.array([self.encode(self.decode(row, fixed)) for row in numbers]).reshape(len(numbers), self.size)

    def features(self, numbers: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """Coordinates of points, shape (n, coordinates), and the parameter that each coordinate belongs to.

        A parameter without an order has a coordinate for each value. One that does not exist is in the middle.
        """
        columns, owners = [], []
        for place, axis in enumerate(self._axes):
            column = numbers[:, place]
            absent = np.isnan(column)
            if not axis.choices:
                columns.append(np.where(absent, 0.5, column))
            for choice in range(axis.choices):
                at = np.abs(column - (choice + 0.5) / axis.choices) < 0.5 / axis.choices
                columns.append(np.where(absent, _APART / axis.choices, _APART * at))
            owners += [place] * max(axis.choices, 1)
        return np.column_stack(columns) if columns else np.zeros((len(numbers), 0)), np.array(owners, dtype=int)


def _axis(name: str, parameter: Parameter) -> _Axis:
    if isinstance(parameter, BooleanParameter):
        return _listed(name, [False, True], ordered=True)
    if isinstance(parameter, CategoricalParameter):
        return _listed(name, list(parameter.choices), ordered=all(map(is_number, parameter.choices)))
    assert isinstance(parameter, IntParameter | FloatParameter)
    low, high = parameter.extremes()
    values = parameter.values()
    if values is not None and not parameter.log:
        return _stepped(name, parameter, len(values))
    whole = isinstance(parameter, IntParameter)
    # Each whole number has the share of the range that is nearest to it.
    start, end = (low - 0.5, high + 0.5) if whole else (low, high)
    scale, unscale = (np.log, np.exp) if parameter.log else (float, float)
    start, end = float(scale(start)), float(scale(end))

    def value(number: float) -> Any:
        found = float(unscale(start + number * (end - start)))
        # NumPy's own clip takes ten times as long for a single number.
        return int(min(max(round(found), low), high)) if whole else float(min(max(found, low), high))

    def settle(numbers: np.ndarray) -> np.ndarray:
        found = start + numbers * (end - start)
        found = np.exp(found) if parameter.log else found
        found = np.clip(np.rint(found) if whole else found, low, high)
        placed: np.ndarray = ((np.log(found) if parameter.log else found) - start) / (end - start)
        return placed

    return _Axis(name, lambda given: float((scale(given) - start) / (end - start)), value, settle)


def _nearest_of(count: int) -> Callable[[np.ndarray], np.ndarray]:
    """Numbers from 0 to 1 -> the middles of those of `count` equal parts in which they are."""
    return lambda numbers: (np.minimum((numbers * count).astype(int), count - 1) + 0.5) / count


def _stepped(name: str, parameter: IntParameter | FloatParameter, count: int) -> _Axis:
    values = parameter.values() or ()
    step = (values[-1] - values[0]) / (count - 1)
    return _Axis(
        name,
        lambda given: (round((given - values[0]) / step) + 0.5) / count,
        lambda number: values[min(int(number * count), count - 1)],
        _nearest_of(count),
    )


def _listed(name: str, values: list[Any], ordered: bool) -> _Axis:
    if ordered:
        values = sorted(values)
    count = len(values)

    def place(given: Any) -> float:
        found = next(index for index, value in enumerate(values) if same(value, given))
        return (found + 0.5) / count

    # A list of two values is as good as a range.
    choices = count if not ordered and count > 2 else 0
    return _Axis(name, place, lambda number: values[min(int(number * count), count - 1)], _nearest_of(count), choices)
