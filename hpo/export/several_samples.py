"""Samples to predict for a model of several inputs, or of text: an archive of arrays, or a table of columns."""

import zipfile
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np

from hpo.config.dataset import TABLE_ENDINGS
from hpo.data.checks import FiniteCheck
from hpo.data.dataset import DatasetInfo, Input
from hpo.data.several import Arrays, Several, is_text
from hpo.data.source_data import as_images
from hpo.errors import DataError, nearest


def read_several(source: Path, info: DatasetInfo) -> Arrays:
    """Reads the inputs of a model by name: a .npz file with an array each, or a table with a column each.

    A model of a single text takes a .npy file, a .npz file with an array x, or a table with a column x, or one alone.

    Raises:
        DataError: the file cannot be read, lacks an input, or has one of another shape or type.
    """
    given = _columns(source) if source.name.lower().endswith(TABLE_ENDINGS) else _arrays(source)
    return inputs_of(given, info, str(source))


def inputs_of(given: Mapping[str, Any], info: DatasetInfo, place: str) -> Arrays:
    """The inputs of a model from arrays by name, of which there may be more; `place`: what messages call them.

    Raises:
        DataError: an input is missing, or has another shape or type.
    """
    only = info.text or "x"
    wanted = info.inputs or {only: Input(info.input_shape, info.input_type, info.scaling)}
    if not info.inputs and len(given) == 1:
        given = {only: next(iter(given.values()))}
    found = {}
    for name, one in wanted.items():
        if name not in given:
            raise DataError(f"{place}: needs {name}, an input of the model; {nearest(name, given)}")
        found[name] = _checked(np.asarray(given[name]), one, f"{place}: {name}")
    if len({len(array) for array in found.values()}) > 1:
        counts = ", ".join(f"{name} {len(array)}" for name, array in found.items())
        raise DataError(f"{place}: all inputs must have as many samples, got {counts}")
    return Several(found, info.inputs_listed) if info.inputs else found[only]


def _checked(array: Any, one: Input, place: str) -> Any:
    if one.is_text:
        import pandas as pd

        missing = np.asarray(pd.isna(array)).reshape(-1)
        if missing.any():
            raise DataError(f"{place}: must have a text in every row, row {missing.argmax()} (counted from 0) has none")
        array = array.astype(str).astype(object)
    elif array.dtype.kind not in "buif":
        raise DataError(f"{place}: must be numbers, got {array.dtype}")
    array = array if is_text(array) else as_images(array)
    if array.shape[1:] != one.shape:
        raise DataError(f"{place}: samples must have shape {one.shape}, got {array.shape[1:]}")
    check = FiniteCheck(place)
    check.update(array)
    check.finish()
    return array


def _columns(source: Path) -> dict[str, Any]:
    from hpo.data.table_file import Format, read_table_file

    frame = read_table_file(source, Format(None, None, None), ()).frame
    return {str(name): frame[name].to_numpy() for name in frame.columns}


def _arrays(source: Path) -> dict[str, Any]:
    try:
        with source.open("rb") as file:
            loaded = np.load(file, allow_pickle=False)
            if not isinstance(loaded, np.lib.npyio.NpzFile):
                return {"x": loaded}
            with loaded as archive:
                return {name: archive[name] for name in archive.files}
    except (OSError, EOFError, ValueError, zipfile.BadZipFile) as error:
        raise DataError(f"{source}: cannot be read: {error}") from None
