"""What a dataset is: three parts, what is known of them, and the scaling fitted on the training part."""

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Annotated, Any, Literal

import numpy as np
import numpy.typing as npt
from pydantic import PlainSerializer, PlainValidator

from hpo.data.column import Column, feature_names

Array = npt.NDArray[Any]
Task = Literal["classification", "regression"]
PartName = Literal["training", "validation", "test"]
Batches = Callable[[int, Sequence[int]], Iterator[tuple[Array, Array]]]
"""Fresh batches without end, `batches(batch_size, seed)`: unscaled x and y, the same for the same seed."""


def _as_float32(value: npt.ArrayLike) -> Array:
    return np.asarray(value, np.float32)


Float32 = Annotated[Array, PlainValidator(_as_float32), PlainSerializer(np.ndarray.tolist)]
"""An array that pydantic keeps as numbers."""


@dataclass(frozen=True)
class Scaling:
    """Turns raw features into the model's input: `(x - offset) * factor`, in float32.

    `offset` and `factor` are float32 arrays that broadcast over `input_shape`: one number for images, one per
    column for tables. They were fitted on the training part alone.
    """

    method: Literal["minmax", "standard", "none"]
    offset: Float32
    factor: Float32

    def apply(self, x: Array) -> Array:
        """Scales samples, shape (n, *input_shape); returns float32.

        The difference is taken before the rounding to float32: of large numbers, timestamps for one, nothing
        else would be left.
        """
        if self.method == "none":
            return np.asarray(x, dtype=np.float32)
        return np.asarray((x - self.offset) * self.factor, dtype=np.float32)


@dataclass(frozen=True)
class Part:
    """Samples and what is to be predicted of them.

    `x` has shape (n, *input_shape), unscaled, in the type in which it came (uint8 for images). `y` has shape
    (n,) for class numbers, (n, classes) for one-hot labels, (n,) or (n, outputs) for numbers.
    """

    x: Array
    y: Array

    def __len__(self) -> int:
        return len(self.x)


@dataclass(frozen=True)
class Draw:
    """One division of the training data, which gives a part, or the folds of k-fold cross-validation."""

    purpose: Literal["limit", "test", "validation"]
    """What was drawn: the samples to go on with, or a part."""
    count: int
    """Samples drawn."""
    stratified: bool
    """Whether each side has the same share of each class."""
    method: Literal["shuffled", "groups", "group folds", "latest"] = "shuffled"
    """How. shuffled: by scikit-learn's train_test_split, into folds by its KFold; groups: whole groups by its
    GroupShuffleSplit; group folds: one of `folds` folds of its StratifiedGroupKFold; latest: the last in time."""
    pooled: tuple[int, ...] = ()
    """Classes that are too small to be divided by themselves: for the strata they count as the class `pooled_as`."""
    pooled_as: int = -1
    folds: int = 0
    """For group folds: how many there were."""
    fold: int = 0
    """For group folds: which one was taken, from 0."""
    groups: int = 0
    """For groups: how many were drawn."""


@dataclass(frozen=True)
class DatasetInfo:
    """What is known of a dataset without its samples: small, picklable, JSON-like. Models are built from it."""

    name: str
    source: str
    """Where it came from: a path, an import path, or `scikit-learn`, `keras.datasets`."""
    task: Task
    input_shape: tuple[int, ...]
    """Shape of one sample; images have three dimensions (height, width, channels)."""
    classes: int | None
    """The number of classes; None for regression."""
    outputs: int
    """How many numbers the model puts out: the classes, or the numbers to predict."""
    one_hot: bool
    """Whether labels are rows of zeros with a single one, rather than class numbers."""
    sizes: Mapping[str, int]
    """Samples of each part."""
    digests: Mapping[str, str]
    """Content hash of each part, 32 hexadecimal digits."""
    digest: str
    """Content hash of all parts together, 32 hexadecimal digits."""
    scaling: Scaling
    target_scaling: Scaling | None = None
    """How the numbers to predict are scaled while a model trains, each by itself; None for as they are."""
    class_names: tuple[str, ...] = ()
    """What the classes are called, where the data say so."""
    columns: tuple[Column, ...] = ()
    """The columns of a table in the order of its file, without the target. The order of features is `feature_names`."""
    unused: int = 0
    """How many features of a table, the last ones, are zero in every row: in place of categories, and of inputs that
    say where a value is missing, for which the training part has no row. So the shape of samples is the same however
    the table is divided."""
    fill: tuple[float, ...] | None = None
    """What stands for a missing value in each feature of a table; None: missing values are refused."""
    by_column: bool = False
    """Whether a saved model takes the columns of a table by their names, as they came; else an array of features."""
    table_format: Mapping[str, str] = field(default_factory=dict)
    """How the section says that a table's text is written: `separator`, `decimal`, `encoding`."""
    draws: tuple[Draw, ...] = ()
    """How the parts that the data did not bring came about, in this order."""
    folds: int | None = None
    """How many folds k-fold cross-validation has; None without it. Parts, sizes, digests and scaling are then those of
    the first fold, and `digest` is that of all folds."""
    extra_tests: tuple[str, ...] = ()
    """The names of the changed copies of the test part."""
    repeated: Mapping[str, int] = field(default_factory=dict)
    """Part -> how many of its samples have an equal one, target included, in a part that chooses: of validation samples
    in the training part, of test samples in either. Parts without any are left out; pipelines are not looked at."""
    notes: tuple[str, ...] = ()
    """What was decided about the data that their section does not say, and what their user should know, a sentence
    each."""
    steps_per_epoch: int | None = None
    """How many fresh batches make an epoch of generated data, whose training part is a sample to fit the scaling on;
    None for other data."""

    input_type: str = ""
    """NumPy's name of the type in which samples came, such as int32; empty where earlier versions of hpo did not keep
    it."""
    default_scaling: bool = False
    """Whether the scaling is the one by default, since the dataset section names none."""

    @property
    def feature_names(self) -> tuple[str, ...]:
        """What the features of a table are called, in their order; see `hpo.data.column`."""
        return (*feature_names(self.columns), *(f"unused_{number}" for number in range(1, self.unused + 1)))

    @property
    def class_labels(self) -> tuple[str, ...]:
        """What the classes are called, by their numbers where the data do not say."""
        return self.class_names or tuple(map(str, range(self.classes or 0)))

    def steps(self, batch_size: int) -> int:
        """Gradient steps an epoch."""
        return self.steps_per_epoch or -(-self.sizes["training"] // batch_size)


def class_numbers(y: Array) -> Array:
    """The class of each sample, shape (n,), from class numbers, shape (n,) or (n, 1), or one-hot rows."""
    return y.argmax(axis=1) if y.ndim == 2 and y.shape[1] > 1 else y.reshape(-1).astype(int)


@dataclass(frozen=True)
class Dataset:
    """Three parts and what is known of them.

    Where the user's function yields `tf.data.Dataset`s, the arrays of the parts are empty and `stream` returns
    the pipeline of a part, batched: `stream(part, batch_size)`.
    """

    info: DatasetInfo
    training: Part
    validation: Part
    test: Part
    stream: Callable[[PartName, int], Any] | None = field(default=None, compare=False)
    batches: Batches | None = field(default=None, compare=False)
    """What each epoch of generated data is drawn from."""
    extra_tests: Mapping[str, Part] = field(default_factory=dict)
    """Changed copies of the test part, by name."""
    folds: tuple["Dataset", ...] = ()
    """The folds of k-fold cross-validation. The parts above are those of the first."""

    def part(self, name: str) -> Part:
        """The part of that name; test_NAME is an extra test."""
        part: Part = self.extra_tests[name[5:]] if name.startswith("test_") else getattr(self, name)
        return part
