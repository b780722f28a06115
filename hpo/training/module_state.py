"""Restores the user's modules after a trial, so that the next one does not see its changes.

Restored are the names in the modules, and the objects that they refer to, in place: containers, classes and their
instances, attributes of functions, random number generators, Keras's layers, optimizers and metrics, and arrays and
variables up to a size. Not restored: closures, caches of functions, objects of other libraries, and larger data.
"""

import collections
import random
from collections.abc import Callable, Iterable, Iterator
from contextlib import suppress
from functools import partial
from types import FunctionType, ModuleType
from typing import Any

import numpy as np
import tensorflow as tf

from hpo.training.keras_compat import WRAPPERS

# Anything larger is data, which a trial is not expected to change; copying it would cost more than the trial.
_LARGEST_CONTAINER = 10_000
_LARGEST_ARRAY = 1 << 20
_LARGEST_VARIABLE = 1 << 24
# The most objects that one name may refer to, directly or not. Beyond that, none of them is restored: a part of them
# might not fit the rest.
_MOST = 20_000

_LIBRARIES = ("keras", "keras_tuner")
_PLAIN = (str, bytes, int, float, complex, bool, type(None))
_CONTAINERS = (dict, list, set, collections.deque, bytearray)

_Undo = Callable[[], None]


class Rollback:
    """A snapshot of modules, which can be restored."""

    def __init__(self, modules: Iterable[ModuleType]) -> None:
        found = list(modules)
        self._names = {module.__name__ for module in found}
        self._seen: dict[int, Any] = {id(module): module for module in found}
        self._undo: list[_Undo] = []
        for module in found:
            self._undo.append(_items(vars(module)))
            for name, value in list(vars(module).items()):
                if not name.startswith("__"):
                    # Some objects raise errors whatever they are asked; they are not restored.
                    with suppress(Exception):
                        self._add(value)

    def restore(self) -> None:
        """Restores everything."""
        for undo in self._undo:
            # If something cannot be restored, it stays as it is: the trial is over, and its result is valid.
            with suppress(Exception):
                undo()

    def _add(self, root: Any) -> None:
        undo: list[_Undo] = []
        waiting, new = [root], 0
        while waiting:
            one = waiting.pop()
            if type(one).__module__ == WRAPPERS:
                one = getattr(one, "__wrapped__", one)
            if id(one) in self._seen or isinstance(one, _PLAIN):
                continue
            # Referred to, so that no other object gets its id.
            self._seen[id(one)] = one
            new += 1
            if new > _MOST:
                return
            undo += self._undo_of(one)
            waiting += self._children(one)
        self._undo += undo

    def _undo_of(self, one: Any) -> Iterator[_Undo]:
        if isinstance(one, type):
            if one.__module__ in self._names:
                yield _attributes(one)
            return
        yield from _of_container(one)
        yield from _of_numbers(one)
        if self._has_attributes(one):
            yield _items(vars(one))

    def _children(self, one: Any) -> list[Any]:
        found: list[Any] = []
        if isinstance(one, type):
            return list(vars(one).values()) if one.__module__ in self._names else found
        if isinstance(one, (*_CONTAINERS, tuple, frozenset)) and len(one) <= _LARGEST_CONTAINER:
            found += one.values() if isinstance(one, dict) else one
        if self._has_attributes(one):
            found += vars(one).values()
        return found

    def _has_attributes(self, one: Any) -> bool:
        module = one.__module__ if isinstance(one, FunctionType) else type(one).__module__
        known = module in {*self._names, WRAPPERS} or str(module).partition(".")[0] in _LIBRARIES
        return known and hasattr(one, "__dict__") and not isinstance(one, ModuleType)


def _items(live: dict[Any, Any]) -> _Undo:
    kept = dict(live)
    base = collections.OrderedDict if isinstance(live, collections.OrderedDict) else dict

    def undo() -> None:
        if len(live) == len(kept) and all(name in live and live[name] is value for name, value in kept.items()):
            return
        # The methods of the base class, since those of Keras's dictionaries would track new values.
        for name in [name for name in live if name not in kept]:
            base.__delitem__(live, name)
        for name, value in kept.items():
            base.__setitem__(live, name, value)

    return undo


def _attributes(owner: type) -> _Undo:
    kept = dict(vars(owner))

    def undo() -> None:
        for name in [name for name in vars(owner) if name not in kept]:
            delattr(owner, name)
        for name, value in kept.items():
            if vars(owner).get(name) is not value:
                setattr(owner, name, value)

    return undo


def _of_container(one: Any) -> Iterator[_Undo]:
    if isinstance(one, _CONTAINERS) and len(one) > _LARGEST_CONTAINER:
        return
    if isinstance(one, dict):
        yield _items(one)
    elif isinstance(one, list):
        items = list(one)
        yield lambda: list.__setitem__(one, slice(None), items)
    elif isinstance(one, bytearray):
        content = bytes(one)
        yield lambda: bytearray.__setitem__(one, slice(None), content)
    elif isinstance(one, set):
        yield partial(_refill, one, set(one), set.clear, set.update)
    elif isinstance(one, collections.deque):
        yield partial(_refill, one, list(one), collections.deque.clear, collections.deque.extend)


def _refill(one: Any, kept: Any, clear: Callable[[Any], None], fill: Callable[[Any, Any], None]) -> None:
    clear(one)
    fill(one, kept)


def _of_numbers(one: Any) -> Iterator[_Undo]:
    """Restores random number generators, arrays and variables."""
    if isinstance(one, np.random.Generator):
        yield partial(setattr, one.bit_generator, "state", one.bit_generator.state)
    elif isinstance(one, np.random.RandomState):
        yield partial(one.set_state, one.get_state())
    elif type(one) is random.Random:
        yield partial(one.setstate, one.getstate())
    elif isinstance(one, tf.random.Generator):
        yield from _of_numbers(one.state)
    elif isinstance(one, np.ndarray) and one.flags.writeable and one.nbytes <= _LARGEST_ARRAY:
        yield partial(np.copyto, one, one.copy())
    elif isinstance(one, tf.Variable) and one.shape.is_fully_defined() and _bytes(one) <= _LARGEST_VARIABLE:
        yield partial(one.assign, one.numpy())


def _bytes(variable: tf.Variable) -> int:
    return int(variable.shape.num_elements() * variable.dtype.size)
