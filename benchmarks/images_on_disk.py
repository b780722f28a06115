"""Images that are read from disk while models train, against the same images in memory.

Makes JPEG files of shapes and noise, and trains the same two trials on two workers in both ways, in turn. On disk the
page cache is emptied four times a second, so that each image comes from the disk, as with more images than memory.
Where the images take more than the memory, a part of them is trained on in memory (`--in-memory`), and the page cache
is best left to the system (`--keep-cache`).
"""

import argparse
import os
import tempfile
import threading
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import psutil
from PIL import Image, ImageDraw

import hpo

_SIDE = 256
_CLASSES = ("circle", "square", "cross")
_MODEL = """
import keras
from keras import layers

def build(params, dataset):
    return keras.Sequential([
        keras.Input(dataset.input_shape),
        layers.Conv2D(params["filters"], 8, strides=8, activation="relu"),
        layers.GlobalMaxPooling2D(),
        layers.Dense(dataset.classes, activation="softmax"),
    ])
"""


def write_images(folder: Path, count: int, part: Path, count_of_part: int) -> None:
    """Writes images of shapes on noise, as many of each class; the first of them also into a folder of their own."""
    rng = np.random.default_rng(0)
    for number in range(count):
        name = _CLASSES[number % 3]
        (folder / name).mkdir(parents=True, exist_ok=True)
        noise = rng.integers(0, 100, (_SIDE // 8, _SIDE // 8, 3), dtype=np.uint8)
        image = Image.fromarray(noise).resize((_SIDE, _SIDE))
        draw, colour = ImageDraw.Draw(image), tuple(int(one) for one in rng.integers(150, 256, 3))
        left, top, side = (int(one) for one in rng.integers(20, 120, 3))
        box = (left, top, left + side, top + side)
        if name == "circle":
            draw.ellipse(box, fill=colour)
        elif name == "square":
            draw.rectangle(box, fill=colour)
        else:
            draw.line(box, fill=colour, width=8)
            draw.line((left, top + side, left + side, top), fill=colour, width=8)
        image.save(file := folder / name / f"{number}.jpg")
        if number < count_of_part:
            (part / name).mkdir(parents=True, exist_ok=True)
            os.link(file, part / name / file.name)


@contextmanager
def watched(cache: Path, emptied: bool) -> Iterator[dict[str, float]]:
    """The largest memory of a worker in MiB: its own (anonymous pages), and with the pages of files that it maps."""
    found, done = {"own_MiB": 0.0, "with_mapped_MiB": 0.0}, threading.Event()

    def watch() -> None:
        while not done.wait(0.25):
            if emptied:
                _empty_page_cache(cache)
            for process in psutil.Process().children(recursive=True):
                with suppress(psutil.Error, OSError, KeyError):
                    status = _status(process.pid)
                    own, mapped = status["RssAnon"] / 1024, status["RssFile"] / 1024
                    found["own_MiB"] = max(found["own_MiB"], own)
                    found["with_mapped_MiB"] = max(found["with_mapped_MiB"], own + mapped)

    thread = threading.Thread(target=watch, daemon=True)
    thread.start()
    try:
        yield found
    finally:
        done.set()
        thread.join()


def _status(pid: int) -> Mapping[str, int]:
    """What Linux says of a process's memory, in KiB."""
    lines = (line.split() for line in Path(f"/proc/{pid}/status").read_text(encoding="ascii").splitlines())
    return {line[0].rstrip(":"): int(line[1]) for line in lines if line[-1:] == ["kB"]}


def _empty_page_cache(cache: Path) -> None:
    for file in cache.rglob("images.npy"):
        with file.open("rb") as opened:
            os.posix_fadvise(opened.fileno(), 0, 0, os.POSIX_FADV_DONTNEED)


def run(folder: Path, epochs: int, on_disk: bool, repeat: int, keep_cache: bool = False) -> dict[str, Any]:
    """Trains two trials at a time; returns the seconds of an epoch and a worker's memory."""
    name = f"{'disk' if on_disk else 'memory'}-{repeat}"
    experiment = {
        "name": name,
        "dataset": {
            "path": str(folder / ("images" if on_disk else "part")),
            "memory_limit": 0.001 if on_disk else 1000,
        },
        "search_space": {
            "model": "shapes:build",
            "parameters": {"filters": {"type": "categorical", "choices": [8, 16]}},
        },
        "objective": "val_accuracy",
        "training": {"epochs": epochs, "batch_size": 64, "early_stopping": False},
        "study": {"sampler": "grid", "pruner": "none", "checkpoints": False},
        "engine": {"workers": 2},
    }
    with watched(folder / "cache", on_disk and not keep_cache) as memory:
        study = hpo.run(experiment, home=folder / "home", progress=False)
    # The first epoch traces the graph.
    seconds = [one for trial in study.trials for one in trial.curves["seconds"][1:]]
    score = max(trial.value or 0.0 for trial in study.trials)
    return {"way": name, "s_an_epoch": float(np.median(seconds)), "val_accuracy": score, **memory}


def main() -> None:
    """Measures, and prints a table."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--gigabytes", type=float, default=0.2, help="size of the images as they are trained on")
    parser.add_argument("--in-memory", type=float, help="size of the part that is trained on in memory; by default all")
    parser.add_argument("--keep-cache", action="store_true", help="do not empty the page cache")
    parser.add_argument("--epochs", type=int, default=3)
    parser.add_argument("--repeats", type=int, default=1)
    parser.add_argument("--folder", type=Path, help="where images are written; by default a temporary folder")
    arguments = parser.parse_args()
    count, in_memory = (
        int(gigabytes * 1e9 / (_SIDE * _SIDE * 3))
        for gigabytes in (arguments.gigabytes, arguments.in_memory or arguments.gigabytes)
    )
    with tempfile.TemporaryDirectory(dir=arguments.folder) as temporary:
        folder = Path(temporary)
        os.environ["HPO_CACHE"] = str(folder / "cache")
        write_images(folder / "images", count, folder / "part", in_memory)
        (folder / "shapes.py").write_text(_MODEL, encoding="utf-8")
        os.chdir(folder)
        rows = [
            run(folder, arguments.epochs, on_disk, repeat, arguments.keep_cache)
            for repeat in range(arguments.repeats)
            for on_disk in (False, True)
        ]
        os.chdir("/")
    table = pd.DataFrame(rows)
    on_disk = table["way"].str.startswith("disk")
    table["images_a_s"] = np.where(on_disk, count, in_memory) / table["s_an_epoch"]
    print(table.round(2).to_string(index=False))
    rates = table.groupby(on_disk)["images_a_s"].median()
    print(f"{count} images, {in_memory} in memory; on disk {rates[True] / rates[False]:.2f} of the rate in memory")


if __name__ == "__main__":
    main()
