"""What each of the tasks of `keras_tasks` and the modules beside it is made of, and compared with."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

import numpy as np


@dataclass(frozen=True)
class Task:
    """A task, and the script that it is compared with."""

    title: str
    compiled: Mapping[str, Any]
    """How the script compiles the model, beside the optimizer."""
    training: Mapping[str, Any] = field(default_factory=dict)
    """The training section, beside what all have."""
    dataset: Mapping[str, Any] = field(default_factory=dict)
    """The dataset section, beside the function."""
    scaled: tuple[str, ...] = ()
    """The inputs that are standardized; "" for a single one."""
    batch: int = 30
    """All 60 where Keras's `fit` trains, whose order of samples is its own."""
    fit: Mapping[str, Any] = field(default_factory=dict)
    """What the script gives `model.fit`, beside the data."""
    target: str = "y"
    """What the script has for targets: y, x (the inputs), or none."""


SPARSE, MSE, BINARY = "sparse_categorical_crossentropy", "mean_squared_error", "binary_crossentropy"
UNSCALED = {"target_scaling": "none"}


def made() -> np.random.Generator:
    """What data are made with: the same at each call."""
    return np.random.default_rng(0)


def parts(x: Any, y: Any, weights: Any = None) -> dict[str, Any]:
    """60 samples to train on, 20 to validate, 20 to test."""

    def rows(values: Any, begin: int, end: int) -> Any:
        if isinstance(values, dict):
            return {name: rows(one, begin, end) for name, one in values.items()}
        return [rows(one, begin, end) for one in values] if isinstance(values, list) else values[begin:end]

    def part(begin: int, end: int) -> Any:
        given = [rows(values, begin, end) for values in (x, y, weights) if values is not None]
        return given[0] if y is None else tuple(given)

    return {"train": part(0, 60), "validation": part(60, 80), "test": part(80, 100)}
