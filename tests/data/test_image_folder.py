"""Folders of images: what is read of them, once, and what each bad one is told."""

import shutil
from pathlib import Path

import keras
import numpy as np
import pytest
from image_folders import CLASSES, SIZE, write_images, write_parts

from hpo.config.dataset import DatasetSpec
from hpo.data import image_cache, load, open_prepared, save
from hpo.data.mapped import Mapped
from hpo.errors import DataError

SMALL = (6, 5)


@pytest.fixture(scope="module", autouse=True)
def cache(tmp_path_factory):
    """The folder of what was read."""
    folder = tmp_path_factory.mktemp("cache")
    with pytest.MonkeyPatch.context() as patched:
        patched.setenv("HPO_CACHE", str(folder))
        yield folder / "images"


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    """Images of many sizes."""
    return write_images(tmp_path_factory.mktemp("images") / "colours", 10, size=None)


def by_keras(folder, **keys):
    data = keras.utils.image_dataset_from_directory(folder, batch_size=None, shuffle=False, verbose=False, **keys)
    x, y = zip(*data.as_numpy_iterator(), strict=True)
    return np.clip(np.rint(np.stack(x)), 0, 255), np.array(y)


def test_images_are_those_of_keras_and_read_once(folder, cache, tmp_path, monkeypatch):
    (folder / "dark" / "notes.txt").write_text("nothing")
    spec = DatasetSpec(path=str(folder), image_size=SMALL, crop_to_aspect_ratio=True, scaling="standard")
    dataset = load(spec, [])
    info = dataset.info
    assert (info.class_names, info.input_shape, info.input_type) == (CLASSES, (*SMALL, 3), "uint8")
    assert info.sizes == {"training": 19, "validation": 5, "test": 6}
    assert any("1 files in" in note and "are left out" in note for note in info.notes)
    x, y = by_keras(folder, image_size=SMALL, crop_to_aspect_ratio=True)
    parts = [dataset.part(name) for name in ("training", "validation", "test")]
    mine, theirs = (
        sorted((label, image.tobytes()) for image, label in zip(images.astype(np.uint8), labels, strict=True))
        for images, labels in (
            (np.concatenate([np.asarray(part.x) for part in parts]), np.concatenate([part.y for part in parts])),
            (x, y),
        )
    )
    assert mine == theirs
    training = np.asarray(dataset.training.x, np.float64)
    scaled = info.scaling.apply(training)
    assert scaled == pytest.approx((training - training.mean()) / training.std(), abs=1e-5)
    # Each class has its share of each part, as in the arrays of others.
    assert np.bincount(dataset.test.y).tolist() == [2, 2, 2]

    monkeypatch.setattr(image_cache, "write_images", None)
    again = load(spec.model_copy(update={"validation": spec.validation.model_copy(update={"seed": 5})}), [])
    assert again.info.digests["test"] == info.digests["test"]
    assert again.info.digests["training"] != info.digests["training"]
    assert isinstance(again.training.x, Mapped)
    save(dataset, tmp_path / "data")
    opened = open_prepared(tmp_path / "data")
    assert opened.info.images == {
        "image_size": list(SMALL),
        "color_mode": "rgb",
        "interpolation": "bilinear",
        "crop_to_aspect_ratio": True,
        "pad_to_aspect_ratio": False,
    }
    for name in ("training", "validation", "test"):
        assert np.array_equal(opened.part(name).x, np.asarray(dataset.part(name).x))
    assert len(list(cache.glob("*/meta.json"))) == 1


def test_folders_of_parts_have_one_numbering_of_classes(tmp_path):
    folder = write_parts(tmp_path / "parts")
    shutil.rmtree(folder / "test" / "dark")
    info = load(DatasetSpec(path=str(folder), color_mode="grayscale"), []).info
    assert (info.sizes, info.input_shape) == ({"training": 60, "validation": 18, "test": 12}, (*SIZE, 1))
    assert any("test has no images of dark" in note for note in info.notes)
    dataset = load(DatasetSpec(path=str(folder), color_mode="grayscale"), [])
    assert set(dataset.test.y) == {1, 2}
    (folder / "test" / "blue").mkdir()
    shutil.copy(folder / "test" / "red" / "0.png", folder / "test" / "blue")
    with pytest.raises(DataError, match=r"test: class folders must be those of .*train \(dark, light, red\), got blue"):
        load(DatasetSpec(path=str(folder)), [])
    (folder / "raw").mkdir()
    with pytest.raises(DataError, match=r"beside the folder train, only validation and test are expected, got raw"):
        load(DatasetSpec(path=str(folder)), [])


def test_images_without_classes_are_for_tasks_without_targets(tmp_path):
    for seed, part in enumerate(("a", "b")):
        shutil.copytree(write_images(tmp_path / part, 5, seed) / "red", tmp_path / "flat", dirs_exist_ok=True)
    dataset = load(DatasetSpec(path=str(tmp_path / "flat"), task="reconstruction"), [])
    assert dataset.training.y is None
    with pytest.raises(DataError, match=r"it has 5 images and no folders; task: reconstruction takes images without"):
        load(DatasetSpec(path=str(tmp_path / "flat")), [])
    for part in ("train", "test"):
        shutil.copytree(tmp_path / "flat", tmp_path / "parts" / part)
    rule = "a folder of images must have a folder for each class"
    with pytest.raises(DataError, match=rf"parts/test: {rule}.*\n.*parts/train: {rule}"):
        load(DatasetSpec(path=str(tmp_path / "parts")), [])


def emptied(*names: str):
    def change(folder: Path) -> None:
        for name in names:
            shutil.rmtree(folder / name)

    return change


def broken(folder: Path) -> None:
    content = (folder / "red" / "1.jpg").read_bytes()
    (folder / "red" / "1.jpg").write_bytes(content[: len(content) // 2])
    (folder / "dark" / "9.png").write_text("no image")


@pytest.mark.parametrize(
    ("change", "spec", "message"),
    [
        (lambda folder: [image.unlink() for image in (folder / "red").iterdir()], {}, "the class folder red without"),
        (emptied(*CLASSES), {}, "for each class, .*; it is empty"),
        (emptied(*CLASSES[1:]), {}, "two classes or more, got only da"),
        (lambda folder: shutil.copy(write_images(folder.parent / "big", 1, size=(30, 40)) / "red/0.png",
                                    folder / "red/9.png"), {}, r"have 2 sizes.* 12x10 .*30x40.*\[12, 10\]"),
        (emptied(), {"shuffle": False}, "order of time, and images of classes have none"),
        (broken, {}, r"2 of 25 images .* cannot be read; .*\n.*dark/9\.png: Unknown.*\n.*red/1\.jpg: "),
    ],
)  # fmt: skip
def test_bad_folders_are_refused_with_the_rule(tmp_path, cache, change, spec, message):
    folder = write_images(tmp_path / "colours")
    change(folder)
    before = set(cache.glob("*/"))
    with pytest.raises(DataError, match=message):
        load(DatasetSpec(path=str(folder), **spec), [])
    if "order" not in message:
        assert set(cache.glob("*/")) == before


def test_keys_of_images_are_refused_for_other_data():
    with pytest.raises(DataError, match="is for folders of images, and digits is none") as caught:
        load(DatasetSpec(name="digits", color_mode="rgb"), [])
    assert caught.value.key == ("dataset", "color_mode")
