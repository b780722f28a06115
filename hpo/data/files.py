"""Files of arrays: folders of IDX files, plain or gzipped, and .npz archives. Nothing is ever unpickled."""

import gzip
import re
import zipfile
import zlib
from collections.abc import Sequence
from pathlib import Path

import numpy as np

from hpo.data.dataset import Array
from hpo.data.python_objects import as_inputs
from hpo.data.source_data import RawDataset, RawPart, Values
from hpo.errors import DataError
from hpo.system.home import expanded

_IDX_NAME = re.compile(r"(train|t10k|test)-(images|labels)[-.]idx[1-9]-ubyte(\.gz)?")
_IDX_TYPES = {0x08: ">u1", 0x09: ">i1", 0x0B: ">i2", 0x0C: ">i4", 0x0D: ">f4", 0x0E: ">f8"}


def find(path: str, folders: Sequence[Path]) -> Path:
    """The file or folder of that path: absolute, or from the first of the folders that has it.

    Raises:
        DataError: none has it.
    """
    wanted = expanded(path)
    folders = folders or (Path.cwd(),)
    for folder in folders:
        if (folder / wanted).exists():
            return folder / wanted
    where = "" if wanted.is_absolute() else f" in {' or '.join(str(folder) for folder in folders)}"
    raise DataError(f"{path}: no such file or folder{where}")


def idx_files(folder: Path) -> dict[tuple[str, str], Path]:
    """The IDX files of a folder: (train or test, images or labels) -> file; a plain one before a gzipped one."""
    found = {}
    for path in sorted(folder.iterdir(), reverse=True):
        if match := _IDX_NAME.fullmatch(path.name):
            found["train" if match[1] == "train" else "test", match[2]] = path
    return found


def read_idx_folder(folder: Path, class_names: tuple[str, ...] = ()) -> RawDataset:
    """Reads a folder of IDX files: train-images-idx3-ubyte, train-labels-idx1-ubyte, and t10k- or test- ones.

    A dot for the last dash and a final .gz will do too.

    Raises:
        DataError: a file that is missing or broken.
    """
    files = idx_files(folder)

    def part(name: str) -> RawPart:
        for content in ("images", "labels"):
            if (name, content) not in files:
                prefix = "train" if name == "train" else "t10k"
                dimensions = 3 if content == "images" else 1
                expected = f"{prefix}-{content}-idx{dimensions}-ubyte"
                raise DataError(f"{folder}: needs the IDX file {expected}, plain or .gz, and has none")
        images, labels = files[name, "images"], files[name, "labels"]
        return RawPart(Values(read_idx(images), str(images)), Values(read_idx(labels), str(labels)))

    test = part("test") if any(name == "test" for name, _ in files) else None
    return RawDataset(str(folder), part("train"), test=test, class_names=class_names)


def read_idx(path: Path) -> Array:
    """Reads an IDX file, plain or gzipped; the format is that of http://yann.lecun.com/exdb/mnist/.

    Raises:
        DataError: it cannot be read, is truncated or corrupt, or its size is not what its header says.
    """
    try:
        content = gzip.decompress(path.read_bytes()) if path.suffix == ".gz" else path.read_bytes()
    except (OSError, EOFError, zlib.error) as error:
        raise DataError(f"{path}: cannot be read: {error}; get the file again") from None
    if len(content) < 4 or content[:2] != b"\0\0" or content[2] not in _IDX_TYPES or not content[3]:
        raise DataError(
            f"{path}: an IDX file must begin with two zeros, a type and a number of dimensions, "
            f"got {content[:4].hex(' ') or 'nothing'}"
        )
    dtype, header = np.dtype(_IDX_TYPES[content[2]]), 4 + 4 * content[3]
    if len(content) < header:
        raise DataError(f"{path}: truncated within its header of {header} bytes, got {len(content)}")
    shape = tuple(int(size) for size in np.frombuffer(content[4:header], ">u4"))
    expected = header + int(np.prod(shape, dtype=object)) * dtype.itemsize
    if len(content) != expected:
        raise DataError(
            f"{path}: its header says shape {shape}, which takes {expected} bytes, got {len(content)}; "
            "get the file again"
        )
    return np.frombuffer(content, dtype, offset=header).reshape(shape).astype(dtype.newbyteorder("="), copy=False)


def read_npz(path: Path, class_names: tuple[str, ...] = ()) -> RawDataset:
    """Reads x_train and y_train, and where they are there x_test, y_test, x_val and y_val, from a .npz file.

    Raises:
        DataError: it cannot be read, lacks an array, or holds Python objects.
    """
    try:
        # Opened here, since NumPy leaves open the file of a broken archive.
        with path.open("rb") as file, np.load(file, allow_pickle=False) as archive:
            if not isinstance(archive, np.lib.npyio.NpzFile):
                raise DataError(f"{path}: must be a .npz archive, is a single array")
            arrays = {name: _member(path, archive, name) for name in archive.files}
    except (OSError, EOFError, ValueError, zipfile.BadZipFile, zlib.error) as error:
        raise DataError(f"{path}: cannot be read as .npz: {error}") from None

    def part(name: str) -> RawPart:
        for array in (f"x_{name}", f"y_{name}"):
            if array not in arrays:
                raise DataError(f"{path}: needs an array {array}, holds: {', '.join(arrays) or 'none'}")
        x, y = as_inputs(arrays[f"x_{name}"]), arrays[f"y_{name}"]
        return RawPart(Values(x, f"{path}: x_{name}"), Values(y, f"{path}: y_{name}"))

    validation, test = (part(name) if {f"x_{name}", f"y_{name}"} & arrays.keys() else None for name in ("val", "test"))
    return RawDataset(str(path), part("train"), validation, test, class_names)


def _member(path: Path, archive: "np.lib.npyio.NpzFile", name: str) -> Array:
    try:
        array: Array = archive[name]
    except ValueError as error:
        if "allow_pickle" not in str(error):
            raise
        raise DataError(
            f"{path}: {name}: must be an array of one plain type, holds Python objects, which hpo never "
            "unpickles; save it with a numeric dtype, text by .astype(str)"
        ) from None
    return array
