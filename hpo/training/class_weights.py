"""Sample weights from class weights."""

from collections.abc import Mapping
from typing import Any

import numpy as np
import tensorflow as tf

from hpo.config.class_weight import ClassWeight, class_number, class_weight_mistakes
from hpo.data.dataset import Array, DatasetInfo, Part, class_numbers
from hpo.data.several import Arrays
from hpo.models import InvalidModel


def weights_of(class_weight: ClassWeight, part: Part, info: DatasetInfo) -> Arrays | None:
    """The weights of a part's samples in training: their own, as a Part has them, times those of their classes.

    Raises:
        InvalidModel: see `sample_weights`.
    """
    of_classes = sample_weights(class_weight, part.y, info)
    if of_classes is None or part.weights is None:
        own: Arrays | None = part.weights
        return own if of_classes is None else of_classes
    return np.asarray(of_classes * part.weights.reshape(-1))


def sample_weights(class_weight: ClassWeight, y: Any, info: DatasetInfo) -> Array | None:
    """A weight for each sample, shape (n,), float32; None where all count alike.

    `balanced` is scikit-learn's: samples / (classes * samples of the class).

    Raises:
        InvalidModel: the task has no classes, or there is no such class.
    """
    if class_weight is None:
        return None
    _check(class_weight, info)
    classes, count = class_numbers(y), info.classes or 0
    if isinstance(class_weight, str):
        counts = np.bincount(classes, minlength=count)
        weights = len(classes) / (count * np.maximum(counts, 1))
    else:
        given = _by_number(class_weight, info)
        weights = np.array([given.get(number, 1.0) for number in range(count)])
    return np.asarray(weights[classes], dtype=np.float32)


def weights_by_class(class_weight: ClassWeight, info: DatasetInfo) -> Mapping[int, float] | None:
    """What `model.fit` takes beside a pipeline, whose labels nobody has counted.

    Raises:
        InvalidModel: the weights are to be found from the labels, or there is no such class.
    """
    if class_weight is None:
        return None
    _check(class_weight, info)
    if isinstance(class_weight, str):
        raise InvalidModel(
            "class_weight: balanced counts the labels, which is not possible for a pipeline or a generator; "
            "give the weights: {0: 1.0, 1: 2.5}"
        )
    return _by_number(class_weight, info)


def weighed(batches: tf.data.Dataset, by_class: Mapping[int, float], info: DatasetInfo) -> tf.data.Dataset:
    """Batches (x, y, weights) with each weight times that of its class, which `model.fit` takes no two of."""
    factors = tf.constant([by_class.get(number, 1.0) for number in range(info.classes or 0)], tf.float32)

    def times(x: Any, y: Any, weights: Any) -> tuple[Any, Any, Any]:
        classes = tf.argmax(y, -1) if info.one_hot else tf.cast(tf.reshape(y, [-1]), tf.int64)
        return x, y, tf.cast(tf.reshape(weights, [-1]), tf.float32) * tf.gather(factors, classes)

    return batches.map(times)


def _check(class_weight: ClassWeight, info: DatasetInfo) -> None:
    if info.target_shape:
        raise InvalidModel(f"class_weight: samples must have one class each, and those of {info.name} have several")
    labels = info.class_labels if info.classes else ()
    for message in class_weight_mistakes(class_weight, labels).values():
        raise InvalidModel(f"class_weight: {message}")


def _by_number(class_weight: Mapping[str, float], info: DatasetInfo) -> dict[int, float]:
    found = {class_number(key, info.class_labels): weight for key, weight in class_weight.items()}
    return {number: weight for number, weight in found.items() if number is not None}
