"""Metrics and losses by name, and which way each is better, so that a file can leave the direction out."""

import re
from collections.abc import Mapping
from difflib import get_close_matches
from typing import Literal

from hpo.config.metric_kinds import WHOLE_METRICS

_USUAL: Mapping[str, str] = {
    "classification": "accuracy",
    "multilabel": "binary_accuracy",
    "regression": "mae",
    "reconstruction": "mae",
}


def usual_metric(task: str) -> str | None:
    """The metric that is logged in any case for a task; None where the model's own loss says what counts."""
    return _USUAL.get(task)


Direction = Literal["maximize", "minimize"]

CROSSENTROPY = "crossentropy"
"""The metric of hpo's own: the cross-entropy of the true labels, without penalties and label smoothing."""

_HIGHER = (
    "acc", "accuracy", "auc", "balanced_accuracy", "binary_accuracy", "binary_io_u", "binary_iou",
    "categorical_accuracy", "concordance_correlation", "cosine_similarity", "f1", "f1_score", "f_beta_score", "fbeta",
    "fbeta_score", "io_u", "iou", "macro_f1", "mean_io_u", "mean_iou", "one_hot_io_u", "one_hot_iou",
    "one_hot_mean_io_u", "one_hot_mean_iou", "pearson_correlation", "pr_auc", "precision", "precision_at_recall", "r2",
    "r2_score", "recall", "recall_at_precision", "sensitivity_at_specificity", "sparse_categorical_accuracy",
    "sparse_top_k_categorical_accuracy", "specificity_at_sensitivity", "top_k_categorical_accuracy",
    "true_negatives", "true_positives",
)  # fmt: skip
_LOWER = (
    "bce", "binary_crossentropy", "binary_focal_crossentropy", "categorical_crossentropy",
    "categorical_focal_crossentropy", "categorical_generalized_cross_entropy", "categorical_hinge", "circle",
    "crossentropy", "ctc", "dice", "false_negatives", "false_positives", "hinge", "huber", "huber_loss",
    "kl_divergence", "kld", "kullback_leibler_divergence", "log_cosh", "log_cosh_error", "logcosh", "loss", "mae",
    "mape", "mean_absolute_error", "mean_absolute_percentage_error", "mean_squared_error",
    "mean_squared_logarithmic_error", "mse", "msle", "poisson", "rmse", "root_mean_squared_error",
    "sparse_categorical_crossentropy", "squared_hinge", "tversky",
)  # fmt: skip

DIRECTIONS: Mapping[str, Direction] = {
    **dict.fromkeys(_HIGHER, "maximize"),
    **dict.fromkeys(_LOWER, "minimize"),
}
"""Name -> which way is better: all metrics and losses of Keras, their usual short names, and hpo's own metrics."""

CLASSIFICATION_METRICS = frozenset(
    {
        "acc", "accuracy", "auc", "balanced_accuracy", "binary_accuracy", "categorical_accuracy", "f1", "f1_score",
        "f_beta_score", "fbeta", "fbeta_score", "macro_f1", "pr_auc", "precision", "precision_at_recall", "recall",
        "recall_at_precision", "sensitivity_at_specificity", "sparse_categorical_accuracy",
        "sparse_top_k_categorical_accuracy", "specificity_at_sensitivity", "top_k_categorical_accuracy", "bce",
        "binary_crossentropy", "binary_focal_crossentropy", "categorical_crossentropy",
        "categorical_focal_crossentropy", "crossentropy",
        "sparse_categorical_crossentropy", "categorical_hinge", "false_negatives", "false_positives",
        "true_negatives", "true_positives",
    }
)  # fmt: skip
"""The metrics that are defined only for predictions of classes."""

NUMBER_METRICS = frozenset(
    {
        "concordance_correlation", "huber", "huber_loss", "log_cosh", "log_cosh_error", "logcosh", "mae", "mape",
        "mean_absolute_error", "mean_absolute_percentage_error", "mean_squared_error",
        "mean_squared_logarithmic_error", "mse", "msle", "pearson_correlation", "poisson", "r2", "r2_score", "rmse",
        "root_mean_squared_error",
    }
)  # fmt: skip
"""The metrics and losses that compare numbers, and mean nothing for classes."""

LOSSES = (
    "bce", "BCE", "binary_crossentropy", "BinaryCrossentropy", "binary_focal_crossentropy", "BinaryFocalCrossentropy",
    "categorical_crossentropy", "CategoricalCrossentropy", "categorical_focal_crossentropy",
    "CategoricalFocalCrossentropy", "categorical_hinge", "CategoricalHinge", "circle", "Circle", "cosine_similarity",
    "CosineSimilarity",
    "ctc", "CTC", "dice", "Dice", "hinge", "Hinge", "huber", "Huber", "kl_divergence", "KLDivergence", "kld", "KLD",
    "log_cosh", "LogCosh", "mae", "MAE", "mape", "MAPE", "mean_absolute_error", "MeanAbsoluteError",
    "mean_absolute_percentage_error", "MeanAbsolutePercentageError", "mean_squared_error", "MeanSquaredError",
    "mean_squared_logarithmic_error", "MeanSquaredLogarithmicError", "mse", "MSE", "msle", "MSLE", "poisson",
    "Poisson", "sparse_categorical_crossentropy", "SparseCategoricalCrossentropy", "squared_hinge", "SquaredHinge",
    "tversky", "Tversky",
)  # fmt: skip
"""The names of losses that Keras accepts."""

METRICS = (
    "acc", "accuracy", "Accuracy", "auc", "AUC", "bce", "BCE", "binary_accuracy", "BinaryAccuracy",
    "binary_crossentropy", "BinaryCrossentropy", "binary_io_u", "BinaryIoU", "categorical_accuracy",
    "CategoricalAccuracy", "categorical_crossentropy", "CategoricalCrossentropy", "categorical_hinge",
    "CategoricalHinge", "concordance_correlation", "ConcordanceCorrelation", "cosine_similarity", "CosineSimilarity",
    "f1_score", "F1Score", "f_beta_score", "FBetaScore", "false_negatives", "FalseNegatives", "false_positives",
    "FalsePositives", "hinge", "Hinge", "kl_divergence", "KLDivergence", "log_cosh_error", "LogCoshError", "mae",
    "MAE", "mape", "MAPE", "mean_absolute_error", "MeanAbsoluteError", "mean_absolute_percentage_error",
    "MeanAbsolutePercentageError", "mean_squared_error", "MeanSquaredError", "mean_squared_logarithmic_error",
    "MeanSquaredLogarithmicError", "mse", "MSE", "msle", "MSLE", "pearson_correlation", "PearsonCorrelation",
    "poisson", "Poisson", "precision", "Precision", "r2_score", "R2Score", "recall", "Recall",
    "root_mean_squared_error", "RootMeanSquaredError", "sparse_categorical_accuracy", "SparseCategoricalAccuracy",
    "sparse_categorical_crossentropy", "SparseCategoricalCrossentropy", "sparse_top_k_categorical_accuracy",
    "SparseTopKCategoricalAccuracy", "squared_hinge", "SquaredHinge", "top_k_categorical_accuracy",
    "TopKCategoricalAccuracy", "true_negatives", "TrueNegatives", "true_positives", "TruePositives",
)  # fmt: skip
"""The names of metrics that Keras accepts; a metric is logged under the name as it was written."""

METRICS_WITH_OPTIONS = (
    "io_u", "IoU", "mean_io_u", "MeanIoU", "one_hot_io_u", "OneHotIoU", "one_hot_mean_io_u", "OneHotMeanIoU",
    "precision_at_recall", "PrecisionAtRecall", "recall_at_precision", "RecallAtPrecision",
    "sensitivity_at_specificity", "SensitivityAtSpecificity", "specificity_at_sensitivity",
    "SpecificityAtSensitivity",
)  # fmt: skip
"""The names of Keras's metrics that mean nothing without their options, `{name: precision_at_recall, recall: 0.5}`."""

KNOWN_METRICS = tuple(dict.fromkeys((*METRICS, *WHOLE_METRICS, "f1", CROSSENTROPY)))
"""The names that `training.metrics` takes: Keras's metrics and hpo's own."""

# As in Keras, MeanSquaredError and mean_squared_error name the same metric.
_PLAIN: Mapping[str, Direction] = {name.replace("_", ""): direction for name, direction in DIRECTIONS.items()}
_PLAIN_CLASSIFICATION = frozenset(name.replace("_", "") for name in CLASSIFICATION_METRICS)
_PLAIN_NUMBERS = frozenset(name.replace("_", "") for name in NUMBER_METRICS)


def direction_of(metric: str) -> Direction | None:
    """Which way a metric of Keras is better, with or without val_ in front; None if Keras knows no such metric."""
    return _PLAIN.get(_plain(metric))


def needs_classes(metric: str) -> bool:
    """Whether a metric is defined only for predictions of classes."""
    return _plain(metric) in _PLAIN_CLASSIFICATION


def needs_numbers(metric: str) -> bool:
    """Whether a metric or loss compares numbers, and means nothing for classes."""
    return _plain(metric) in _PLAIN_NUMBERS


def nearest_metric(metric: str) -> str | None:
    """The known metric whose name is nearest to a name, with val_ in front if the name has it; None if none is near."""
    part = "val_" if metric.startswith("val_") else ""
    close = get_close_matches(metric.removeprefix(part).lower(), DIRECTIONS, n=1, cutoff=0.8)
    return f"{part}{close[0]}" if close else None


def _plain(metric: str) -> str:
    name = metric.removeprefix("val_")
    plain = name.lower().replace("_", "")
    # Keras numbers further metrics of the same kind: auc_1.
    return plain if plain in _PLAIN else re.sub(r"_\d+$", "", name).lower().replace("_", "")
