"""Datasets by name: scikit-learn's, HPO_DATA's, Keras's cache, and no network."""

import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

from hpo.config.dataset_parts import Validation
from hpo.config.experiment import DatasetSpec
from hpo.data import KNOWN, load
from hpo.errors import DataError

SHARED = Path(os.environ.get("HPO_DATA") or Path(__file__).parents[3] / "shared" / "datasets")


@pytest.mark.parametrize(
    ("name", "shape", "outputs", "total", "scaling"),
    [
        ("digits", (8, 8, 1), 10, 1797, "minmax"),
        ("iris", (4,), 3, 150, "standard"),
        ("wine", (13,), 3, 178, "standard"),
        ("breast_cancer", (30,), 2, 569, "standard"),
        ("diabetes", (10,), 1, 442, "standard"),
    ],
)
def test_scikit_learn(name: str, shape: tuple[int, ...], outputs: int, total: int, scaling: str) -> None:
    dataset = load(DatasetSpec(name=name), [])
    info = dataset.info
    assert (info.name, info.source) == (name, "scikit-learn")
    assert (info.input_shape, info.outputs, sum(info.sizes.values())) == (shape, outputs, total)
    assert info.scaling.method == scaling
    assert info.task == ("regression" if name == "diabetes" else "classification")
    assert len(info.class_names) == (info.classes or 0)
    assert name in KNOWN


def test_digits_are_uint8_images() -> None:
    dataset = load(DatasetSpec(name="digits"), [])
    assert dataset.training.x.dtype == np.uint8
    assert dataset.training.x.max() == 16
    assert dataset.info.scaling.apply(dataset.training.x).max() == 1.0


@pytest.mark.parametrize("name", ["mnist", "fashion_mnist"])
def test_real_images_from_hpo_data(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    if not (SHARED / name.replace("_", "-")).is_dir():
        pytest.skip(f"{SHARED} has no {name}; set HPO_DATA")
    monkeypatch.setenv("HPO_DATA", str(SHARED))
    dataset = load(DatasetSpec(name=name, validation=Validation(size=10000)), [])
    assert dataset.info.sizes == {"training": 50000, "validation": 10000, "test": 10000}
    assert dataset.training.x.shape == (50000, 28, 28, 1)
    assert dataset.training.x.dtype == np.uint8
    assert dataset.info.scaling.factor == np.float32(1 / 255)
    assert len(dataset.info.class_names) == 10
    # The published test sets hold 1,000 of each article, and 980 zeros.
    assert np.bincount(dataset.test.y)[0] == {"mnist": 980, "fashion_mnist": 1000}[name]
    assert dataset.info.source == str(SHARED / name.replace("_", "-"))


def small(path: Path) -> None:
    x, y = np.arange(40 * 12, dtype=np.uint8).reshape(40, 2, 2, 3), np.arange(40).reshape(40, 1) % 10
    np.savez(path, x_train=x, y_train=y, x_test=x[:10], y_test=y[:10])


def test_npz_in_hpo_data_goes_before_keras_cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    cache = tmp_path / "keras" / "datasets"
    cache.mkdir(parents=True)
    monkeypatch.setenv("KERAS_HOME", str(tmp_path / "keras"))
    monkeypatch.setenv("HPO_DATA", str(tmp_path))
    small(cache / "cifar10.npz")
    assert load(DatasetSpec(name="cifar10"), []).info.source == str(cache / "cifar10.npz")
    small(tmp_path / "cifar10.npz")
    dataset = load(DatasetSpec(name="cifar10"), [])
    assert dataset.info.source == str(tmp_path / "cifar10.npz")
    assert dataset.training.y.shape == (32,)
    assert dataset.info.class_names[-1] == "truck"


def test_broken_file_in_hpo_data_is_named_rather_than_passed_over(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("HPO_DATA", str(tmp_path))
    (tmp_path / "fashion-mnist.npz").write_bytes(b"half a downl")
    with pytest.raises(DataError, match=r"fashion-mnist\.npz: cannot be read as \.npz"):
        load(DatasetSpec(name="fashion_mnist"), [])
    monkeypatch.setenv("HPO_DATA", str(tmp_path / "typo"))
    with pytest.raises(DataError, match=r"HPO_DATA: must be a folder, and .*typo is none"):
        load(DatasetSpec(name="fashion_mnist"), [])


def test_unknown_name() -> None:
    with pytest.raises(DataError, match=r"dataset 'minst': unknown name; did you mean mnist\?"):
        load(DatasetSpec(name="minst"), [])


def test_no_network_says_how_to_mend_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    for name in ("HPO_DATA", "no_proxy"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("https_proxy", "http://127.0.0.1:9")
    monkeypatch.setenv("KERAS_HOME", str(tmp_path))
    # Keras has read the variable as it was imported.
    monkeypatch.setattr("keras.src.backend.config._KERAS_DIR", str(tmp_path))
    with pytest.raises(DataError) as raised:
        load(DatasetSpec(name="mnist"), [])
    assert str(raised.value).startswith("dataset 'mnist': cannot be downloaded: URL fetch failure")
    assert "set HPO_DATA to a folder that holds mnist.npz" in str(raised.value)
    # Keras's own progress stays off stdout.
    assert capsys.readouterr().out == ""


def test_importing_the_package_is_light() -> None:
    code = "import sys, hpo.data; hpo.data.KNOWN; print([m for m in ('numpy', 'tensorflow') if m in sys.modules])"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"
    code = "import sys, hpo.data; hpo.data.load; hpo.data.save; print('tensorflow' in sys.modules)"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "False"
