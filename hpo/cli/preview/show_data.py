"""Samples of an experiment's data, and the number of samples of each class. Trains nothing."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from hpo.data.dataset import class_numbers
from hpo.data.mapped import Mapped
from hpo.data.scaling import range_of
from hpo.errors import UserError
from hpo.system.tensorflow_import import without_import_messages
from hpo.text.values import number

if TYPE_CHECKING:
    from hpo.config.experiment import Augmentation
    from hpo.data.dataset import Array, Dataset, DatasetInfo

_PARTS = ("training", "validation", "test")
_OF_EACH_CLASS = 10
_MOST_CLASSES = 20
"""The most classes that are drawn; further ones are only counted."""
_NUMBERS = 24
"""Samples drawn where there are no classes."""
_ROWS = 8
_BATCH = 256
_SEED = 0
"""The seed of the augmentation that is shown; each trial has its own."""


@dataclass(frozen=True)
class Row:
    """Samples side by side."""

    label: str
    """Their class, or the number to predict of the first sample."""
    samples: "Array"
    """Shape (n, height, width) or (n, height, width, 3); 0 is black, 1 is white."""


@dataclass(frozen=True)
class Spread:
    """The spread of the values of a column or a target."""

    name: str
    least: float
    mean: float
    largest: float
    deviation: float


@dataclass(frozen=True)
class Shown:
    """The samples and figures of a dataset that are shown."""

    info: "DatasetInfo"
    pictures: Sequence[Row]
    """For images, a row for each class; empty for other samples."""
    augmented: Sequence[Row]
    """The same samples, augmented as in training; empty without augmentation."""
    balance: Mapping[str, Mapping[str, int]]
    """Part -> class -> number of samples; empty for regression."""
    targets: Mapping[str, Sequence[Spread]]
    """Part -> the spread of each number to predict; empty for classification."""
    columns: Sequence[Spread]
    """The features of a table or series; empty for images."""
    rows: "Array | None"
    """The first samples of a table, shape (n, columns)."""
    labels: Sequence[str]
    """Their labels."""


def show_data(experiment: str | Path | Mapping[str, Any], overrides: Sequence[str] = ()) -> Shown:
    """Reads an experiment's data, and picks the first samples of each class.

    Raises:
        UserError: a mistake in the files or the data.
    """
    from hpo.loop.jobs import variants_of
    from hpo.plan.plan import load_plan

    plan = load_plan(experiment, overrides)
    dataset = variants_of(plan).base
    _refuse_unusual(dataset.info)
    y = {part: _labels(dataset, part) for part in _PARTS}
    x, first = _first(dataset)
    info = dataset.info
    is_images = len(info.input_shape) == 3
    originals = _chosen(first, info) if is_images else []
    changed: list[tuple[str, Array]] = []
    if plan.experiment.dataset.augmentation is not None:
        changed = _augmented(plan.experiment.dataset.augmentation, x, originals, info)
    low, high = range_of(x) if is_images else (0.0, 1.0)
    return Shown(
        info=info,
        pictures=[Row(label, _shades(x[rows], low, high)) for label, rows in originals],
        augmented=[Row(label, _shades(samples, low, high)) for label, samples in changed],
        balance={part: _counts(labels, info) for part, labels in y.items()} if info.classes else {},
        targets={} if info.classes else {part: _spreads(labels, _target_names(info)) for part, labels in y.items()},
        columns=[] if is_images else _spreads(x.reshape(-1, x.shape[-1]), _column_names(info)),
        rows=x[:_ROWS] if x.ndim == 2 else None,
        labels=[_named(label, info) for label in first[:_ROWS]],
    )  # fmt: skip


def _refuse_unusual(info: "DatasetInfo") -> None:
    """Checks that there is something to draw.

    Raises:
        UserError: there are several inputs or targets, text, or none but a mask for each sample.
    """
    usual = info.task in ("classification", "regression") and not info.target_shape
    if info.inputs or info.is_text or not usual:
        raise UserError(
            f"{info.name}: samples are shown where there is one input of numbers, and a class or a row of numbers for "
            "each; hpo check says what the data are"
        )


def _labels(dataset: "Dataset", part: str) -> "Array":
    import numpy as np

    if dataset.stream is None:
        return np.asarray(dataset.part(part).y)
    batches = dataset.stream(part, _BATCH)  # type: ignore[arg-type]
    return np.concatenate([np.asarray(y) for _, y, *_ in batches])


def _first(dataset: "Dataset") -> "tuple[Any, Array]":
    """The samples of the training part and their labels; from a pipeline only those of its first batches."""
    import itertools

    import numpy as np

    if dataset.stream is None:
        x = dataset.training.x
        # Images of a folder are read where they are drawn.
        return x if isinstance(x, Mapped) else np.asarray(x), np.asarray(dataset.training.y)
    batches = [(np.asarray(x), np.asarray(y)) for x, y, *_ in itertools.islice(dataset.stream("training", _BATCH), 8)]
    x, y = (np.concatenate(arrays) for arrays in zip(*batches, strict=True))
    return x, y


def _chosen(y: "Array", info: "DatasetInfo") -> "list[tuple[str, Array]]":
    """The samples to draw: (label, row numbers), a pair for each line of pictures."""
    import numpy as np

    if info.classes is None:
        return [(_named(y[row], info), np.array([row])) for row in range(min(_NUMBERS, len(y)))]
    numbers = class_numbers(y)
    return [
        (label, np.flatnonzero(numbers == number)[:_OF_EACH_CLASS])
        for number, label in enumerate(info.class_labels[:_MOST_CLASSES])
    ]


def _augmented(
    augmentation: "Augmentation", x: "Array", chosen: "Sequence[tuple[str, Array]]", info: "DatasetInfo"
) -> "list[tuple[str, Array]]":
    """The chosen samples augmented as in training, and scaled back."""
    import numpy as np

    with without_import_messages():
        from hpo.training.augmentation import Augment

    augment, scaling = Augment(augmentation, info, _SEED), info.scaling
    found = []
    for label, rows in chosen:
        seen = np.asarray(augment(scaling.apply(x[rows])))
        found.append((label, seen if scaling.method == "none" else seen / scaling.factor + scaling.offset))
    return found


def _shades(samples: "Array", low: float, high: float) -> "Array":
    """Images of shape (n, height, width, channels), from 0 to 1; of three or four channels three, else the first."""
    import numpy as np

    shades = ((samples.astype(np.float64) - low) / ((high - low) or 1.0)).clip(0, 1)
    return shades[..., :3] if shades.shape[-1] >= 3 else shades[..., 0]


def _counts(y: "Array", info: "DatasetInfo") -> dict[str, int]:
    import numpy as np

    counts = np.bincount(class_numbers(y), minlength=info.classes or 0)
    return dict(zip(info.class_labels, map(int, counts), strict=True))


def _named(label: Any, info: "DatasetInfo") -> str:
    """A label as people read it: the class's name, or the numbers to predict."""
    import numpy as np

    if info.classes is not None:
        return info.class_labels[int(class_numbers(np.asarray([label]))[0])]
    return ", ".join(number(float(one)) for one in np.atleast_1d(label))


def _column_names(info: "DatasetInfo") -> Sequence[str]:
    return info.feature_names or [f"column {number}" for number in range(info.input_shape[-1])]


def _target_names(info: "DatasetInfo") -> Sequence[str]:
    if info.series is not None:
        return info.series.output_names
    return ["target"] if info.outputs == 1 else [f"target {number}" for number in range(info.outputs)]


def _spreads(values: "Array", names: Sequence[str]) -> list[Spread]:
    columns = values.reshape(len(values), -1).astype(float).T
    return [
        Spread(name, float(column.min()), float(column.mean()), float(column.max()), float(column.std()))
        for name, column in zip(names, columns, strict=True)
    ]
