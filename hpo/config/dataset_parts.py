"""The sections within `dataset`: the validation part, augmentation, changed copies of the test part."""

from typing import Annotated, Literal, Self

from pydantic import AfterValidator, Field, WithJsonSchema, model_validator

from hpo.config.conditions import is_number
from hpo.config.section import WHOLE, BelowOne, Section, Seed, Shorthand

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


Size = Annotated[float, Field(gt=0), AfterValidator(_share_or_number), WithJsonSchema(_SIZE_SCHEMA)]


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
