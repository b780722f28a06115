"""The cross-entropy of the true labels: the loss of a classifier without penalties, smoothing and weights."""

from collections.abc import Mapping
from typing import Any

import keras
import numpy as np

from hpo.config.metrics import CROSSENTROPY

# As in scikit-learn's log_loss of predictions in single precision.
_SMALLEST = float(np.finfo(np.float32).eps)
_TINY = float(np.finfo(np.float32).tiny)
_PACKAGE = "hpo"


@keras.saving.register_keras_serializable(package=_PACKAGE)
class Crossentropy(keras.metrics.MeanMetricWrapper):  # type: ignore[misc]
    """The mean over all samples of -log(probability of the true class), as scikit-learn's `log_loss`.

    Keras's own metrics of that name differ for saturated predictions: within a graph they compute from the inputs of
    the last activation, elsewhere from its outputs.
    """

    def __init__(self, name: str = CROSSENTROPY, dtype: Any = None) -> None:
        super().__init__(crossentropy, name=name, dtype=dtype)

    def get_config(self) -> dict[str, Any]:
        """The arguments of the constructor."""
        return {"name": self.name, "dtype": self.dtype}


def crossentropy(y: Any, predicted: Any) -> Any:
    """-log(probability of the true class) of each sample, shape (...).

    Args:
        y: class numbers, shape (...) or (..., 1), or rows with a 1 for the true class, shape (..., classes).
        predicted: probabilities, shape (..., classes), or (..., 1) for the second of two classes. Rows that do not sum
            to one, those of a sigmoid for each class, are divided by their sum.
    """
    ops = keras.ops
    predicted = ops.cast(predicted, "float32")
    if predicted.shape[-1] == 1:
        predicted = ops.concatenate([1 - predicted, predicted], axis=-1)
    else:
        total = ops.sum(predicted, axis=-1, keepdims=True)
        # Softmax sums to one up to rounding, and is taken as it is.
        predicted = ops.where(ops.abs(total - 1) < 1e-4, predicted, predicted / ops.maximum(total, _TINY))
    classes = predicted.shape[-1]
    if len(y.shape) == len(predicted.shape) and y.shape[-1] == 1:
        y = ops.squeeze(y, axis=-1)
    if len(y.shape) < len(predicted.shape):
        y = ops.one_hot(ops.cast(y, "int32"), classes)
    log = ops.log(ops.clip(predicted, _SMALLEST, 1 - _SMALLEST))
    return -ops.sum(ops.cast(y, "float32") * log, axis=-1)


@keras.saving.register_keras_serializable(package=_PACKAGE)
class Accuracy(keras.metrics.MeanMetricWrapper):  # type: ignore[misc]
    """What `model.compile` makes of "accuracy", for which the forms of labels and outputs decide, by another name."""

    def __init__(self, name: str, dtype: Any = None) -> None:
        super().__init__(_accuracy, name=name, dtype=dtype)

    def get_config(self) -> dict[str, Any]:
        """The arguments of the constructor."""
        return {"name": self.name, "dtype": self.dtype}


def _accuracy(y: Any, predicted: Any) -> Any:
    if predicted.shape[-1] == 1:
        return keras.metrics.binary_accuracy(y, predicted)
    if len(y.shape) < len(predicted.shape) or y.shape[-1] == 1:
        return keras.metrics.sparse_categorical_accuracy(y, predicted)
    return keras.metrics.categorical_accuracy(y, predicted)


@keras.saving.register_keras_serializable(package=_PACKAGE)
class OfLogits(keras.metrics.Metric):  # type: ignore[misc]
    """A metric of Keras's for a model that puts out logits: it sees the probabilities that they stand for."""

    def __init__(self, metric: Any, name: str | None = None, dtype: Any = None, each: bool = False) -> None:
        """`metric`: as `model.compile` takes it, a name for one; `each`: whether each unit is a probability by itself.

        A single unit always is.
        """
        name = name or (metric if isinstance(metric, str) else None)
        found = keras.metrics.get(metric)
        if not isinstance(found, keras.metrics.Metric):
            found = keras.metrics.MeanMetricWrapper(found, name=name, dtype=dtype)
        super().__init__(name=name or found.name, dtype=dtype)
        self._metric = found
        self._each = each

    def update_state(self, y_true: Any, y_pred: Any, sample_weight: Any = None) -> None:
        """Takes in a batch."""
        single = y_pred.shape[-1] == 1
        if single and len(y_true.shape) < len(y_pred.shape):
            y_true = keras.ops.expand_dims(y_true, -1)
        probabilities = keras.ops.sigmoid(y_pred) if single or self._each else keras.ops.softmax(y_pred)
        self._metric.update_state(y_true, probabilities, sample_weight=sample_weight)

    def result(self) -> Any:
        """The metric's."""
        return self._metric.result()

    def reset_state(self) -> None:
        """The metric's."""
        self._metric.reset_state()

    def get_config(self) -> dict[str, Any]:
        """The arguments of the constructor."""
        metric = keras.saving.serialize_keras_object(self._metric)
        return {"metric": metric, "name": self.name, "dtype": self.dtype, "each": self._each}

    @classmethod
    def from_config(cls, config: dict[str, Any]) -> "OfLogits":
        """The metric again."""
        return cls(keras.saving.deserialize_keras_object(config["metric"]), config["name"], config["dtype"])


def is_own(part: Mapping[str, Any]) -> bool:
    """Whether a part of a serialized configuration is a metric or a loss of hpo."""
    return str(part.get("registered_name")).startswith(f"{_PACKAGE}>")
