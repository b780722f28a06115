"""Folders of images as people have them: a folder for each class, PNG and JPEG files in it."""

from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image

CLASSES = ("dark", "light", "red")
SIZE = (12, 10)
"""Height and width."""


def write_images(folder: Path, count: int = 8, seed: int = 0, size: tuple[int, int] | None = SIZE) -> Path:
    """A folder for each class of CLASSES, which differ in colour; without a size each image has one of its own."""
    rng = np.random.default_rng(seed)
    for name, colour in zip(CLASSES, ((40, 40, 40), (210, 210, 210), (210, 40, 40)), strict=True):
        (folder / name).mkdir(parents=True)
        for number in range(count):
            height, width = size or rng.integers(8, 20, 2)
            pixels = np.clip(rng.normal(colour, 40, (height, width, 3)), 0, 255).astype(np.uint8)
            Image.fromarray(pixels).save(folder / name / f"{number}.{('png', 'jpg')[number % 2]}")
    return folder


def write_parts(folder: Path) -> Path:
    """The folders train, validation and test, each with a folder for each class."""
    for seed, (part, count) in enumerate({"train": 20, "validation": 6, "test": 6}.items()):
        write_images(folder / part, count, seed)
    return folder


def build(params: Any, dataset: Any) -> Any:
    """A small network for these images."""
    import keras

    layers = keras.layers
    return keras.Sequential(
        [keras.Input((*SIZE, 3)), layers.Conv2D(4, 3), layers.Flatten(), layers.Dense(3, "softmax")]
    )
