"""Whether images stay on disk while a model trains, and how many of them are shuffled at a time."""

from collections.abc import Sequence
from dataclasses import replace

from hpo.config.dataset import DatasetSpec
from hpo.data.dataset import DatasetInfo
from hpo.data.mapped import Mapped
from hpo.system.memory import usable_memory

_SHARE = 0.5
"""The share of the memory that images may take."""
_WINDOW_BYTES = 1 << 28
"""Two windows are in memory at a time: one that trains, and one that is being read."""


def with_window(info: DatasetInfo, spec: DatasetSpec, parts: Sequence[Mapped]) -> DatasetInfo:
    """What is known of images with the memory that they may take, and their window if they take more.

    A window changes the order of the samples, so a study keeps the limit that its first machine gave it.
    """
    limit = spec.memory_limit or round(_SHARE * usable_memory() / 1e9, 6)
    info = replace(info, memory_limit=limit)
    size = sum(len(part) * part.row_bytes for part in parts)
    if size <= limit * 1e9:
        return info
    window = spec.shuffle_window or max(1, _WINDOW_BYTES // parts[0].row_bytes)
    rule = f"the images take {size / 1e9:.3g} GB, more than dataset.memory_limit, {limit:.3g} GB"
    how = f"they are read from disk while a model trains, and shuffled {window} at a time (dataset.shuffle_window)"
    return replace(info, window=window, notes=(*info.notes, f"{rule}; {how}"))
