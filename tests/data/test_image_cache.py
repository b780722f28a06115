"""The files of images that were read: when they are read anew, and what is deleted."""

import io
import json
import os
import shutil
import time
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
from filelock import FileLock
from PIL import Image

from hpo.data import image_cache, image_writer
from hpo.data.image_cache import read_cached
from hpo.data.image_folder import files_below
from hpo.data.image_reader import ImageFiles
from hpo.data.mapped import Mapped, Survey
from hpo.errors import DataError, UserError
from hpo.export import input_samples
from hpo.system.home import cache_folder, expanded

KEYS = {"image_size": [2, 3], "color_mode": "grayscale"}


@pytest.fixture
def writes(tmp_path, monkeypatch):
    """How often images were read, here the last pixel alone; the real reader is a process with TensorFlow."""
    monkeypatch.setenv("HPO_CACHE", str(tmp_path / "cache"))
    found = []

    def write(orders, progress):
        for order in orders:
            found.append(order.files.folder)
            # A row of three pixels has a fourth byte.
            values = [(order.files.folder / name).read_bytes()[-2] for name in order.files.names]
            array = np.array([np.full((2, 3, 1), value, np.uint8) for value in values])
            np.save(order.folder / "images.npy", array)
            of_each = np.zeros((len(array), 16), np.uint8)
            survey = Survey(of_each, *(of_each[:, 0] for _ in range(4)))
            np.savez(order.folder / "survey.npz", places=np.arange(len(array)), **vars(survey))

    monkeypatch.setattr(image_cache, "write_images", write)
    return found


def image(folder, value, time=1_000_000_000):
    """A folder with one image, which is of equal size and time for all values."""
    folder.mkdir(exist_ok=True)
    Image.fromarray(np.full((2, 3), value, np.uint8)).save(folder / "a.bmp")
    os.utime(folder / "a.bmp", ns=(time, time))
    return folder


def read(folder):
    (found,) = read_cached([ImageFiles.of(folder, ["a.bmp"])], KEYS)
    return int(np.asarray(found)[0, 0, 0, 0])


def test_other_files_of_the_same_names_sizes_and_times_are_read(tmp_path, writes):
    one, other = image(tmp_path / "one", 1), image(tmp_path / "other", 2)
    assert (read(one), read(other), read(one)) == (1, 2, 1)
    assert read(image(one, 3)) == 3
    shutil.copy2(other / "a.bmp", one / "a.bmp")
    assert read(one) == 2
    (tmp_path / "link").symlink_to(one)
    assert read(tmp_path / "link") == 2
    assert writes == [one, other, one, one]


def test_links_to_nothing_and_names_of_other_encodings_are_all_named(tmp_path):
    folder = image(tmp_path / "one", 1)
    (folder / "gone.png").symlink_to(tmp_path / "nothing")
    foreign = os.fsdecode(b"caf\xe9.bmp")
    shutil.copy(folder / "a.bmp", folder / foreign)
    with pytest.raises(
        DataError, match=r"2 of 3 images .*\n.*gone\.png: No such file or directory \(a link\)\n.*UTF-8"
    ):
        ImageFiles.of(folder, ["a.bmp", "gone.png", foreign])


def aged(*places, days=40):
    then = time.time() - days * 86_400
    for place in places:
        os.utime(place, (then, then))


@pytest.mark.parametrize(("name", "size"), [("survey.npz", 0), ("survey.npz", 300), ("images.npy", 20)])
def test_what_a_power_cut_left_damaged_is_read_anew(tmp_path, writes, name, size):
    folder = image(tmp_path / "one", 5)
    assert read(folder) == 5
    (file,) = (tmp_path / "cache").rglob(name)
    os.truncate(file, size)
    assert (read(folder), read(folder), len(writes)) == (5, 5, 2)


def test_only_what_no_run_uses_or_holds_is_deleted(tmp_path, writes):
    cache = tmp_path / "cache" / "images"
    kept, unused = image(tmp_path / "kept", 1), image(tmp_path / "unused", 2)
    read(unused)
    (old,) = cache.glob("*/")
    read(kept)
    (entry,) = {*cache.glob("*/")} - {old}
    for place in (old, entry):
        aged(*place.iterdir(), place)
    # A study that goes on for months reads its images in its workers alone.
    Mapped(entry / "images.npy", np.arange(1)).read(np.arange(1))
    killed, held = cache / ("0" * 32 + ".new"), cache / ("1" * 32 + ".new")
    for place in (killed, held):
        place.mkdir()
    (cache / ("2" * 32 + ".lock")).touch()
    (cache / "mine.txt").touch()
    with FileLock(held.with_suffix(".lock")):
        assert read(image(tmp_path / "third", 3)) == 3
    made = {file.parent for file in cache.glob("*/meta.json")}
    assert entry in made
    assert len(made) == 2
    locks = {place.with_suffix(".lock") for place in {*made, held}}
    assert {*cache.iterdir()} == made | locks | {held, cache / "mine.txt"}
    assert (read(kept), len(writes)) == (1, 3)


def test_an_image_of_unknown_size_is_named_where_no_size_is_given(tmp_path, writes, monkeypatch):
    folder = image(tmp_path / "one", 1)
    monkeypatch.setattr(Image, "MAX_IMAGE_PIXELS", 2)
    files = ImageFiles.of(folder, ["a.bmp"])
    with pytest.raises(DataError, match=r"1 of 1 images .* Pillow cannot tell; .*\n  .*a\.bmp: .*decompression bomb"):
        read_cached([files], {**KEYS, "image_size": None})
    monkeypatch.setattr(Image, "MAX_IMAGE_PIXELS", 4)  # a warning
    assert read_cached([files], {**KEYS, "image_size": None})[0].shape == (1, 2, 3, 1)


def test_a_user_without_a_home_folder_is_told_of_the_variable(monkeypatch):
    for name in ("HPO_CACHE", "XDG_CACHE_HOME", "HOME"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setattr(os, "getuid", lambda: 987654)
    with pytest.raises(UserError, match=r"no home folder.* HPO_CACHE"):
        cache_folder()
    assert expanded("~/data") == Path("~/data")
    assert expanded("~nobody-of-this-name/data") == Path("~nobody-of-this-name/data")


def test_many_images_to_predict_are_read_into_a_file(tmp_path, writes, monkeypatch):
    folder = image(tmp_path / "one", 7)
    monkeypatch.setattr(input_samples, "_MOST_BYTES", 5)
    info: Any = SimpleNamespace(images=KEYS, inputs=(), is_text=False)
    samples = input_samples.read_samples(folder, info)
    assert isinstance(samples.x, Mapped)
    assert (samples.x[0][0, 0, 0], samples.files, len(writes)) == (7, ("a.bmp",), 1)


def test_a_folder_that_cannot_be_read_is_not_left_out(tmp_path):
    with pytest.raises(DataError, match=r"gone: cannot be read: No such file or directory"):
        files_below(tmp_path / "gone")


def test_broken_images_of_all_parts_are_named_together(tmp_path, monkeypatch, capsys):
    orders = [
        {"folder": str(tmp_path), "keys": KEYS, "files": {"folder": name, "names": ["a.bmp"], "classes": []}}
        for name in ("train", "test")
    ]

    def refuse(order):
        raise DataError(f"broken in {order.files.folder}")

    monkeypatch.setattr(image_writer, "_write", refuse)
    monkeypatch.setattr("sys.stdin", io.StringIO(json.dumps(orders)))
    image_writer.main()
    assert json.loads(capsys.readouterr().out) == "broken in train\nbroken in test"
