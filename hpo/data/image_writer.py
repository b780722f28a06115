"""Reads images into files, in a process of its own.

TensorFlow keeps the threads and the GPU memory that it first took, and those are for the process that trains.
"""

import hashlib
import json
import os
import subprocess
import sys
import tempfile
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np

from hpo.data.dataset import Array
from hpo.data.image_reader import CHANNELS, ImageFiles, read_images
from hpo.data.mapped import Survey
from hpo.errors import DataError

_DONE = ".\n"
"""What is written for each image."""


@dataclass(frozen=True)
class Order:
    """Images to be read."""

    folder: Path
    """Where images.npy and survey.npz are written."""
    files: ImageFiles
    keys: Mapping[str, Any]
    """As `read_images` takes them."""

    @property
    def shape(self) -> tuple[int, int, int, int]:
        """The shape of the array of all images."""
        height, width = self.keys["image_size"]
        return len(self.files.names), height, width, CHANNELS[self.keys["color_mode"]]


def write_images(orders: Sequence[Order], progress: Callable[[], None]) -> None:
    """Does what is ordered; `progress` is called after each image.

    Raises:
        DataError: see `read_images`.
    """
    here = str(Path(__file__).resolve().parents[2])
    path = os.pathsep.join([here, *filter(None, [os.environ.get("PYTHONPATH")])])
    environment = {**os.environ, "PYTHONPATH": path, "CUDA_VISIBLE_DEVICES": "-1", "TF_CPP_MIN_LOG_LEVEL": "3"}
    with (
        tempfile.TemporaryFile("w+", encoding="utf-8", errors="replace") as messages,
        subprocess.Popen(
            # Safe: else the files of the folder where hpo was started would be imported for those of libraries.
            [sys.executable, "-P", "-m", __name__],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=messages,
            env=environment,
            encoding="utf-8",
        ) as process,
    ):
        try:
            assert process.stdin is not None
            assert process.stdout is not None
            process.stdin.write(json.dumps([asdict(order) for order in orders], default=str))
            process.stdin.close()
            for line in process.stdout:
                if line != _DONE:
                    raise DataError(json.loads(line))
                progress()
            if process.wait():
                messages.seek(0)
                last = [line.strip() for line in messages if line.strip()][-1:] or ["no message"]
                why = f"the process that reads its images ended with code {process.returncode}: {last[0]}"
                raise DataError(f"{orders[0].files.folder}: {why}")
        finally:
            process.kill()


def _write(order: Order) -> None:
    count, file = order.shape[0], order.folder / "images.npy"
    images = np.lib.format.open_memmap(file, mode="w+", dtype=np.uint8, shape=order.shape)
    if hasattr(os, "posix_fallocate"):
        # Else a disk that is full would end the process without a word.
        with file.open("r+b") as opened:
            os.posix_fallocate(opened.fileno(), 0, os.fstat(opened.fileno()).st_size)
    bounds = [np.empty(count, np.uint8) for _ in range(2)]
    survey = Survey(np.empty((count, 16), np.uint8), *bounds, *(np.empty(count) for _ in range(2)))
    places = np.random.default_rng(0).permutation(count)
    for place, image in zip(places, read_images(order.files, order.keys), strict=True):
        images[place] = image
        _look_at(survey, place, image)
        _tell(_DONE)
    images.flush()
    np.savez(order.folder / "survey.npz", places=places, **vars(survey))


def _look_at(survey: Survey, place: int, image: Array) -> None:
    survey.digests[place] = np.frombuffer(hashlib.blake2b(image.tobytes(), digest_size=16).digest(), np.uint8)
    survey.low[place], survey.high[place] = image.min(), image.max()
    mean = image.mean(dtype=np.float64)
    survey.mean[place], survey.squares[place] = mean, ((image - mean) ** 2).sum()


def _tell(line: str) -> None:
    sys.stdout.write(line)
    sys.stdout.flush()


def main() -> None:
    """Does what `write_images` ordered; says of all parts which images cannot be read."""
    broken = []
    for one in json.load(sys.stdin):
        files = one["files"]
        read = ImageFiles(Path(files["folder"]), tuple(files["names"]), tuple(files["classes"]), ())
        try:
            _write(Order(Path(one["folder"]), read, one["keys"]))
        except DataError as error:
            broken.append(str(error))
        except OSError as error:
            return _tell(json.dumps(f"{one['folder']}: cannot be written: {error.strerror or error}") + "\n")
    if broken:
        _tell(json.dumps("\n".join(broken)) + "\n")


if __name__ == "__main__":
    main()
