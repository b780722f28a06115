"""Whether data of other arguments have the same rows in the parts on which trials are scored."""

from collections.abc import Mapping
from dataclasses import replace
from typing import Any, Literal

from hpo.data.dataset import Dataset, DatasetInfo
from hpo.data.described import part_digest

_BEGINS = "other rows than in other trials"
_SCORED: tuple[Literal["validation", "test"], ...] = ("validation", "test")


def note_on_rows(base: Dataset, found: Dataset, arguments: Mapping[str, Any] | None) -> str | None:
    """A note on the parts of a dataset that have other rows than those of the experiment's own; None if none has."""
    parts = [f"the {name} part" for name in _SCORED if not _same_targets(base, found, name)]
    words = ", ".join(f"{name}={value}" for name, value in (arguments or {}).items()) or "no arguments"
    return f"{_BEGINS}: {' and '.join(parts)} of {words} have other targets" if parts else None


def rows_note(info: DatasetInfo) -> str | None:
    """That note among those of a dataset, for the record of a trial."""
    return next((note for note in info.notes if note.startswith(_BEGINS)), None)


def _same_targets(one: Dataset, other: Dataset, name: Literal["validation", "test"]) -> bool:
    """Whether a part of two datasets has the same targets in the same order, or, of pipelines, as many samples."""
    if one.info.sizes[name] != other.info.sizes[name]:
        return False
    mine, theirs = one.part(name), other.part(name)
    if one.stream is not None or mine.y is None or theirs.y is None:
        return True
    return part_digest(replace(mine, x=mine.y)) == part_digest(replace(theirs, x=theirs.y))
