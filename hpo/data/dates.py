"""Dates in tables: how they are written, and the numbers that a model gets of them."""

from typing import TYPE_CHECKING

import numpy as np

from hpo.data.dataset import Array

if TYPE_CHECKING:
    import pandas as pd

ISO = "ISO8601"
"""pandas's name for 2024-01-31, with or without a time of any precision."""
_FORMATS = (
    ISO, "%Y/%m/%d", "%Y/%m/%d %H:%M", "%Y/%m/%d %H:%M:%S", "%d.%m.%Y", "%d.%m.%Y %H:%M", "%d.%m.%Y %H:%M:%S",
    "%m/%d/%Y", "%d/%m/%Y", "%m/%d/%Y %H:%M", "%d/%m/%Y %H:%M", "%m/%d/%Y %H:%M:%S", "%d/%m/%Y %H:%M:%S",
)  # fmt: skip
_LOOKS_LIKE_ONE = r"\s*\d{1,4}([-/.])\d{1,2}\1\d{1,4}(?:[ T].*)?"
_CANONICAL = "%Y-%m-%d %H:%M:%S"


def formats_of(texts: "pd.Series") -> list[str]:
    """The formats in which all texts are dates; several where day and month cannot be told apart."""
    if not len(texts) or not texts.str.fullmatch(_LOOKS_LIKE_ONE).all():
        return []
    if texts.str.match(r"\s*\d{4}-").all():
        return [ISO] if parsed(texts, ISO).notna().all() else []
    return [one for one in _FORMATS if one != ISO and parsed(texts, one).notna().all()]


def parsed(texts: "pd.Series", form: str) -> "pd.Series":
    """Texts as times, without a zone: those with one in UTC; NaT for what is no date of that format, or missing."""
    import pandas as pd

    times: pd.Series[pd.Timestamp] = pd.to_datetime(texts, format=form, errors="coerce", utc=True).dt.tz_localize(None)
    return times


def canonical(times: "pd.Series") -> "pd.Series":
    """Times as texts such as `2024-01-31 09:30:00`, which a saved model takes; missing ones are empty."""
    written: pd.Series[str] = times.dt.strftime(_CANONICAL).fillna("")
    return written


def has_hours(times: "pd.Series") -> bool:
    """Whether some are at another time than midnight."""
    return bool((times.dropna() != times.dropna().dt.normalize()).any())


def date_features(times: "pd.Series", with_hours: bool) -> Array:
    """The numbers of times, shape (n, 5 or 6), float64, NaN where missing.

    Days since 1970-01-01, whole and fractions, in full seconds; year; month; day of the month; weekday, Monday 0; and
    the hour.
    """
    import pandas as pd

    seconds = (times.dt.floor("s") - pd.Timestamp(0)) / pd.Timedelta(seconds=1)
    parts = [seconds / 86400, times.dt.year, times.dt.month, times.dt.day, times.dt.day_of_week]
    if with_hours:
        parts.append(times.dt.hour)
    return np.stack([part.to_numpy(dtype=np.float64, na_value=np.nan) for part in parts], axis=1)
