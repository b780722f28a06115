"""The section `dataset` of the experiment file."""

from pathlib import Path
from typing import Annotated, Any, Literal, Self

from pydantic import AfterValidator, ConfigDict, Field, WithJsonSchema, model_validator

from hpo.config.conditions import is_number
from hpo.config.section import WHOLE, BelowOne, Count, Section, Seed, Shorthand
from hpo.text.credentials import hidden

_SIZE_SCHEMA = {
    "anyOf": [
        {"type": "number", "exclusiveMinimum": 0, "exclusiveMaximum": 1},
        {"type": "integer", "minimum": 2},
    ]
}


def _share_or_number(value: float) -> float:
    if value == 1 or (value > 1 and not value.is_integer()):
        raise ValueError(f"must be a share below 1 or a whole number of samples above 1, got {value:g}")
    return value


_OF_TABLES = {"drop", "missing", "categories", "max_categories", "categorical"}
"""Keys with a default that say how a table is read; a table has a `target`."""
TABLE_ENDINGS = (".csv", ".tsv", ".csv.gz", ".tsv.gz", ".parquet")
"""The endings of tables, in small letters."""
FILE_ENDINGS = (".npz", *TABLE_ENDINGS)

Size = Annotated[float, Field(gt=0), AfterValidator(_share_or_number), WithJsonSchema(_SIZE_SCHEMA)]


# Pydantic counts characters before it knows of the name tab.
_SEPARATOR_SCHEMA = {"type": "string", "anyOf": [{"minLength": 1, "maxLength": 1}, {"const": "tab"}]}


def _stem(path: str) -> str:
    name = Path(path).name
    return name[: -len(".csv.gz")] if name.lower().endswith((".csv.gz", ".tsv.gz")) else Path(path).stem


def _one_character(value: str) -> str:
    if value == "tab":
        return "\t"
    if len(value) != 1:
        raise ValueError(f"must be one character, or tab, got {value!r}")
    return value


Names = Annotated[tuple[str, ...], Field(strict=False)]


class Validation(Shorthand):
    """The validation part, on which trials are compared: drawn once, or in folds (k-fold cross-validation)."""

    short_key = "size"

    size: Size = 0.2
    """How much of the training data is used for validation. Unit: share below 1, or number of samples above 1.
    Example: 1000"""
    seed: Seed | None = None
    """Seed of this split. Default: `dataset.seed`. Example: 1"""
    folds: Annotated[int, Field(ge=2), WHOLE] | None = None
    """k-fold cross-validation. Each trial trains this many models, each validated on another share of the data, and its
    score is their mean. `size` has no effect then. Unit: folds. Default: no cross-validation. Example: 5"""
    group: str | None = None
    """A column of a table, such as a patient or a machine. Samples with the same value stay together, in one part or
    fold. The test part is divided by it, too. Default: none. Example: patient"""
    time: str | None = None
    """A column of a table that holds times: numbers or dates. The latest samples are the test part, those before them
    the validation part; folds go forward in time. Samples of one time stay together. Default: none. Example: day"""
    as_input: bool = False
    """Whether the column of `group` or `time` is an input of the model, too. A model can learn from a group, and from a
    time that it will never meet again, what is of no use for new ones. Example: true"""

    @model_validator(mode="after")
    def _one_column(self) -> Self:
        if self.group is not None and self.time is not None:
            raise ValueError("group and time exclude each other")
        if self.as_input and self.column is None:
            raise ValueError("as_input is for the column of group or time, and there is none")
        return self

    @property
    def column(self) -> str | None:
        """The column by which the parts are divided."""
        return self.group if self.time is None else self.time

    @classmethod
    def is_short(cls, value: object) -> bool:
        """Whether a value is a size."""
        return is_number(value)


class Augmentation(Section):
    """Random changes of training images, new ones each time an image is seen, by Keras's layers of these names."""

    rotation: Annotated[float, Field(ge=0, le=1)] | None = None
    """The largest rotation to either side; 0.05 is 18 degrees. Unit: share of a full turn. Default: none.
    Example: 0.05"""
    zoom: BelowOne | None = None
    """The largest zoom in or out. Unit: share of the size. Default: none. Example: 0.1"""
    translation: BelowOne | None = None
    """The largest shift along each axis. Unit: share of the size. Default: none. Example: 0.1"""
    flip: Literal["horizontal", "vertical", "horizontal_and_vertical"] | None = None
    """Which way images are mirrored, half of the time. Values: horizontal: left and right are swapped; vertical: top
    and bottom are swapped; horizontal_and_vertical: both, each half of the time. Default: none. Example: horizontal"""
    noise: Annotated[float, Field(ge=0, le=1)] | None = None
    """Standard deviation of the Gaussian noise that is added to each number. Unit: that of the scaled inputs.
    Default: none. Example: 0.05"""
    fill: Literal["reflect", "wrap", "constant", "nearest"] = "constant"
    """What fills the places that a rotation, zoom or translation leaves empty. Values: reflect: the image mirrored at
    its edge; wrap: the image repeated; constant: zero; nearest: the pixel at the edge. Example: nearest"""


class ExtraTest(Section):
    """A changed copy of the test part, scored beside it."""

    needs_one_of = ("shift", "rotate")

    shift: Annotated[tuple[int, int], Field(strict=False)] | None = None
    """How far images are moved, [down, right]; negative: up, left. Empty places are zero. Unit: pixels.
    Default: none. Example: [0, 4]"""
    rotate: float | None = None
    """How far images are turned, counterclockwise about the center. Empty places are zero. Unit: degrees.
    Default: none. Example: 15"""


class DatasetSpec(Shorthand):
    """Where the data come from, and how they are split and scaled. A name or a path alone is enough."""

    model_config = ConfigDict(
        json_schema_extra={
            "not": {
                "properties": {"path": {"type": "string"}, "function": {"type": "string"}},
                "required": ["path", "function"],
            },
        }
    )
    short_key = "name"
    needs_one_of = ("name", "path", "function")

    name: str | None = None
    """A dataset that hpo knows (`hpo list datasets`), or a name for your own. Default: from the path.
    Example: digits"""
    path: str | None = None
    """Your data: a folder of IDX files, a .npz file, or a table: .csv, .tsv (also .gz) or .parquet. A relative path
    starts from the working directory or from the experiment's folder. Default: none. Example: data/houses.csv"""
    function: str | None = None
    """Your data: import path `package.module:function` of a function that returns the parts; see docs/files.md.
    Default: none. Example: "mydata:load\""""
    target: str | None = None
    """The column to predict, for tables. Default: none. Example: price"""
    drop: Names = ()
    """Columns of a table that are no inputs, such as identifiers. Example: [id, name]"""
    missing: Literal["impute", "refuse"] = "impute"
    """What happens where values of a table are missing. Values: impute: numbers and dates are replaced by the median of
    the training part, texts by its most frequent one, and an input of zeros and ones says where; refuse: the table is
    refused. Example: refuse"""
    categories: Literal["one_hot", "ordinal", "hashing"] = "one_hot"
    """What texts in a table become. Values: one_hot: an input of zeros and ones for each of the `max_categories` most
    frequent ones of a column, and one for all others; ordinal: the number of the text in alphabetical order; hashing:
    `max_categories` inputs of zeros and ones, onto which all texts are spread by a hash. Texts that the training part
    lacks are others; if it has no others, their inputs are zero, or their number follows the last. Example: hashing"""
    max_categories: Annotated[int, Field(ge=2), WHOLE] = 20
    """How many texts of a column have an input of their own, for one_hot, or how many inputs there are, for hashing.
    Unit: texts. Example: 50"""
    categorical: Names = ()
    """Columns of a table whose numbers are names, such as codes. They are treated as texts. Example: [district]"""
    dates: dict[str, str] | None = None
    """How dates are written in a column of a table, by Python's strptime codes. A date becomes days since 1970-01-01,
    year, month, day and weekday (Monday is 0), and the hour where times are given. Default: found from the values.
    Example: {sold: "%d/%m/%Y"}"""
    separator: Annotated[str, AfterValidator(_one_character), WithJsonSchema(_SEPARATOR_SCHEMA)] | None = None
    """What separates the columns of a text table: one character, or tab. Default: found from the file. Example: ";\""""
    decimal: Literal[".", ","] | None = None
    """The decimal sign of a text table. Values: .: a point; ,: a comma. Default: found from the file. Example: ",\""""
    encoding: str | None = None
    """The encoding of a text table, by Python's name. Default: utf-8, or else cp1252. Example: latin-1"""
    task: Literal["classification", "regression", "multilabel", "reconstruction", "custom"] | None = None
    """What is predicted. Values: classification: one of several classes, for each sample or for each step or pixel of
    it; regression: numbers; multilabel: which of several labels hold; reconstruction: the inputs themselves, as they
    are after scaling, from data without targets; custom: what the model's own loss, `train_step` or `training.loss`
    makes of the targets, if there are any. Default: found from the labels; custom where there are none.
    Example: regression"""
    weights: str | None = None
    """The column of a table that says how much each sample counts in the loss, in training, validation and test. It is
    no input. Default: none. Example: weight"""
    validation: Validation = Validation()
    """How much of the training data is used for validation, or a mapping of keys. Trials are compared on it.
    Unit: share below 1, or number of samples above 1. Example: 0.1"""
    test: Size = 0.2
    """How much of the data is kept for the test, if the data have no test part of their own.
    Unit: share below 1, or number of samples above 1. Example: 0.1"""
    stratify: bool | None = None
    """Whether each part gets the same share of each class. Default: true if the classes are large enough.
    Example: false"""
    shuffle: bool = True
    """Whether parts are drawn at random. If false, the samples are taken to be in the order of time: the last ones are
    the test part, those before them the validation part, and folds go forward. Example: false"""
    seed: Seed = 0
    """Seed of the splits and of `limit`. It does not depend on the study's seed. Example: 1"""
    scaling: Literal["minmax", "standard", "none"] | None = None
    """How inputs are scaled. The scaling is fitted on the training part alone: one for all pixels of images, one for
    each column of tables. Values: minmax: to the range from 0 to 1; standard: to mean 0 and standard deviation 1;
    none: not at all.
    Default: minmax for images, none for other integers (numbers of words or things, counts), standard for all else,
    and for tables. Example: standard"""
    target_scaling: Literal["standard", "minmax", "none"] | None = None
    """How the numbers to predict are scaled while a model trains, each target by itself, fitted on the training part.
    The model undoes it: predictions, metrics and losses are in the target's own unit. Where it cannot be undone, the
    targets are left as they are; see docs/files.md. Values: standard: to mean 0 and standard deviation 1, for models
    that end in a linear layer; minmax: to the range from 0 to 1; none: not at all.
    Default: standard for regression, none for generated data. Example: none"""
    limit: Annotated[int, Field(ge=10), WHOLE] | None = None
    """Use at most this many samples for training and validation together. A test part that the data bring stays whole.
    Unit: samples. Default: all. Example: 10000"""
    augmentation: Augmentation | None = None
    """Random changes of the training images. Default: none. Example: {rotation: 0.05, zoom: 0.1}"""
    extra_tests: dict[Annotated[str, Field(pattern=r"^[a-z][a-z0-9_]*$")], ExtraTest] | None = None
    """Changed copies of the test images, by a name of yours. `shifted` is logged as test_shifted_accuracy, and so on.
    Default: none. Example: {shifted: {shift: [0, 4]}}"""
    steps_per_epoch: Count | None = None
    """How many batches make an epoch, for a `function` that generates batches without end. Unit: batches.
    Default: none; such a function needs it. Example: 200"""

    @classmethod
    def _inferred(cls, value: dict[str, Any]) -> dict[str, Any]:
        name = value.get("name")
        if not isinstance(name, str) or value.get("path") or value.get("function"):
            return value
        if ":" in name:
            return {**value, "function": name, "name": name.rpartition(":")[2]}
        if "/" in name or name.lower().endswith(FILE_ENDINGS):
            return {**value, "path": name, "name": _stem(name)}
        return value

    @model_validator(mode="after")
    def _not_two_sources(self) -> Self:
        if self.path is not None and self.function is not None:
            raise ValueError("path and function exclude each other")
        return self

    @model_validator(mode="after")
    def _one_order(self) -> Self:
        if not self.shuffle and self.validation.column is not None:
            raise ValueError("shuffle: false and validation.group or validation.time exclude each other")
        if self.stratify and (not self.shuffle or self.validation.time is not None):
            raise ValueError("stratify: true is for parts that are drawn, and these follow each other; leave it out")
        return self

    @property
    def validation_seed(self) -> int:
        """Seed of the split into the training and the validation part."""
        return self.seed if self.validation.seed is None else self.validation.seed

    @property
    def label(self) -> str:
        """The dataset's name in messages and logs."""
        return hidden(self.name or _stem(self.path or "") or str(self.function))

    def in_effect(self) -> dict[str, Any]:
        """The section as JSON values; without the defaults for tables where the data are none."""
        return self.model_dump(mode="json", exclude=None if self.target is not None else _OF_TABLES)
