"""The trials of a study: a DataFrame, which also gives the records that its rows were made of."""

from collections.abc import Iterator
from typing import TYPE_CHECKING, Any, final

import pandas as pd

if TYPE_CHECKING:
    from hpo.study.read import StudyView
    from hpo.study.record import TrialRecord


@final
class Trials(pd.DataFrame):
    """A row for each trial, in the order of their numbers; `hpo.compare` describes the columns.

    An index by a number, a slice and a loop give the records: `trials[0].params`, `for trial in trials`. All else is
    as of any DataFrame, and what is made of it is a plain one.
    """

    def __init__(self, view: "StudyView") -> None:
        from hpo.compare.compare import table

        frame = table([view])
        ordered = frame if frame.empty else frame.sort_values("trial", ignore_index=True)
        super().__init__(ordered)  # type: ignore[call-arg] # pandas-stubs declare __new__ alone
        object.__setattr__(self, "_records", list(view.trials))

    @property
    def _constructor(self) -> type[pd.DataFrame]:
        return pd.DataFrame

    def __getitem__(self, key: Any) -> Any:
        """The record at a place, those of a slice, or what a DataFrame has at that key."""
        if isinstance(key, int | slice) and not (isinstance(key, int) and key in self.columns):
            return self._records[key]
        return super().__getitem__(key)

    def __iter__(self) -> "Iterator[TrialRecord]":
        """The records."""
        return iter(self._records)

    def __repr__(self) -> str:
        return repr(self._plain)

    def _repr_html_(self) -> Any:
        return self._plain._repr_html_()  # type: ignore[operator] # pandas-stubs take it for a column

    @property
    def _plain(self) -> pd.DataFrame:
        """The rows, for what in pandas goes through a table's columns."""
        return pd.DataFrame(self)
