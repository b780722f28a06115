"""Rows that are read from a file of images: in any order, with gaps, larger and smaller than what is read along."""

import os

import numpy as np
import pytest

from hpo.data.mapped import Mapped
from hpo.errors import DataError

SMALL, LARGE = (4, 5, 1), (100, 70, 3)


@pytest.fixture(params=[SMALL, LARGE])
def images(request, tmp_path):
    """A file of images, and what is in it."""
    stored = np.random.default_rng(0).integers(0, 256, (60, *request.param), dtype=np.uint8)
    np.save(tmp_path / "images.npy", stored)
    return tmp_path / "images.npy", stored


@pytest.mark.parametrize("places", [[0], [4, 3, 2, 1, 0], [30, 2, 11, 2, 2, 39], range(40)])
def test_rows_are_read_as_indexing_gives_them(images, places):
    file, stored = images
    rows = np.sort(np.random.default_rng(1).permutation(60)[:40])
    read = Mapped(file, rows).read(np.array(places))
    np.testing.assert_array_equal(read, stored[rows[list(places)]])


def test_a_file_that_has_become_shorter_is_named_with_an_image_that_it_lacks(images):
    file, stored = images
    mapped = Mapped(file, np.arange(60))
    os.truncate(file, file.stat().st_size - stored[0].nbytes - 1)
    mapped.read(np.arange(58))
    with pytest.raises(DataError, match="ends before image 58; delete its folder"):
        mapped.read(np.array([58, 3]))
