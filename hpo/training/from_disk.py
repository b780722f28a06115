"""Samples that are read from disk while a model trains, a window of them at a time."""

from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import keras
import numpy as np
import tensorflow as tf

from hpo.data.dataset import Array, Dataset, Part
from hpo.data.mapped import Mapped
from hpo.data.several import Arrays
from hpo.training.part_tensors import targets_of
from hpo.training.tensors import NOTHING

_BLOCK_BYTES = 1 << 20
"""Samples that are read one after the other, in bytes, about."""
_PIECE_BYTES = 1 << 24
"""Samples that are handed to the graph at a time, in bytes, about."""


def is_on_disk(dataset: Dataset) -> bool:
    """Whether the samples stay on disk while a model trains."""
    return isinstance(dataset.training.x, Mapped)


def order_by_blocks(seed: int, epoch: int, x: Mapped, window: int) -> Array:
    """The order of the training samples in an epoch, counted from 0; shape (samples,).

    Blocks of neighbours follow each other at random, and the samples of each `window` are shuffled one by one. In the
    file samples are in random order, so that neighbours have nothing in common.
    """
    rng, samples = np.random.default_rng([seed, epoch]), len(x)
    blocks = np.array_split(np.arange(samples), max(1, samples * x.row_bytes // _BLOCK_BYTES))
    order = np.concatenate([blocks[number] for number in rng.permutation(len(blocks))])
    for start in range(0, samples, window):
        rng.shuffle(order[start : start + window])
    return order


def in_whole_batches(window: int, batch_size: int) -> int:
    """A window that ends with a batch."""
    return max(batch_size, window // batch_size * batch_size)


def pieces(part: Part, y: Any, weights: Arrays | None, order: Array, window: int, batch_size: int) -> Iterator[Any]:
    """Samples in an order, as x, y and weights of some whole batches; the last batch may be smaller.

    The next window is read while the caller uses the one before. `y`: the targets as the model takes them, an array or
    a structure, or NOTHING; so are missing weights returned.
    """
    window = in_whole_batches(window, batch_size)
    size = max(1, _PIECE_BYTES // (part.x.row_bytes * batch_size)) * batch_size
    for rows, x in _windows(part.x, order, window):
        for start in range(0, len(rows), size):
            own = rows[start : start + size]
            y_own = y if y is NOTHING else tf.nest.map_structure(lambda one, own=own: one[own], y)
            yield x[start : start + size], y_own, NOTHING if weights is None else weights[own]
        # Before the one after the next is read, or there would be three.
        del x


class DiskStream:
    """The parts of a dataset on disk as pipelines for `model.fit`, unscaled: batches of x, (x, y) or (x, y, weights).

    Each time that the training part is run through, it is in the order of the next epoch. `weights`: those of the
    training samples.
    """

    def __init__(self, dataset: Dataset, model: keras.Model, seed: int, weights: Arrays | None = None) -> None:
        self._dataset, self._model, self._seed, self._weights = dataset, model, seed, weights
        self._epoch = 0

    def __call__(self, name: str, batch_size: int) -> tf.data.Dataset:
        """The pipeline of a part."""
        part, info = self._dataset.part(name), self._dataset.info
        y, window = targets_of(self._model, part, info), info.window or len(part)
        given = self._weights if name == "training" else part.weights
        whole = (part.x, y, NOTHING if given is None else given)

        def batches() -> Iterator[Any]:
            order = np.arange(len(part))
            if name == "training":
                order = order_by_blocks(self._seed, self._epoch, part.x, in_whole_batches(window, batch_size))
                self._epoch += 1
            made = pieces(part, y, given, order, window, batch_size) if isinstance(part.x, Mapped) else None
            for x, targets, weights in made or [whole]:
                own = tuple(one for one in (x, targets, weights) if one is not NOTHING)
                for start in range(0, len(x), batch_size):
                    rows = slice(start, start + batch_size)
                    batch = tf.nest.map_structure(lambda one, rows=rows: one[rows], own)
                    yield batch if len(batch) > 1 else batch[0]

        kinds = tuple(
            tf.nest.map_structure(lambda one: tf.TensorSpec([None, *one.shape[1:]], one.dtype), one)
            for one in whole
            if one is not NOTHING
        )
        pipeline = tf.data.Dataset.from_generator(batches, output_signature=kinds if len(kinds) > 1 else kinds[0])
        return pipeline.apply(tf.data.experimental.assert_cardinality(-(-len(part) // batch_size)))


def _windows(x: Mapped, order: Array, window: int) -> Iterator[tuple[Array, Array]]:
    every = [order[start : start + window] for start in range(0, len(order), window)]
    with ThreadPoolExecutor(1, "hpo-reader") as reader:
        ahead = reader.submit(x.read, every[0])
        for number, rows in enumerate(every):
            found = ahead.result()
            if number + 1 < len(every):
                ahead = reader.submit(x.read, every[number + 1])
            yield rows, found
