"""The first weights of a model for any seed, drawn without building it: building takes as long as training it.

A layer draws the seeds of its initializers and of its dropout from Python's `random` as it is made. Where a model that
was built with one seed has the numbers that `random` then gives, one of another seed has those of its own, in the
same places.
"""

import copy
import random
from collections.abc import Callable, Sequence
from typing import Any

import keras
import numpy as np

from hpo.data.dataset import Array
from hpo.training.shareable import NotShareable

# As Keras draws them: `keras.src.random.seed_generator.make_default_seed`.
_LARGEST = int(1e9)
# Numbers that are looked through for each layer.
_DRAWN = 16

Make = Callable[[Sequence[int]], Array]
"""The first value of a variable, from the numbers that `random` gives."""


class InitialWeights:
    """What a model of another seed begins with."""

    def __init__(self, model: keras.Model, seed: int) -> None:
        """`model`: built with a seed, not yet trained.

        Raises:
            NotShareable: a variable was made in a way that is not known.
        """
        self._count = _DRAWN * (len(model.layers) + 1)
        places = {number: place for place, number in enumerate(self._drawn(seed))}
        self._makes = [_make(layer, one, places) for layer in model.layers for one in layer.variables]

    def of(self, seed: int) -> list[Array]:
        """The variables of all layers, in the order of `[v for layer in model.layers for v in layer.variables]`."""
        drawn = self._drawn(seed)
        return [make(drawn) for make in self._makes]

    def check(self, model: keras.Model, seed: int) -> None:
        """Compares with a model that was built with another seed.

        Raises:
            NotShareable: it begins otherwise.
        """
        variables = [one for layer in model.layers for one in layer.variables]
        for mine, own in zip(self.of(seed), variables, strict=True):
            if not np.array_equal(mine, own.numpy()):
                raise NotShareable("the first weights do not come from the seed alone")

    def _drawn(self, seed: int) -> list[int]:
        source = random.Random(seed)
        return [source.randint(1, _LARGEST) for _ in range(self._count)]


def _make(layer: Any, variable: Any, places: dict[int, int]) -> Make:
    seeds = getattr(layer, "seed_generator", None)
    if seeds is not None and variable is seeds.state:
        first, second = (int(number) for number in variable.numpy())
        place = places.get(first)
        kind = variable.numpy().dtype
        return lambda drawn: np.array([first if place is None else drawn[place], second], kind)
    initializer = getattr(layer, f"{variable.name}_initializer", None)
    if initializer is None:
        raise NotShareable(f"{variable.name} of a {type(layer).__name__} has no initializer")
    seed = getattr(initializer, "seed", None)
    place = places.get(seed) if isinstance(seed, int) else None
    if place is None:
        # The same for all seeds.
        value: Array = variable.numpy()
        return lambda drawn: value
    shape, kind = tuple(variable.shape), variable.dtype

    def make(drawn: Sequence[int]) -> Array:
        own = copy.copy(initializer)
        own.seed = drawn[place]
        return np.asarray(own(shape, dtype=kind))

    return make
