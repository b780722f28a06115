"""The best model's predictions of images that are in a file."""

from types import SimpleNamespace
from typing import Any

import numpy as np

from hpo.data.mapped import Mapped, Survey
from hpo.report.pictures import as_image
from hpo.report.predictions import _judged


def test_images_in_a_file_are_shown_in_the_range_of_all(tmp_path):
    images = np.random.default_rng(0).integers(9, 200, (6, 4, 5, 3), np.uint8)
    np.save(tmp_path / "images.npy", images)
    flat = images.reshape(len(images), -1)
    survey = Survey(np.zeros((6, 16), np.uint8), flat.min(1), flat.max(1), flat.mean(1), flat.var(1) * flat.shape[1])
    rows, y = np.array([4, 0, 2]), np.array([1, 0, 1])
    dataset: Any = SimpleNamespace(info=SimpleNamespace(classes=2, class_labels=("cat", "dog"), input_shape=(4, 5, 3)))
    outputs = np.array([[0.1, 0.9], [0.2, 0.8], [0.3, 0.7]])
    x: Any = Mapped(tmp_path / "images.npy", rows, survey)
    found = _judged(dataset, 7, x, y, outputs)
    seen = images[rows]
    assert [one.image for one in found.wrong] == [as_image(images[0], seen.min(), seen.max())]
    assert (found.wrong[0].true, found.wrong[0].predicted, found.wrong[0].sure) == ("cat", "dog", "80.0%")
    assert (len(found.right), found.mistakes) == (2, 1)
