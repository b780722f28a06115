"""Modules of the user as they were: what a trial changed in them is undone.

Held are the names of the modules, and in place what they lead to: containers, classes and their instances, functions'
attributes, generators of random numbers, Keras's layers, optimizers and metrics, arrays and variables of some size.
Not held: what lies in closures, in caches of functions, in objects of other libraries, and in larger data.
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

# Larger ones are data, which a trial is not expected to change, and copying them would cost more than the trial.
_LARGEST_CONTAINER = 10_000
_LARGEST_ARRAY = 1 << 20
_LARGEST_VARIABLE = 1 << 24
# What one name of a module leads to, in objects; beyond that it is not held, since a part of it might not fit the rest.
_MOST = 20_000

_LIBRARIES = ("keras", "keras_tuner")
_PLAIN = (str, bytes, int, float, complex, bool, type(None))
_CONTAINERS = (dict, list, set, collections.deque, bytearray)

_Undo = Callable[[], None]


class Rollback:
    """What modules hold, and how it is put back."""

    def __init__(self, modules: Iterable[ModuleType]) -> None:
        found = list(modules)
        self._names = {module.__name__ for module in found}
        self._seen: dict[int, Any] = {id(module): module for module in found}
        self._undo: list[_Undo] = []
        for module in found:
            self._undo.append(_items(vars(module)))
            for name, value in list(vars(module).items()):
                if not name.startswith("__"):
                    # Some objects answer to no question; they stay as they are.
                    with suppress(Exception):
                        self._hold(value)

    def restore(self) -> None:
        """Puts everything back."""
        for undo in self._undo:
            # What refuses to be put back stays as it is: the trial is done, and its result stands.
            with suppress(Exception):
                undo()

    def _hold(self, root: Any) -> None:
        undo: list[_Undo] = []
        waiting, new = [root], 0
        while waiting:
            one = waiting.pop()
            if type(one).__module__ == WRAPPERS:
                one = getattr(one, "__wrapped__", one)
            if id(one) in self._seen or isinstance(one, _PLAIN):
                continue
            # Kept, so that no other object takes over its id.
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
        # Of the base class: those of Keras's own would track what they are given.
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
    """Generators of random numbers, arrays, variables."""
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
