"""Metrics of a whole part, from all its predictions together: scikit-learn's own figures."""

import warnings
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Literal

import keras
import numpy as np

from hpo.config.experiment import TrainingSpec
from hpo.config.metric_kinds import Kind
from hpo.config.whole_metrics import MetricSpec
from hpo.data.dataset import Array, DatasetInfo
from hpo.errors import ModelError
from hpo.training.heads import Logits, logits_of

Figures = Callable[[Array, Array], dict[str, float]]
"""From what is true of samples, and what a model puts out for them, to the metrics of a whole part."""


@dataclass(frozen=True)
class Call:
    """A call of scikit-learn, `function(truth, predictions, **arguments)`."""

    function: str
    """Its name in sklearn.metrics."""
    truth: Literal["numbers", "classes", "one_hot"]
    """What is true: numbers; class numbers, shape (n,); or rows of zeros with a single one."""
    predictions: Literal["numbers", "classes", "second", "each", "held"]
    """What is predicted: numbers; class numbers; the probability of the second class, or of each class; whether each
    label holds."""
    threshold: float | None = None
    """The probability above which a sample is of the second class."""
    arguments: Mapping[str, Any] = field(default_factory=dict)


def call_of(spec: MetricSpec, classes: int | None) -> Call:
    """How scikit-learn is called for a metric of a whole part. `classes`: their number, None for regression.

    Raises:
        ValueError: it is another metric.
    """
    kind = spec.kind
    if kind is None:
        raise ValueError(f"{spec.name} is no metric of a whole part")
    if classes is None and kind.of_labels:
        return _of_labels(spec, kind)
    if not kind.of_classes:
        return Call({"r2": "r2_score", "rmse": "root_mean_squared_error"}[kind.name], "numbers", "numbers")
    two = classes == 2
    if kind.of_ranks:
        area = kind.name == "pr_auc" or spec.curve == "PR"
        function = "average_precision_score" if area else "roc_auc_score"
        if two:
            return Call(function, "classes", "second")
        return Call(function, "one_hot", "each", arguments={"average": spec.average} if spec.average else {})
    if kind.name == "balanced_accuracy":
        return Call("balanced_accuracy_score", "classes", "classes", spec.threshold)
    average = "macro" if kind.name == "macro_f1" else spec.average or ("binary" if two else "macro")
    function = {"precision": "precision_score", "recall": "recall_score"}.get(kind.name, "f1_score")
    return Call(function, "classes", "classes", spec.threshold, {"average": average, "zero_division": 0.0})


def _of_labels(spec: MetricSpec, kind: Kind) -> Call:
    average = spec.average or "macro"
    if kind.of_ranks:
        area = kind.name == "pr_auc" or spec.curve == "PR"
        function = "average_precision_score" if area else "roc_auc_score"
        return Call(function, "numbers", "numbers", arguments={"average": average})
    function = {"precision": "precision_score", "recall": "recall_score"}.get(kind.name, "f1_score")
    return Call(function, "numbers", "held", spec.threshold, {"average": average, "zero_division": 0.0})


def figures_of(training: TrainingSpec, model: keras.Model, info: DatasetInfo) -> Figures | None:
    """What computes the metrics of whole parts for a compiled model; None where there are none."""
    metrics = training.whole_metrics
    if not metrics:
        return None
    logits = logits_of(model)
    return lambda y, outputs: whole_figures(metrics, y, outputs, info, logits)


def whole_figures(
    metrics: Sequence[MetricSpec], y: Array, outputs: Array, info: DatasetInfo, logits: Logits = None
) -> dict[str, float]:
    """Name in logs -> figure, for the metrics that are defined on a part.

    Args:
        metrics: metrics of a whole part.
        y: what is true of each sample: class numbers or one-hot rows, or numbers.
        outputs: what a model puts out for the samples, in the same order.
        info: what is known of the data.
        logits: what makes probabilities of the outputs, where they are none yet.

    Raises:
        ModelError: the model does not put out a number for each class, or for each target.
    """
    if not np.isfinite(outputs).all():
        return {spec.logged: float("nan") for spec in metrics}
    samples = _samples(y, outputs, info, logits)
    values = {spec.logged: _figure(call_of(spec, info.classes), samples) for spec in metrics}
    return {name: value for name, value in values.items() if np.isfinite(value)}


@dataclass(frozen=True)
class _Samples:
    y: Array
    """Class numbers, shape (n,), or numbers, shape (n, targets)."""
    outputs: Array
    """Shape (n, outputs), float64."""

    def truth(self, form: str) -> Array:
        return np.eye(self.outputs.shape[1])[self.y] if form == "one_hot" else self.y

    def predictions(self, form: str, threshold: float | None) -> Array:
        second: Array = self.outputs[:, -1]
        if form == "second":
            return second
        if form == "held":
            return (self.outputs > (threshold or 0.5)).astype(int)
        if form != "classes":
            return self.outputs
        if threshold is None and self.outputs.shape[1] > 1:
            return np.asarray(self.outputs.argmax(axis=1))
        return (second > (threshold or 0.5)).astype(int)


def _figure(call: Call, samples: _Samples) -> float:
    # Takes half a second to import.
    from sklearn import metrics

    with warnings.catch_warnings():
        # A part may lack a class.
        warnings.simplefilter("ignore")
        truth, predictions = samples.truth(call.truth), samples.predictions(call.predictions, call.threshold)
        return float(getattr(metrics, call.function)(truth, predictions, **call.arguments))


def _samples(y: Array, outputs: Array, info: DatasetInfo, logits: Logits) -> _Samples:
    if info.classes is None:
        rows = outputs.reshape(len(outputs), -1).astype(np.float64)
        true = y.reshape(len(y), -1).astype(np.float64)
        if true.shape != rows.shape:
            raise ModelError(f"metrics: the model must put out {true.shape[1]} numbers, got {rows.shape[1]}")
        if logits:
            rows = np.asarray(keras.ops.sigmoid(rows))
        return _Samples(true, rows)
    one_hot = y.ndim == outputs.ndim and y.shape[-1] == info.classes
    classes = (y.argmax(axis=-1) if one_hot else y).reshape(-1).astype(int)
    units = outputs.shape[-1] if outputs.ndim > 1 else 1
    rows = outputs.reshape(-1, units).astype(np.float64)
    if units not in {info.classes, 1 if info.classes == 2 else info.classes} or len(rows) != len(classes):
        raise ModelError(
            f"metrics: the model must put out a number for each of {info.classes} classes, got shape {outputs.shape}"
        )
    if logits:
        rows = np.asarray(
            keras.ops.sigmoid(rows) if units == 1 or logits == "sigmoid" else keras.ops.softmax(rows, axis=-1)
        )
    return _Samples(classes, rows)


# Keras has no types.
class WholeInFit(keras.callbacks.Callback):  # type: ignore[misc]
    """Adds the metrics of the whole validation part to what `model.fit` logs. Stands before all other callbacks."""

    def __init__(self, figures: Figures, validation: Any, batch_size: int) -> None:
        """`validation`: a pair of arrays, or a pipeline of batches; see `predicted`."""
        super().__init__()
        self._figures = figures
        self._batch_size = batch_size
        self._validation = validation

    def beside(self, fit: Callable[..., Any]) -> Callable[..., Any]:
        """A `model.fit` whose own validation part is taken: a HyperModel's own fit may have prepared it."""

        def noted(*args: Any, **given: Any) -> Any:
            self._validation = given.get("validation_data", self._validation)
            return fit(*args, **given)

        return noted

    def on_epoch_end(self, epoch: int, logs: Any = None) -> None:
        """Predicts the part, and adds to the logs."""
        y, outputs = predicted(self.model, self._validation, self._batch_size)
        logs.update({f"val_{name}": value for name, value in self._figures(y, outputs).items()})


def predicted(model: keras.Model, data: Any, batch_size: int) -> tuple[Array, Array]:
    """What is true of samples and what a model puts out for them, in the same order.

    `data`: a pair of features and labels, with or without weights; or a pipeline that yields batches of them, which
    may shuffle and is therefore run through once.
    """
    if isinstance(data, tuple | list):
        return np.asarray(data[1]), np.asarray(_first(model.predict(data[0], batch_size=batch_size, verbose=0)))
    pairs = [(np.asarray(y), _first(model.predict_on_batch(x))) for x, y, *_ in data]
    y, outputs = zip(*pairs, strict=True)
    return np.concatenate(y), np.concatenate(outputs)


def _first(outputs: Any) -> Any:
    return keras.tree.flatten(outputs)[0]
