"""Generated data for experiments: fresh batches without end."""

from collections.abc import Iterator

import numpy as np


def waves(batch_size: int, rng: np.random.Generator) -> Iterator[tuple[np.ndarray, np.ndarray]]:
    """Points of the square [-1, 1] x [-1, 1], shape (batch_size, 2), and the function there, shape (batch_size, 1)."""
    while True:
        points = rng.uniform(-1, 1, (batch_size, 2)).astype(np.float32)
        x, y = points.T
        yield points, (np.sin(3 * x) * np.cos(2 * y) + 0.5 * x * y)[:, np.newaxis]
