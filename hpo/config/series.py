"""The key `series` of the dataset section: windows over the rows of a table."""

from typing import Annotated, Any

from pydantic import Field, model_validator

from hpo.config.section import WHOLE, Count, Section


class SeriesSpec(Section):
    """Windows over the rows of a table: from the rows of a window, the model forecasts the target in those after it."""

    window: Count
    """How many rows, one after the other, the model sees. Unit: rows. Example: 24"""
    horizon: Count = 1
    """How many rows are forecast: each target has an output for each of them. Unit: rows. Example: 12"""
    gap: Annotated[int, Field(ge=0), WHOLE] = 0
    """How many rows lie between the window and the first row that is forecast. Unit: rows. Example: 6"""
    stride: Count = 1
    """How many rows after a window the next one begins. Unit: rows. Example: 24"""
    group: str | None = None
    """A column that tells several series in one table apart, such as a shop or a station. No window has rows of two.
    Default: none; the table is one series. Example: station"""

    @model_validator(mode="before")
    @classmethod
    def _target_stands_beside(cls, value: Any) -> Any:
        if isinstance(value, dict) and "target" in value:
            raise ValueError("target: stands beside series, in dataset; it is a column, or a list of columns")
        return value

    @property
    def span(self) -> int:
        """The rows from the first of a window to the last that is forecast from it."""
        return self.window + self.gap + self.horizon
