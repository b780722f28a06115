"""Arrays in a folder of .npy files, which are mapped into memory when they are opened; texts too, and no pickles."""

import hashlib
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np

from hpo.data.dataset import Array
from hpo.data.mapped import Mapped
from hpo.data.several import Arrays, Several, in_order, is_text
from hpo.data.source_data import slices
from hpo.errors import DataError


def save_arrays(folder: Path, name: str, arrays: Arrays, on_disk: bool = False) -> None:
    """Writes an array, or several; these are numbered in their order, since their names may be no names of files.

    `on_disk`: images that are in a file are not copied.
    """
    for number, array in enumerate(in_order(arrays)):
        file = f"{name}_{number}" if isinstance(arrays, Several) else name
        if isinstance(array, Mapped) and on_disk:
            link = folder / f"images_{hashlib.sha256(str(array.file).encode()).hexdigest()[:16]}.npy"
            if not link.exists():
                link.symlink_to(array.file)
            np.savez(folder / f"{file}_rows.npz", rows=array.rows, link=np.array(link.name))
        elif isinstance(array, Mapped):
            written = np.lib.format.open_memmap(folder / f"{file}.npy", "w+", array.dtype, array.shape)
            for rows in slices(array):
                written[rows] = array[rows]
        elif not is_text(array):
            np.save(folder / f"{file}.npy", array, allow_pickle=False)
        else:
            _save_text(folder, file, array)


def _save_text(folder: Path, file: str, array: Array) -> None:
    encoded = [text.encode() for text in array.flat]
    ends = np.cumsum([len(text) for text in encoded], dtype=np.int64).reshape(array.shape)
    np.save(folder / f"{file}_text.npy", np.frombuffer(b"".join(encoded), np.uint8), allow_pickle=False)
    np.save(folder / f"{file}_ends.npy", ends, allow_pickle=False)


def open_arrays(folder: Path, name: str, names: Sequence[str], listed: bool) -> Arrays:
    """Opens what `save_arrays` wrote: several arrays if there are names, which Keras gets as a list if `listed`.

    Raises:
        DataError: a file cannot be read.
    """
    if not names:
        single: Arrays = open_array(folder, name)
        return single
    return Several({one: open_array(folder, f"{name}_{number}") for number, one in enumerate(names)}, listed)


def open_array(folder: Path, name: str) -> Any:
    """Opens an array, or the rows of a file of images, read-only; texts are read.

    Raises:
        DataError: a file cannot be read.
    """
    if (folder / f"{name}_ends.npy").exists():
        ends, content = _load(folder, f"{name}_ends"), bytes(_load(folder, f"{name}_text"))
        starts = [0, *ends.flat[:-1]]
        texts = [content[start:end].decode() for start, end in zip(starts, ends.flat, strict=True)]
        return np.array(texts, dtype=object).reshape(ends.shape)
    if (folder / f"{name}_rows.npz").exists():
        with np.load(folder / f"{name}_rows.npz", allow_pickle=False) as known:
            return Mapped(folder / str(known["link"]), known["rows"])
    return _load(folder, name)


def _load(folder: Path, name: str) -> Array:
    try:
        array: Array = np.load(folder / f"{name}.npy", mmap_mode="r", allow_pickle=False)
    except (OSError, ValueError) as error:
        raise DataError(f"{folder}: {name[:-2]}: cannot be read: {error}; delete the folder") from None
    return array
