"""Labels, and targets that are no class for each sample: numbers, labels that hold or not, masks, sequences."""

from collections.abc import Mapping
from dataclasses import dataclass, replace

import numpy as np

from hpo.data.dataset import Array, PartName, Task, class_numbers
from hpo.data.source_data import Values
from hpo.errors import DataError


@dataclass(frozen=True)
class Labels:
    """Targets as Keras takes them: int32 class numbers, float32 one-hot rows, or float32 numbers."""

    task: Task
    targets: Mapping[PartName, Array]
    outputs: int
    """Classes, or numbers to predict."""
    one_hot: bool = False
    class_names: tuple[str, ...] = ()
    shape: tuple[int, ...] = ()
    """As `DatasetInfo.target_shape`."""
    note: str | None = None
    """Why whole numbers, which may be either, are taken as classes or as numbers; None where nothing was open."""

    def class_numbers(self, part: PartName) -> Array | None:
        """The class of each sample, shape (n,); None where samples have no class, or several."""
        one_each = self.task == "classification" and not self.shape
        return class_numbers(self.targets[part]) if one_each else None


@dataclass(frozen=True)
class TaskHint:
    """The task that a metric or a loss of the study is for."""

    task: Task
    reason: str
    """Why, to be read after `since`."""


def of_shape_or_task(targets: Mapping[PartName, Values], task: Task | None, hint: TaskHint | None) -> Labels | None:
    """Targets of more than two dimensions, or of a task that is neither classification nor regression; None of others.

    Raises:
        DataError: they do not fit the task, or parts have other shapes.
    """
    if task == "custom":
        return _as_they_are(targets)
    if task == "multilabel":
        return _several_labels(targets)
    return _of_many(targets, task, hint) if targets["training"].array.ndim > 2 else None


def numbers(targets: Mapping[PartName, Values]) -> Labels:
    """Numbers to predict, float32, of one shape in all parts."""
    width = targets["training"].array.shape[1:]
    for values in targets.values():
        if values.array.dtype.kind not in "buif":
            raise DataError(f"{values.place}: regression needs numbers, got {values.array[0]!s:.40}")
        if values.array.shape[1:] != width:
            raise DataError(_other_shape(values, width))
    found = {name: values.array.astype(np.float32) for name, values in targets.items()}
    return Labels("regression", found, width[-1] if width else 1, shape=width if len(width) > 1 else ())


def _as_they_are(targets: Mapping[PartName, Values]) -> Labels:
    """Targets of which the model's own loss makes something: of any shape, in the type in which they came."""
    for values in targets.values():
        if values.array.dtype.kind not in "buif":
            raise DataError(f"{values.place}: targets of task custom must be numbers, got {values.array[0]!s:.40}")
    arrays = {
        name: values.array.astype(np.float32) if values.array.dtype == np.float64 else values.array
        for name, values in targets.items()
    }
    shape = targets["training"].array.shape[1:]
    return Labels("custom", arrays, shape[-1] if shape else 1, shape=shape if len(shape) > 1 else ())


def _several_labels(targets: Mapping[PartName, Values]) -> Labels:
    """Rows of zeros and ones, of which any number may be one: which of several labels hold."""
    width = targets["training"].array.shape[1:]
    for values in targets.values():
        y = values.array
        if y.ndim != 2 or y.dtype.kind not in "buif" or not ((y == 0) | (y == 1)).all():
            raise DataError(
                f"{values.place}: multilabel needs a 0 or 1 for each label, shape (samples, labels), got {y.dtype} of "
                f"shape {y.shape}"
            )
        if y.shape[1:] != width:
            raise DataError(f"{values.place}: must have the {width[0]} labels of the training part, got {y.shape[1]}")
    rows = {name: values.array.astype(np.float32) for name, values in targets.items()}
    return Labels("multilabel", rows, width[0])


def _of_many(targets: Mapping[PartName, Values], task: Task | None, hint: TaskHint | None) -> Labels:
    """Targets of more than two dimensions: masks, images, sequences."""
    y = targets["training"].array
    one_hot = y.shape[-1] > 1 and bool(((y == 0) | (y == 1)).all() and (y.sum(axis=-1) == 1).all())
    note = None
    if task is None:
        task = hint.task if hint is not None else "regression"
        if hint is None and (one_hot or y.dtype.kind in "bui"):
            task = "classification"
        if y.dtype.kind != "f" and not one_hot:
            taken, other = ("classes", "regression") if task == "classification" else ("numbers", "classification")
            why = f"since {hint.reason}" if hint else "since they are integers"
            note = f"is taken as {taken}, {why}; dataset.task: {other} says otherwise"
    if task == "regression":
        return replace(numbers(targets), note=note)
    if not one_hot:
        return replace(class_at_each(targets), note=note)
    rows = {name: values.array.astype(np.float32) for name, values in targets.items()}
    for values in targets.values():
        if values.array.shape[1:] != y.shape[1:]:
            raise DataError(_other_shape(values, y.shape[1:]))
    return Labels("classification", rows, y.shape[-1], one_hot=True, shape=y.shape[1:-1], note=note)


def class_at_each(targets: Mapping[PartName, Values]) -> Labels:
    """Class numbers from 0 for each step, or each pixel, of a sample. A part may lack a class.

    Raises:
        DataError: they are something else, or parts have other shapes.
    """
    width = targets["training"].array.shape[1:]
    for values in targets.values():
        y = values.array
        if y.dtype.kind not in "buif" or (y != np.trunc(y)).any() or y.min() < 0:
            got = f"{y.dtype} from {y.min():g} to {y.max():g}" if y.dtype.kind in "buif" else y.dtype
            raise DataError(f"{values.place}: class numbers must be whole numbers from 0, got {got}")
        if y.shape[1:] != width:
            raise DataError(_other_shape(values, width))
    classes = max(2, 1 + max(int(values.array.max()) for values in targets.values()))
    found = {name: values.array.astype(np.int32) for name, values in targets.items()}
    # As Keras's own masks have: a last dimension of one, which is no further place.
    places = width[:-1] if len(width) > 1 and width[-1] == 1 else width
    return Labels("classification", found, classes, shape=places)


def _other_shape(values: Values, width: tuple[int, ...]) -> str:
    return f"{values.place}: targets must have the shape of the training part's, {width}, got {values.array.shape[1:]}"
