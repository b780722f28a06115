"""IDX folders and .npz files: what is read, and what each broken file is told."""

import gzip
import struct
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from hpo.config.dataset_parts import Validation
from hpo.config.experiment import DatasetSpec
from hpo.data import load
from hpo.data.files import read_idx, read_idx_folder, read_npz
from hpo.errors import DataError

RNG = np.random.default_rng(0)
X = RNG.integers(0, 256, (60, 4, 5), dtype=np.uint8)
Y = np.tile(np.arange(3, dtype=np.uint8), 20)


def idx_bytes(array: np.ndarray, kind: int = 0x08) -> bytes:
    header = bytes([0, 0, kind, array.ndim]) + struct.pack(f">{array.ndim}I", *array.shape)
    return header + array.astype(array.dtype.newbyteorder(">")).tobytes()


def write_idx(folder: Path, form: str = "{}-ubyte.gz", test: str = "t10k") -> Path:
    folder.mkdir(exist_ok=True)
    for part in ("train", test):
        for content, array in (("images-idx3", X), ("labels-idx1", Y)):
            data = idx_bytes(array)
            name = form.format(f"{part}-{content}")
            (folder / name).write_bytes(gzip.compress(data) if name.endswith(".gz") else data)
    return folder


def write_npz(path: Path, **changes: np.ndarray | None) -> Path:
    arrays: dict[str, Any] = {"x_train": X, "y_train": Y, "x_test": X[:30], "y_test": Y[:30], **changes}
    np.savez(path, **{name: array for name, array in arrays.items() if array is not None})
    return path


@pytest.mark.parametrize(("form", "test"), [("{}-ubyte.gz", "t10k"), ("{}-ubyte", "test"), ("{}-ubyte.gz", "test")])
def test_idx_folder_is_read_as_written(tmp_path: Path, form: str, test: str) -> None:
    raw = read_idx_folder(write_idx(tmp_path / "my", form, test))
    np.testing.assert_array_equal(raw.training.x.array, X)
    np.testing.assert_array_equal(raw.test.y.array, Y)


def test_idx_folder_with_dotted_names(tmp_path: Path) -> None:
    for content, array in (("images.idx3", X), ("labels.idx1", Y)):
        (tmp_path / f"train-{content}-ubyte").write_bytes(idx_bytes(array))
    dataset = load(DatasetSpec(path=str(tmp_path), validation=Validation(size=12), test=6), [tmp_path])
    assert dataset.info.sizes == {"training": 42, "validation": 12, "test": 6}
    assert dataset.training.x.shape == (42, 4, 5, 1)
    assert dataset.training.x.dtype == np.uint8


def test_idx_of_every_type(tmp_path: Path) -> None:
    for kind, dtype in ((0x08, "u1"), (0x09, "i1"), (0x0B, "i2"), (0x0C, "i4"), (0x0D, "f4"), (0x0E, "f8")):
        array = np.arange(6).reshape(2, 3).astype(dtype)
        path = tmp_path / "array"
        path.write_bytes(idx_bytes(array, kind))
        assert read_idx(path).dtype == array.dtype
        np.testing.assert_array_equal(read_idx(path), array)


def test_missing_idx_file_is_named(tmp_path: Path) -> None:
    write_idx(tmp_path)
    (tmp_path / "t10k-labels-idx1-ubyte.gz").unlink()
    with pytest.raises(DataError, match=r"needs the IDX file t10k-labels-idx1-ubyte, plain or \.gz"):
        read_idx_folder(tmp_path)
    with pytest.raises(DataError, match="needs the IDX file train-images-idx3-ubyte"):
        read_idx_folder(Path(__file__).parent)


@pytest.mark.parametrize(
    ("spoil", "message"),
    [
        (lambda data: gzip.compress(data)[:-40], "cannot be read: .*end-of-stream.*; get the file again"),
        (lambda data: b"not gzip at all", "cannot be read: Not a gzipped file"),
        (lambda data: gzip.compress(data)[:30] + b"\xff" * 60 + gzip.compress(data)[90:], "cannot be read"),
        (lambda data: gzip.compress(b"PK\3\4" + data), "must begin with two zeros.* got 50 4b 03 04"),
        (lambda data: gzip.compress(b""), "must begin with two zeros.* got nothing"),
        (lambda data: gzip.compress(data[:10]), "truncated within its header of 16 bytes, got 10"),
        (lambda data: gzip.compress(data[:-7]), r"shape \(60, 4, 5\), which takes 1216 bytes, got 1209"),
        (lambda data: gzip.compress(data + b"\0"), "takes 1216 bytes, got 1217"),
    ],
)
def test_broken_idx(tmp_path: Path, spoil, message: str) -> None:
    path = write_idx(tmp_path) / "train-images-idx3-ubyte.gz"
    path.write_bytes(spoil(idx_bytes(X)))
    with pytest.raises(DataError, match=f"train-images-idx3-ubyte.gz: .*{message}"):
        read_idx_folder(tmp_path)


def test_npz_with_given_validation(tmp_path: Path) -> None:
    path = write_npz(tmp_path / "my.npz", x_val=X[:9], y_val=Y[:9])
    dataset = load(DatasetSpec(path="my.npz"), [tmp_path / "elsewhere", tmp_path])
    assert dataset.info.sizes == {"training": 60, "validation": 9, "test": 30}
    assert (dataset.info.name, dataset.info.source) == ("my", str(path))


def test_npz_without_test_part_is_split(tmp_path: Path) -> None:
    write_npz(tmp_path / "my.npz", x_test=None, y_test=None)
    dataset = load(DatasetSpec(path="my.npz"), [tmp_path])
    assert dataset.info.sizes == {"training": 38, "validation": 10, "test": 12}


def test_npz_of_texts(tmp_path: Path) -> None:
    texts = np.array(["a good film", "a bad film"] * 10)
    np.savez(tmp_path / "a.npz", x_train=texts, y_train=np.arange(20) % 2)
    dataset = load(DatasetSpec(path="a.npz"), (tmp_path,))
    assert dataset.info.is_text
    assert set(dataset.training.x.flat) == set(texts)


def test_npz_that_lacks_an_array(tmp_path: Path) -> None:
    path = write_npz(tmp_path / "my.npz", y_test=None)
    with pytest.raises(DataError, match=r"my\.npz: needs an array y_test"):
        read_npz(path)
    np.savez(path, x_trian=X, y_train=Y)
    with pytest.raises(DataError, match="needs an array x_train, holds: x_trian, y_train"):
        read_npz(path)


def test_npz_is_never_unpickled(tmp_path: Path) -> None:
    path = write_npz(tmp_path / "my.npz", y_train=np.array([{}] * 60, dtype=object))
    with pytest.raises(DataError, match="y_train: must be an array of one plain type, holds Python objects"):
        read_npz(path)


def test_broken_npz(tmp_path: Path) -> None:
    path = write_npz(tmp_path / "my.npz")
    path.write_bytes(path.read_bytes()[:-200])
    with pytest.raises(DataError, match=r"my\.npz: cannot be read as \.npz"):
        read_npz(path)
    path.write_text("plain text")
    with pytest.raises(DataError, match=r"my\.npz: cannot be read as \.npz"):
        read_npz(path)


def test_path_that_is_nowhere(tmp_path: Path) -> None:
    with pytest.raises(DataError, match=f"nothing.npz: no such file or folder in {tmp_path}"):
        load(DatasetSpec(path="nothing.npz"), [tmp_path])
    (tmp_path / "notes.txt").write_text("x")
    with pytest.raises(
        DataError, match=r"notes\.txt: must be a folder of images or IDX files, a \.npz file, or a table: "
    ):
        load(DatasetSpec(path="notes.txt"), [tmp_path])
