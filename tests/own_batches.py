"""Generated data as users write them, for the tests of training."""

import numpy as np


def surface(batch_size, rng):
    """A function of two numbers."""
    while True:
        x = rng.uniform(-1, 1, (batch_size, 2))
        yield x, np.sin(3 * x[:, 0]) * x[:, 1]


def sides(batch_size, rng):
    """Two classes, the second one in a quarter of the samples."""
    while True:
        x = rng.normal(size=(batch_size, 2)).astype("float32")
        yield x, (x.min(axis=1) > 0).astype("int64")
