"""What a dataset is: three parts, what is known of them, and the scaling fitted on the training part."""

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Annotated, Any, Literal

import numpy as np
import numpy.typing as npt
from pydantic import PlainSerializer, PlainValidator

from hpo.data.column import Column, feature_names
from hpo.data.draw import Draw
from hpo.data.mapped import Mapped
from hpo.data.several import Arrays, as_keras, in_order, is_text
from hpo.data.windows import Windows

Array = npt.NDArray[Any]
Task = Literal["classification", "regression", "multilabel", "reconstruction", "several", "custom"]
"""What is predicted: one of several classes; numbers; which of several labels hold; the inputs themselves; several
targets, each with a task of its own; what the model's own loss says."""
PartName = Literal["training", "validation", "test"]
Batches = Callable[[int, Sequence[int]], Iterator[tuple[Array, Arrays, Arrays | None]]]
"""Fresh batches without end, `batches(batch_size, seed)`: unscaled x, y and weights, the same for the same seed."""


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


NO_SCALING = Scaling("none", np.zeros((), np.float32), np.ones((), np.float32))


@dataclass(frozen=True)
class Part:
    """Samples and what is to be predicted of them.

    `x` has shape (n, *input_shape), unscaled, in the type in which it came (uint8 for images, text for text). `y` has
    shape (n, *target_shape) for class numbers, (n, *target_shape, classes) for one-hot labels, (n,), (n, outputs) or
    (n, *target_shape) for numbers. Either may be `Several` arrays; `y` is None where the data have no targets.
    """

    # Arrays or Mapped, and Arrays | None: most who read them know from what they do that it is a single one.
    x: Any
    y: Any
    weights: Any = None
    """How much each sample counts in the loss, shape (n,), or each of its steps, shape (n, steps), float32; one
    array, or `Several` by target; None where all count alike."""

    def __len__(self) -> int:
        return len(self.x)

    def arrays(self) -> Iterator[Array]:
        """The inputs, then the targets, one after the other."""
        yield from in_order(self.x)
        if self.y is not None:
            yield from in_order(self.y)

    def take(self, rows: Any) -> "Part":
        """Some of the samples."""
        x = self.x.take(rows) if isinstance(self.x, Mapped) else self.x[rows]
        return Part(x, None if self.y is None else self.y[rows], None if self.weights is None else self.weights[rows])


@dataclass(frozen=True)
class Input:
    """One of several inputs."""

    shape: tuple[int, ...]
    """Shape of one sample; () for a single number or text."""
    type: str
    """NumPy's name of the type in which samples came."""
    scaling: Scaling

    @property
    def is_text(self) -> bool:
        """Whether it holds texts."""
        return np.dtype(self.type).kind in "US"

    @property
    def dtype(self) -> str:
        """The type in which a model gets it, by Keras's name: string for text; integers that are not scaled stay so."""
        if self.is_text:
            return "string"
        kind = np.dtype(self.type)
        return kind.name if self.scaling.method == "none" and kind.kind in "ui" else "float32"

    def prepared(self, x: Array) -> Array:
        """Samples as a model gets them."""
        return x if self.is_text or self.dtype != "float32" else self.scaling.apply(x)


@dataclass(frozen=True)
class Target:
    """One of several targets; see the fields of the same names of DatasetInfo."""

    task: Task
    classes: int | None
    outputs: int
    one_hot: bool
    class_names: tuple[str, ...] = ()
    target_shape: tuple[int, ...] = ()


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
    text: str | None = None
    """The column of a table that is the only input; None where there is none."""
    series: Windows | None = None
    """Of which rows of a table the samples are windows, shape (window, features); None where they are none."""
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
    """NumPy's name of the type in which samples came, such as int32; empty where earlier versions did not keep it."""
    default_scaling: bool = False
    """Whether the scaling is the one by default, since the dataset section names none."""

    inputs: Mapping[str, Input] = field(default_factory=dict)
    """The inputs by name, where there are several; `input_shape` is then empty, and `scaling` none."""
    inputs_listed: bool = False
    """Whether several inputs came as a list, and models take them so; else as a dict."""
    targets: Mapping[str, Target] = field(default_factory=dict)
    """The targets by name, where there are several."""
    targets_listed: bool = False
    """Whether several targets came as a list."""
    target_shape: tuple[int, ...] = ()
    """Of classes, the shape of the class numbers of a sample: (steps,) for a sequence, (height, width) for a mask,
    empty for one class a sample. Of numbers, their shape where it has more than one dimension."""
    weighted: tuple[str, ...] = ()
    """The parts whose samples have weights."""
    images: Mapping[str, Any] = field(default_factory=dict)
    """How the images of a folder are read: the keys of the section, by name; empty for other data."""
    window: int | None = None
    """How many training samples are shuffled at a time where samples are read from disk while a model trains; None
    where they are in memory."""
    memory_limit: float | None = None
    """How many GB the images of a folder may take in memory; None for other data, and where earlier versions did not
    keep it."""

    def of_target(self, name: str) -> "DatasetInfo":
        """The same as if it had but one of its targets."""
        return replace(self, name=f"target {name} of {self.name}", targets={}, **vars(self.targets[name]))

    @property
    def is_text(self) -> bool:
        """Whether the only input is text."""
        return bool(self.input_type) and np.dtype(self.input_type).kind in "US"

    def prepared(self, x: Arrays) -> Any:
        """Samples as models get them: scaled, text as it is; several in the structure in which Keras takes them."""

        def one(name: str, array: Array) -> Array:
            if name in self.inputs:
                return self.inputs[name].prepared(array)
            return array if is_text(array) else self.scaling.apply(np.asarray(array))

        return as_keras(x, one)

    def adapt(self, layer: Any, name: str | None = None) -> Any:
        """A layer adapted on the training part, once for all trials; see `hpo.data.adapting.adapted`.

        `layer = dataset.adapt(keras.layers.TextVectorization(max_tokens=5000))`, or of several inputs
        `dataset.adapt(layer, "title")`.
        """
        from hpo.data.adapting import adapted

        return adapted(layer, name)

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


def places_of(task: Task, target_shape: tuple[int, ...]) -> tuple[int, ...] | None:
    """The shape of that for which a sample has a target each: empty for one alone; None where it is not known."""
    if task == "custom":
        return None
    return target_shape if task == "classification" else target_shape[:-1]


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
