"""A table of 1,500 rows that was never measured by anybody: 20 columns, four classes that overlap."""

from typing import Any

import numpy as np
from sklearn.datasets import make_classification

Part = tuple[np.ndarray[Any, Any], np.ndarray[Any, Any]]


def parts() -> dict[str, Part]:
    """900 rows to train on, 300 to validate on, 300 to test on; standardized by the first."""
    x, y = make_classification(
        n_samples=1500, n_features=20, n_informative=10, n_redundant=4, n_classes=4, n_clusters_per_class=3,
        flip_y=0.02, random_state=0,
    )  # fmt: skip
    x = ((x - x[:900].mean(axis=0)) / x[:900].std(axis=0)).astype(np.float32)
    ends = {"train": slice(0, 900), "validation": slice(900, 1200), "test": slice(1200, 1500)}
    return {part: (x[rows], y[rows]) for part, rows in ends.items()}
