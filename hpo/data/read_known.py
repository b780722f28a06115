"""The datasets that hpo knows by name: in scikit-learn, in the folder HPO_DATA, in Keras's cache, or downloaded."""

import contextlib
import os
import sys
from collections.abc import Sequence
from importlib.util import find_spec
from pathlib import Path

import numpy as np

from hpo.data.dataset import Array
from hpo.data.files import idx_files, read_idx_folder, read_npz
from hpo.data.known import CLASS_NAMES, KNOWN
from hpo.data.source_data import RawDataset, RawPart, Values
from hpo.data.table_file import TableFile
from hpo.errors import DataError, nearest
from hpo.system.home import expanded


def read_known(name: str) -> RawDataset:
    """Reads a dataset by its name; nothing is downloaded that is in HPO_DATA or in Keras's cache.

    Raises:
        DataError: no such name, a broken file, or nothing to be had without a network.
    """
    if name not in KNOWN:
        raise DataError(
            f"dataset {name!r}: unknown name; {nearest(name, KNOWN)}; your own data need path: or function:"
        )
    if name not in CLASS_NAMES:
        return _scikit_learn(name)
    return _from_folder(name) or _from_cache(name) or _download(name)


def known_series(name: str) -> TableFile:
    """A table of `SERIES` by its name: the daily prices of matplotlib's examples."""
    import pandas as pd

    found = find_spec("matplotlib")
    assert found is not None
    assert found.origin is not None
    file = Path(found.origin).parent / "mpl-data" / "sample_data" / "goog.npz"
    with np.load(file, allow_pickle=False) as archive:
        rows = archive["price_data"]
    # As the other known data, whose place differs from machine to machine.
    return TableFile(Path("matplotlib") / name, pd.DataFrame({column: rows[column] for column in rows.dtype.names}))


def _scikit_learn(name: str) -> RawDataset:
    from sklearn import datasets

    bunch = getattr(datasets, f"load_{name}")()
    # Digits are counts from 0 to 16, and images.
    x: Array = bunch.images.astype(np.uint8) if name == "digits" else bunch.data
    class_names = tuple(str(one) for one in bunch.get("target_names", ()))
    part = RawPart(Values(x, f"scikit-learn: {name}"), Values(bunch.target, f"scikit-learn: {name}: target"))
    return RawDataset("scikit-learn", part, class_names=class_names)


def _from_folder(name: str) -> RawDataset | None:
    """What HPO_DATA holds: a sub-folder of IDX files or a .npz file, with `_` or `-` in the name."""
    if not os.environ.get("HPO_DATA"):
        return None
    folder = expanded(os.environ["HPO_DATA"])
    if not folder.is_dir():
        raise DataError(f"HPO_DATA: must be a folder, and {folder} is none")
    return _look_into(folder, name)


def _from_cache(name: str) -> RawDataset | None:
    """What Keras downloaded before; read without waiting for TensorFlow."""
    folder = Path(os.environ.get("KERAS_HOME") or expanded("~/.keras")) / "datasets"
    try:
        return _look_into(folder, name) if folder.is_dir() else None
    except DataError:
        # Keras checks its own files, and replaces one that a killed download left behind.
        return None


def _look_into(folder: Path, name: str) -> RawDataset | None:
    for spelling in dict.fromkeys((name, name.replace("_", "-"))):
        sub_folder, archive = folder / spelling, folder / f"{spelling}.npz"
        if sub_folder.is_dir() and idx_files(sub_folder):
            return read_idx_folder(sub_folder, CLASS_NAMES[name])
        if archive.is_file():
            return read_npz(archive, CLASS_NAMES[name])
    return None


def _download(name: str) -> RawDataset:
    import keras

    try:
        # Keras prints its progress to stdout, which belongs to hpo's own output.
        with contextlib.redirect_stdout(sys.stderr):
            arrays = getattr(keras.datasets, name).load_data()
    except Exception as error:  # whatever stands between us and a server; Keras itself raises Exception
        raise DataError(
            f"dataset {name!r}: cannot be downloaded: {error}; without a network, set HPO_DATA to a folder that "
            f"holds {name}.npz (x_train, y_train, x_test, y_test) or a folder {name} of IDX files"
        ) from None
    training, test = (_keras_part(name, part, pair) for part, pair in zip(("train", "test"), arrays, strict=True))
    return RawDataset("keras.datasets", training, test=test, class_names=CLASS_NAMES[name])


def _keras_part(name: str, part: str, pair: Sequence[Array]) -> RawPart:
    x, y = pair
    return RawPart(*(Values(array, f"keras.datasets: {name}: {xy}_{part}") for xy, array in (("x", x), ("y", y))))
