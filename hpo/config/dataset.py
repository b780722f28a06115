"""The section `dataset` of the experiment file."""

from pathlib import Path
from typing import Annotated, Any, Literal, Self

from pydantic import AfterValidator, BeforeValidator, ConfigDict, Field, WithJsonSchema, model_validator

from hpo.config.dataset_parts import Augmentation, ExtraTest, Size, Validation
from hpo.config.section import WHOLE, Count, Seed, Shorthand
from hpo.config.series import SeriesSpec
from hpo.text.credentials import hidden

_OF_TABLES = {"drop", "missing", "categories", "max_categories", "categorical"}
"""Keys with a default that say how a table is read; a table has a `target`."""
TABLE_ENDINGS = (".csv", ".tsv", ".csv.gz", ".tsv.gz", ".parquet")
"""The endings of tables, in small letters."""
FILE_ENDINGS = (".npz", *TABLE_ENDINGS)
IMAGE_ENDINGS = (".png", ".jpg", ".jpeg", ".bmp", ".gif")
"""The endings of images, in small letters, that Keras reads."""
OF_IMAGES = ("image_size", "color_mode", "interpolation", "crop_to_aspect_ratio", "pad_to_aspect_ratio")
"""Keys that say how the images of a folder are read, by the names of Keras's `image_dataset_from_directory`."""
OF_IMAGE_FOLDERS = (*OF_IMAGES, "memory_limit", "shuffle_window")
"""All keys that only folders of images have."""

_PIXELS = {"type": "integer", "minimum": 1}
_IMAGE_SIZE_SCHEMA = {"anyOf": [_PIXELS, {"type": "array", "items": _PIXELS, "minItems": 2, "maxItems": 2}]}

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


def _height_and_width(value: object) -> object:
    return (value, value) if isinstance(value, int) and not isinstance(value, bool) else value


ImageSize = Annotated[
    tuple[Annotated[int, Field(ge=1), WHOLE], Annotated[int, Field(ge=1), WHOLE]],
    Field(strict=False),
    BeforeValidator(_height_and_width),
    WithJsonSchema(_IMAGE_SIZE_SCHEMA),
]
Names = Annotated[tuple[str, ...], Field(strict=False)]


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
    """Your data: a folder of images with a folder for each class, a folder of IDX files, a .npz file, or a table: .csv,
    .tsv (also .gz) or .parquet. A relative path starts from the working directory or from the experiment's folder.
    Default: none. Example: data/houses.csv"""
    function: str | None = None
    """Your data: import path `package.module:function` of a function that returns the parts; see docs/files.md.
    Default: none. Example: "mydata:load\""""
    arguments: dict[Annotated[str, Field(pattern=r"^[A-Za-z_]\w*$")], Any] | None = None
    """What `function` is called with, by name, or all in one mapping: `data(params)`. A parameter that sets
    dataset.arguments.NAME varies the data; see docs/files.md. Default: none. Example: {window: 8}"""
    cache: bool = False
    """Whether the arrays that `function` returns are kept on disk for later runs and commands. It is called again when
    its code, a module of yours or the version of a library that this imports, its arguments, or a file that these name
    has changed. Other files that it reads are not noticed; see docs/files.md. Example: true"""
    target: str | Names | None = None
    """The column to predict, for tables; of `series` also a list of columns. Default: none. Example: price"""
    series: SeriesSpec | None = None
    """Takes a table for a series, one row after the other in time, and windows over its rows for samples. All columns
    are inputs, the past of the target too, unless `drop` names it. Parts follow each other in time, and each window
    lies in one of them, with what is forecast from it; `validation`, `test` and `limit` are rows. Default: none.
    Example: {window: 24, horizon: 12}"""
    text: str | None = None
    """A column of a table that holds texts, for a model that reads them, such as `text`. It is the only input: all
    other columns are left out. Default: none. Example: review"""
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
    image_size: ImageSize | None = None
    """The size to which images of a folder are resized, [height, width], or one number for both. Unit: pixels.
    Default: that of the images, if all have one size; else it is needed. Example: [64, 64]"""
    color_mode: Literal["grayscale", "rgb", "rgba"] | None = None
    """How many channels images of a folder get. Values: grayscale: one; rgb: three; rgba: four, the last is opacity.
    Default: rgb. Example: grayscale"""
    interpolation: Literal["bilinear", "nearest", "bicubic", "area", "lanczos3", "lanczos5", "gaussian",
                           "mitchellcubic"] | None = None  # fmt: skip
    """How images of a folder are resized, by Keras's name. Default: bilinear. Example: area"""
    crop_to_aspect_ratio: bool | None = None
    """Whether images of a folder are cropped at the center to the shape of `image_size` before they are resized, rather
    than distorted. Default: false. Example: true"""
    pad_to_aspect_ratio: bool | None = None
    """Whether images of a folder get black margins up to the shape of `image_size` before they are resized, rather than
    being distorted. Default: false. Example: true"""
    memory_limit: Annotated[float, Field(gt=0)] | None = None
    """Images of a folder that take more than this, as they are after resizing, are read from disk while a model trains.
    Unit: GB. Default: half of the memory of the machine that began the study. Example: 8"""
    shuffle_window: Count | None = None
    """How many images are shuffled at a time where they are read from disk. Two windows are in the memory of each
    worker. Unit: images. Default: as many as take 256 MiB. Example: 20000"""
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
        if self.arguments and self.function is None:
            raise ValueError("needs a function, and there is none: arguments are what it is called with")
        if self.cache and (self.function is None or self.steps_per_epoch is not None):
            what = "there is none" if self.function is None else "with steps_per_epoch it yields fresh batches"
            raise ValueError(f"cache keeps the arrays that a function returns, and {what}; leave cache out")
        return self

    @model_validator(mode="after")
    def _one_shape(self) -> Self:
        if self.crop_to_aspect_ratio and self.pad_to_aspect_ratio:
            raise ValueError("crop_to_aspect_ratio and pad_to_aspect_ratio exclude each other")
        return self

    @model_validator(mode="after")
    def _one_order(self) -> Self:
        if not self.shuffle and self.validation.column is not None:
            raise ValueError("shuffle: false and validation.group or validation.time exclude each other")
        if self.stratify and (not self.shuffle or self.validation.time is not None):
            raise ValueError("stratify: true is for parts that are drawn, and these follow each other; leave it out")
        return self

    @model_validator(mode="after")
    def _windows_over_a_table(self) -> Self:
        if self.series is None:
            if isinstance(self.target, tuple):
                raise ValueError(f"target: several columns are for series, got {', '.join(self.target) or 'none'}")
            return self
        if self.text is not None:
            raise ValueError("series and text exclude each other")
        if self.validation.group is not None:
            raise ValueError("series and validation.group exclude each other; series.group tells series apart")
        if self.weights is not None or self.stratify:
            raise ValueError("series have no weights, and are not stratified: leave out weights and stratify")
        return self

    @property
    def targets(self) -> tuple[str, ...]:
        """The columns to predict."""
        return self.target if isinstance(self.target, tuple) else () if self.target is None else (self.target,)

    @property
    def validation_seed(self) -> int:
        """Seed of the split into the training and the validation part."""
        return self.seed if self.validation.seed is None else self.validation.seed

    @property
    def label(self) -> str:
        """The dataset's name in messages and logs."""
        return hidden(self.name or _stem(self.path or "") or str(self.function))

    def in_effect(self) -> dict[str, Any]:
        """The section as JSON values; without the defaults for tables where the data are none, and without `cache`."""
        return self.model_dump(mode="json", exclude={"cache", *(() if self.target is not None else _OF_TABLES)})
