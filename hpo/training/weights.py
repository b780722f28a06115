"""Weights of samples in the form in which a compiled model takes them."""

from collections.abc import Mapping
from typing import Any

import keras
import tensorflow as tf

from hpo.data.dataset import DatasetInfo, places_of
from hpo.data.several import as_keras
from hpo.training.keras_compat import is_functional
from hpo.training.tensors import NOTHING


def weights_for(model: keras.Model, weights: Any, info: DatasetInfo) -> Any:
    """Weights in the structure of the targets, an array for each, as `model.fit` makes it; NOTHING for None.

    Of one number a sample, all steps count alike: Keras multiplies losses of shape (n, steps) by weights of (n, 1).

    `weights`: of a Part; or tensors, in the structure in which Keras takes them.
    """
    if weights is None:
        return NOTHING
    given: Any = as_keras(weights, lambda _, one: one)
    if not info.targets:
        return _of_steps(given, info)
    if not tf.nest.is_nested(given):
        given = dict.fromkeys(info.targets, given)
    named = given if isinstance(given, Mapping) else dict(zip(info.targets, given, strict=True))
    found = {name: _of_steps(named[name], info.of_target(name)) for name in info.targets}
    return list(found.values()) if info.targets_listed else as_outputs(model, found)


def as_outputs(model: keras.Model, values: Any) -> Any:
    """Targets or weights by name as a list, if that is what the model puts out.

    Keras does so with targets, and looks for the weights by the place of an output.
    """
    listed = is_functional(model) and isinstance(model.output, list | tuple)
    if not listed or not isinstance(values, Mapping) or set(values) != set(model.output_names):
        return values
    return [values[name] for name in model.output_names]


def _of_steps(weights: Any, info: DatasetInfo) -> Any:
    places = places_of(info.task, info.target_shape)
    return weights[(..., *(None for _ in places))] if places and len(weights.shape) == 1 else weights
