"""Samples that stand in two parts: a score on them says how well a model remembers, not how well it predicts."""

from collections.abc import Hashable, Iterator, Mapping

import numpy as np

from hpo.data.dataset import Array, Part
from hpo.data.mapped import Mapped
from hpo.data.several import is_text


def row_hashes(part: Part) -> Array:
    """A number for each sample with its target, shape (n,), equal for equal ones within one process."""
    return np.fromiter((hash(row) for row in zip(*map(_rows, part.arrays()), strict=True)), np.int64, len(part))


def _rows(array: Array) -> Iterator[Hashable]:
    array = array.digests if isinstance(array, Mapped) else array
    rows = np.ascontiguousarray(array).reshape(len(array), -1)
    return (tuple(row) for row in rows) if is_text(array) else (row.tobytes() for row in rows)


def count_repeated(training: Array, validation: Array, test: Array) -> Mapping[str, int]:
    """How many validation samples have an equal one in the training part, and how many test samples in either.

    The arguments are what `row_hashes` returns; parts without any are left out.
    """
    counts = {
        "validation": int(np.isin(validation, training).sum()),
        "test": int((np.isin(test, training) | np.isin(test, validation)).sum()),
    }
    return {part: count for part, count in counts.items() if count}


def repeated_note(repeated: Mapping[str, int], sizes: Mapping[str, int], is_table: bool) -> str | None:
    """A sentence about the samples that stand in two parts; None if there are none."""
    if not repeated:
        return None
    beside = {"validation": "the training part", "test": "the training or validation part"}
    found = " and ".join(
        f"{count} of the {sizes[part]} {part} samples ({100 * count / sizes[part]:.2g}%) also in {beside[part]}"
        for part, count in repeated.items()
    )
    advice = "remove repeated ones" + (", or keep them together by validation.group" if is_table else "")
    return f"there are {found}, inputs and target alike, so their scores may flatter; {advice}"
