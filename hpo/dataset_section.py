"""The section `dataset` of the experiment file."""

from pathlib import Path
from typing import Annotated, Any, Literal, Self

from pydantic import AfterValidator, BeforeValidator, Field, model_validator

from hpo.credentials import hidden
from hpo.section import WHOLE, Section, Shorthand

Size = Annotated[float, Field(gt=0)]


def _share_or_number(value: float) -> float:
    if value == 1 or (value > 1 and not value.is_integer()):
        raise ValueError(f"must be a share below 1 or a whole number of samples above 1, got {value:g}")
    return value


class Validation(Section):
    """The part that chooses: drawn once, or each sample in its turn (k-fold cross-validation)."""

    size: Annotated[Size, AfterValidator(_share_or_number)] = 0.2
    """A share of the training data below 1, or a number of samples."""
    seed: Annotated[int, Field(ge=0, lt=2**32), WHOLE] | None = None
    """Seed of this split; that of the dataset where not given."""
    folds: Annotated[int, Field(ge=2), WHOLE] | None = None
    """k-fold cross-validation: each trial trains so many models, each validated on another share of the data;
    its score is the mean of theirs. `size` plays no part then."""


def _sized(value: object) -> object:
    return {"size": value} if isinstance(value, int | float) and not isinstance(value, bool) else value


class Augmentation(Section):
    """Random changes of training images, drawn anew each time a sample is seen; by Keras's layers of these names."""

    rotation: Annotated[float, Field(ge=0, le=1)] | None = None
    """The largest rotation to either side, as a share of a full turn: 0.05 is 18 degrees."""
    zoom: Annotated[float, Field(ge=0, lt=1)] | None = None
    """The largest zoom in or out, as a share of the size."""
    translation: Annotated[float, Field(ge=0, lt=1)] | None = None
    """The largest shift along each axis, as a share of the size."""
    flip: Literal["horizontal", "vertical", "horizontal_and_vertical"] | None = None
    """Which way images are mirrored, every other time."""
    noise: Annotated[float, Field(ge=0, le=1)] | None = None
    """Standard deviation of Gaussian noise added to each number, after scaling."""
    fill: Literal["reflect", "wrap", "constant", "nearest"] = "constant"
    """What stands where nothing was; constant: zero."""


class ExtraTest(Section):
    """A changed copy of the test part, scored beside it."""

    shift: Annotated[tuple[int, int], Field(strict=False)] | None = None
    """Pixels [down, right]; negative: up, left. What enters is zero."""
    rotate: float | None = None
    """Degrees, counterclockwise about the center. What enters is zero."""

    @model_validator(mode="after")
    def _does_something(self) -> Self:
        if self.shift is None and self.rotate is None:
            raise ValueError("needs a shift or a rotate")
        return self


class DatasetSpec(Shorthand):
    """Where the data come from, how they are split and scaled. A name or a path alone will do."""

    stands_for = "name"

    name: str | None = None
    """A dataset that hpo knows (`hpo list --datasets`), or what to call the one at `path`."""
    path: str | None = None
    """A folder of IDX files, or a .npz, .csv or .parquet file; from the working directory
    or the experiment's."""
    function: str | None = None
    """Import path `package.module:function` of a function that returns the parts; see the README."""
    target: str | None = None
    """The column to predict, for .csv and .parquet files."""
    task: Literal["classification", "regression"] | None = None
    """What is predicted: a class or a number; found from the labels where not given."""
    validation: Annotated[Validation, BeforeValidator(_sized, json_schema_input_type=float | Validation)] = Validation()
    """The validation part: a share of the training data below 1, or a number of samples; a mapping says more."""
    test: Annotated[Size, AfterValidator(_share_or_number)] = 0.2
    """The test part where the data bring none: a share of all data below 1, or a number of samples."""
    stratify: bool | None = None
    """Whether each part gets the same share of each class; by default wherever classes allow it."""
    seed: Annotated[int, Field(ge=0, lt=2**32), WHOLE] = 0
    """Seed of the splits and of `limit`; independent of the study's."""
    scaling: Literal["minmax", "standard", "none"] | None = None
    """Fitted on the training part alone: over all pixels of images, per column of tables.
    By default minmax for images, standard for tables."""
    limit: Annotated[int, Field(ge=10), WHOLE] | None = None
    """At most this many samples of the training data, validation included; a given test set stays whole."""
    augmentation: Augmentation | None = None
    """Random changes of the training images."""
    extra_tests: dict[Annotated[str, Field(pattern=r"^[a-z][a-z0-9_]*$")], ExtraTest] | None = None
    """Changed copies of the test images by name: `shifted` is logged as test_shifted_accuracy, and so on."""
    steps_per_epoch: Annotated[int, Field(ge=1), WHOLE] | None = None
    """For a `function` that generates fresh batches without end: how many of them make an epoch."""

    @classmethod
    def _inferred(cls, value: dict[str, Any]) -> dict[str, Any]:
        name = value.get("name")
        if not isinstance(name, str) or value.get("path") or value.get("function"):
            return value
        if ":" in name:
            return {**value, "function": name, "name": name.rpartition(":")[2]}
        if "/" in name or Path(name).suffix in (".npz", ".csv", ".parquet"):
            return {**value, "path": name, "name": Path(name).stem}
        return value

    @model_validator(mode="after")
    def _one_source(self) -> Self:
        if self.path is not None and self.function is not None:
            raise ValueError("path and function exclude each other")
        if self.name is None and self.path is None and self.function is None:
            raise ValueError("needs a name, a path or a function")
        return self

    @property
    def validation_seed(self) -> int:
        """Seed of the split into training and validation part."""
        return self.seed if self.validation.seed is None else self.validation.seed

    @property
    def label(self) -> str:
        """What messages and logs call the dataset."""
        return hidden(self.name or Path(self.path or "").stem or str(self.function))
