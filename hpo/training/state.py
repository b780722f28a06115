"""The state of a model that trains in a loop of the graph: all that its next step depends on, as arrays."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any

import keras
import tensorflow as tf

from hpo.data.dataset import Array
from hpo.training.checkpoint_file import Unusable


class Hidden(Exception):
    """A model has state that cannot be read or set. The text says which."""


@dataclass(frozen=True)
class Traced:
    """What is known of a traced graph of training."""

    captured: Sequence[Any]
    """The tensors from outside that it uses; a variable stands there as its handle."""
    stateful: Sequence[str]
    """The operations whose state is in no variable."""


class TrainingState:
    """The variables of a model: weights, statistics, seeds, the optimizer's, its learning rate, its augmentation's."""

    def __init__(
        self, model: keras.Model, traced: Traced, beside: Sequence[Any], settings: Iterable[tf.Variable]
    ) -> None:
        """The state of a compiled model.

        Args:
            model: what trains.
            traced: the graph of its training.
            beside: further variables of Keras's.
            settings: variables that the graph reads and that no step changes.

        Raises:
            Hidden: a step depends on more than variables that are known.
        """
        found = {id(one): one for one in (*model.variables, *model.optimizer.variables, *beside)}
        self._variables = [one.value for one in found.values()]
        self._weights = [one.value for one in model.weights]
        if traced.stateful:
            raise Hidden(f"the model's own code uses an operation with state of its own, {traced.stateful[0]}")
        known = [*self._variables, *settings, *(one.value for one in model.metrics_variables)]
        handles = {id(one.handle) for one in known}
        if any(one.dtype == tf.resource and id(one) not in handles for one in traced.captured):
            raise Hidden("the model's own code has variables that Keras does not know")

    def read(self) -> list[tf.Tensor]:
        """The values of all variables: TensorFlow copies a variable that is read like this before it changes it."""
        return [one.read_value() for one in self._variables]

    def weights(self) -> list[Array]:
        """The values of the model's weights, in their order."""
        return [one.numpy() for one in self._weights]

    def equal(self, weights: Sequence[Array], values: Sequence[tf.Tensor]) -> bool:
        """Whether weights, in the order of the model's, are those that are among the values of `read`."""
        by_variable = {id(one): value for one, value in zip(self._variables, values, strict=True)}
        pairs = zip(weights, self._weights, strict=True)
        return all((mine == by_variable[id(variable)].numpy()).all() for mine, variable in pairs)

    def write(self, values: Sequence[Array]) -> None:
        """Sets all variables.

        Raises:
            Unusable: the values are of another model.
        """
        shapes = [(one.read_value().shape, one.dtype.as_numpy_dtype) for one in self._variables]
        if shapes != [(value.shape, value.dtype.type) for value in values]:
            raise Unusable("its checkpoint is of another model")
        for variable, value in zip(self._variables, values, strict=True):
            variable.assign(value)
