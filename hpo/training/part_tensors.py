"""A part of a dataset as a compiled model takes it."""

from typing import Any

import keras
import numpy as np
import tensorflow as tf

from hpo.data.dataset import Dataset, DatasetInfo, Part
from hpo.data.several import Arrays, as_keras, mapped
from hpo.training.compiling import labels_for
from hpo.training.tensors import NOTHING, Tensors, shared
from hpo.training.weights import weights_for


def part_tensors(model: keras.Model, dataset: Dataset, name: str, weights: Arrays | None) -> Tensors:
    """A part of a dataset as a compiled model takes it, with sample weights if there are any."""
    part = dataset.part(name)
    x = as_keras(part.x, lambda _, array: shared(array))
    y = tf.nest.map_structure(shared, targets_of(model, part, dataset.info))
    as_float = None if weights is None else mapped(weights, lambda one: tf.constant(one, tf.float32))
    return Tensors(x, y, weights_for(model, as_float, dataset.info))


def targets_of(model: keras.Model, part: Part, info: DatasetInfo) -> Any:
    """The targets of a part as a compiled model takes them: arrays, in float32 as Keras has them; or NOTHING."""
    if part.y is None:
        return NOTHING
    labels = labels_for(model, part.y, info)
    return tf.nest.map_structure(lambda one: one.astype(np.float32) if one.dtype == np.float64 else one, labels)
