"""What a column of a table is for a model, and which features it becomes."""

from collections.abc import Sequence
from dataclasses import dataclass

_DATE_FEATURES = ("days", "year", "month", "day", "weekday")


@dataclass(frozen=True)
class Column:
    """A column of a table that is a feature, or several."""

    name: str
    categories: tuple[str, ...] | None = None
    """The texts that may stand in it; empty where they are hashed; None for numbers, truth values and dates."""
    ordinal: bool = False
    """Whether its categories are numbered, in one feature, rather than a feature of zeros and ones for each."""
    has_other: bool = False
    """Whether texts that are no category of their own have a feature, the last one; without it they have none."""
    hashed: int = 0
    """Into how many features of zeros and ones texts are hashed; 0 where they are not."""
    date_format: str | None = None
    """How its dates are written, as in Python's strptime; None for other columns."""
    has_hours: bool = False
    """Whether its dates have times, so that the hour is a feature, too."""
    may_miss: bool = False
    """Whether values were missing in the data, so that a feature says where."""

    @property
    def is_number(self) -> bool:
        """Whether it is a feature as it stands: a number, or a truth value."""
        return self.categories is None and self.date_format is None

    @property
    def features(self) -> tuple[str, ...]:
        """The names of its features, without the one that says where values are missing."""
        if self.date_format is not None:
            names: tuple[str, ...] = (*_DATE_FEATURES, "hour") if self.has_hours else _DATE_FEATURES
        elif self.hashed:
            names = tuple(map(str, range(self.hashed)))
        elif self.categories is None or self.ordinal:
            return (self.name,)
        else:
            names = (*self.categories, "other") if self.has_other else self.categories
        return tuple(f"{self.name}_{one}" for one in names)


def in_order(columns: Sequence[Column]) -> list[Column]:
    """The columns in the order of their features: those of numbers first. What says where values miss comes last."""
    return [*(one for one in columns if one.is_number), *(one for one in columns if not one.is_number)]


def feature_names(columns: Sequence[Column]) -> tuple[str, ...]:
    """The names of all features, in their order."""
    names = [name for column in in_order(columns) for name in column.features]
    return (*names, *(f"{column.name}_missing" for column in in_order(columns) if column.may_miss))
