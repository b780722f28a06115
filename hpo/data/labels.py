"""What is to be predicted: the task found from the targets, and the targets as class numbers or numbers."""

from collections.abc import Iterable, Mapping
from dataclasses import replace

import numpy as np

from hpo.config.metrics import needs_classes, needs_numbers
from hpo.data.dataset import Array, PartName, Task
from hpo.data.label_kinds import Labels, TaskHint, class_at_each, numbers, of_shape_or_task
from hpo.data.source_data import Values
from hpo.errors import DataError

_MOST_NUMBERED_CLASSES = 20
"""A table's column of whole numbers with more distinct values than this is a quantity, not a class."""

_MOSTLY = 0.5
"""Rows of which a larger share is one-hot are meant to be."""

_MOST_REPORTED = 100
"""Of targets with more distinct values than this nobody wonders whether they are classes."""


def task_hint(names: Iterable[str]) -> TaskHint | None:
    """The task that the first telling one of these metrics and losses is for; None if none tells."""
    for name in names:
        if needs_classes(name):
            return TaskHint("classification", f"only classes have {name}")
        if needs_numbers(name):
            return TaskHint("regression", f"{name} compares numbers")
    return None


def read_labels(
    targets: Mapping[PartName, Values],
    task: Task | None,
    is_table: bool = False,
    class_names: tuple[str, ...] = (),
    hint: TaskHint | None = None,
) -> Labels:
    """Reads the targets of all parts; classes are those of the training part.

    Without `task`, the first of these rules that fits decides:

    1. Names, truth values and one-hot rows are classes. Numbers with fractions are numbers.
    2. Whole numbers are what the `hint` says; classes only if each occurs twice on average, and numbers such as 1.0
       only if at most 20 occur. Classes that have names are classes.
    3. In a table, they are classes if there are exactly two, or if they are of an integer type, at most 20 occur, and
       each occurs twice; otherwise numbers.
    4. In an array, they are classes if they are of an integer type; otherwise numbers.

    A table's classes are numbered in order; those of arrays must be numbered from 0. Samples with several class numbers
    each, of the steps of a sequence or the pixels of a mask, have more than two dimensions, or `task` says so.

    Raises:
        DataError: targets that do not fit the task, a single class, class numbers that do not run from 0
            without a gap, or a label that the training part lacks.
    """
    targets = {name: Values(_flat(values.array), values.place) for name, values in targets.items()}
    training = targets["training"]
    one_hot = _misplaced_one(training.array) is None
    note = None
    if (others := of_shape_or_task(targets, task, hint)) is not None:
        return others
    if task is None:
        task, note = _find_task(training, one_hot, is_table, None if class_names else hint)
    if task == "regression":
        return replace(numbers(targets), note=note)
    if one_hot:
        return _one_hot(targets, class_names)
    if training.array.ndim == 2:
        # Only a task that is named comes here. Most rows of one-hot labels with a mistake are one-hot.
        if np.mean(_are_one_hot(training.array)) > _MOSTLY:
            raise DataError(_not_one_hot(training))
        return class_at_each(targets)
    if training.array.dtype.kind in "UbS" or is_table:
        return replace(_named_classes(targets), note=note)
    return replace(_numbered_classes(targets, class_names), note=note)


def _flat(array: Array) -> Array:
    return array[:, 0] if array.ndim == 2 and array.shape[1] == 1 else array


def _find_task(training: Values, one_hot: bool, is_table: bool, hint: TaskHint | None) -> tuple[Task, str | None]:
    """The task, and a note about it where whole numbers might be either."""
    y = training.array
    if y.dtype.kind in "UbS" or one_hot:
        return "classification", None
    if y.ndim == 2 and y.dtype.kind != "f" and (hint is None or hint.task == "classification"):
        others = f"classification as a class for each of {y.shape[1]} places, multilabel as labels that hold or not"
        raise DataError(f"{_not_one_hot(training)}; task: regression takes them as numbers, {others}")
    if y.ndim == 2 or not (np.isfinite(y).all() and (y == np.trunc(y)).all()):
        return "regression", None
    values, counts = np.unique(y, return_counts=True)
    repeats = len(values) >= 2 and 2 * len(values) <= len(y)
    usual: Task = "regression" if y.dtype.kind == "f" else "classification"
    may_be_classes = repeats and (usual == "classification" or len(values) <= _MOST_NUMBERED_CLASSES)
    if hint is not None and (hint.task == "regression" or may_be_classes):
        task, reason = hint.task, hint.reason
    elif not is_table:
        return usual, None
    else:
        few = repeats and counts.min() >= 2 and len(values) <= (2 if usual == "regression" else _MOST_NUMBERED_CLASSES)
        task, reason = "classification" if few else "regression", _reason(values, counts)
    is_open = len(values) <= _MOST_REPORTED and (task != usual or (is_table and len(values) > 2))
    return task, _task_note(values, task, reason) if is_open else None


def _reason(values: Array, counts: Array) -> str:
    number = f"there are {len(values)} different ones"
    return number if counts.min() >= 2 else f"{number}, of which some occur only once"


def _task_note(values: Array, task: Task, reason: str) -> str:
    shown = [f"{one:g}" for one in values]
    listed = ", ".join(shown if len(shown) <= 4 else [*shown[:2], "...", shown[-1]])
    what, other = ("classes", "regression") if task == "classification" else ("numbers", "classification")
    return f"is taken as {what} ({listed}), since {reason}; dataset.task: {other} says otherwise"


def _misplaced_one(y: Array) -> int | None:
    """The first row that is not zeros with a single one; -1 where there are no rows of numbers."""
    if y.ndim != 2 or y.dtype.kind not in "buif":
        return -1
    wrong = ~_are_one_hot(y)
    return int(wrong.argmax()) if wrong.any() else None


def _are_one_hot(y: Array) -> Array:
    """Which rows are zeros with a single one, shape (n,)."""
    return np.asarray(((y == 0) | (y == 1)).all(axis=1) & ((y == 1).sum(axis=1) == 1))


def _not_one_hot(values: Values) -> str:
    row = _misplaced_one(values.array)
    got = f"got {values.array[row]} in row {row}" if row != -1 else f"got shape {values.array.shape}"
    return f"{values.place}: labels must be class numbers or rows of zeros with a single one, {got}"


def _one_hot(targets: Mapping[PartName, Values], class_names: tuple[str, ...]) -> Labels:
    classes = targets["training"].array.shape[1]
    for values in targets.values():
        if _misplaced_one(values.array) is not None:
            raise DataError(_not_one_hot(values))
        if values.array.shape[1] != classes:
            raise DataError(
                f"{values.place}: one-hot labels must have the {classes} columns of the training part, "
                f"got {values.array.shape[1]}"
            )
    rows = {name: values.array.astype(np.float32) for name, values in targets.items()}
    return Labels("classification", rows, classes, one_hot=True, class_names=class_names)


def _named_classes(targets: Mapping[PartName, Values]) -> Labels:
    """Classes in the order of their names; numbers that count from 0 already stay as they are."""
    targets = {
        name: Values(values.array.astype(str), values.place) if values.array.dtype.kind == "S" else values
        for name, values in targets.items()
    }
    classes = np.unique(targets["training"].array)
    for values in targets.values():
        if (values.array.dtype.kind == "U") != (classes.dtype.kind == "U"):
            raise DataError(
                f"{values.place}: labels must be of the training part's type, {classes.dtype}, got {values.array.dtype}"
            )
    _check_two(len(classes), targets["training"])
    # scikit-learn's LabelEncoder numbers them the same, but its error does not name the row of an unknown label.
    numbers = {}
    for name, values in targets.items():
        numbers[name] = np.searchsorted(classes, values.array).clip(max=len(classes) - 1).astype(np.int32)
        _check_known(classes[numbers[name]] == values.array, values, f"{len(classes)} classes")
    counted = classes.dtype.kind in "iuf" and np.array_equal(classes, np.arange(len(classes)))
    names = () if counted else tuple(str(one) for one in classes.tolist())
    return Labels("classification", numbers, len(classes), class_names=names)


def _numbered_classes(targets: Mapping[PartName, Values], class_names: tuple[str, ...]) -> Labels:
    training = targets["training"]
    for values in targets.values():
        y = values.array
        if y.dtype.kind not in "iuf" or (y != np.trunc(y)).any():
            raise DataError(f"{values.place}: class labels must be whole numbers, got {y.dtype} with fractions")
    found = np.unique(training.array)
    classes = len(class_names) or len(found)
    if not class_names and not np.array_equal(found, np.arange(classes)):
        advice = "subtract 1" if found[0] == 1 and found[-1] == classes else "number them again from 0"
        raise DataError(
            f"{training.place}: labels must run from 0 to classes - 1 with none left out, got {classes} "
            f"different ones from {found[0]:g} to {found[-1]:g}: {advice}"
        )
    _check_two(classes, training)
    for values in targets.values():
        y = values.array
        _check_known((y >= 0) & (y < classes), values, f"classes 0 to {classes - 1}")
    numbers = {name: values.array.astype(np.int32) for name, values in targets.items()}
    return Labels("classification", numbers, classes, class_names=class_names)


def _check_two(classes: int, training: Values) -> None:
    if classes < 2:
        raise DataError(f"{training.place}: needs at least two classes, got only {training.array[0]}")


def _check_known(known: Array, values: Values, classes: str) -> None:
    if not known.all():
        row = int(np.argmin(known))
        raise DataError(
            f"{values.place}: label {values.array[row]} in row {row} (counted from 0) is not one of the "
            f"{classes} of the training data"
        )
