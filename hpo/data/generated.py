"""Data generated without end: fresh batches from the user's generator, and the fixed parts drawn from it once."""

import inspect
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import islice
from pathlib import Path
from typing import Any

import numpy as np

from hpo.config.experiment import DatasetSpec
from hpo.data.checks import check_part
from hpo.data.dataset import Array, Dataset, DatasetInfo, PartName
from hpo.data.function import error_of_users_code, object_at
from hpo.data.source_data import RawDataset, RawGenerated, RawPart, Values, as_images
from hpo.errors import DataError

_SAMPLE = 1000
"""Samples of the training part, which stands for what is generated: scaling, classes and pictures are taken from it."""

# The first word of a seed says what is drawn: none of these draws shares its random numbers with another.
_PURPOSES: Mapping[PartName, int] = {"training": 1, "validation": 2, "test": 3}
_EPOCH = 4

Batch = tuple[Array, Array]


@dataclass(frozen=True)
class FunctionBatches:
    """The fresh batches of a user's generator function."""

    function: str
    folders: tuple[Path, ...]

    def __call__(self, batch_size: int, seed: Sequence[int]) -> Iterator[Batch]:
        """Batches (x, y) of `batch_size` samples, as the function yields them; the same for the same seed.

        Raises:
            DataError: it raises, comes to an end, or yields something else.
        """
        generate = _generator_function(self.function, self.folders)
        count = 0
        try:
            for batch in generate(batch_size, np.random.default_rng(list(seed))):
                yield self._checked(batch, batch_size)
                count += 1
        except DataError:
            raise
        except Exception as error:  # whatever the user's own code raises
            raise error_of_users_code(self.function, self.folders, error) from error
        raise DataError(f"{self.function}: must yield batches without end, and came to its end after {count}")

    def _checked(self, batch: Any, batch_size: int) -> Batch:
        if not isinstance(batch, tuple | list) or len(batch) != 2:
            raise DataError(f"{self.function}: must yield pairs (x, y) of arrays, got {type(batch).__name__}")
        x, y = np.asarray(batch[0]), np.asarray(batch[1])
        if x.ndim < 2 or len(x) != batch_size or y.ndim == 0 or len(y) != batch_size:
            raise DataError(
                f"{self.function}: a batch must have batch_size samples and labels, {batch_size}, got shapes "
                f"{x.shape} and {y.shape}"
            )
        return x, y


def read_generated(function: str, folders: Sequence[Path]) -> RawGenerated:
    """The batches of a generator function `package.module:function`, which takes (batch_size, rng).

    Raises:
        DataError: it cannot be found, or is something else.
    """
    _generator_function(function, folders)
    return RawGenerated(function, FunctionBatches(function, tuple(folders)))


def with_fixed_parts(raw: RawGenerated, spec: DatasetSpec) -> RawDataset:
    """Draws the fixed parts, each from a seed of its own.

    Raises:
        DataError: a part's size is a share, or what was drawn are no numbers.
    """
    wanted: Mapping[PartName, tuple[float, int]] = {
        "training": (min(_SAMPLE, spec.limit or _SAMPLE), spec.seed),
        "validation": (spec.validation.size, spec.validation_seed),
        "test": (spec.test, spec.seed),
    }
    parts = {}
    for name, (size, seed) in wanted.items():
        if size < 1:
            rule = "generated data have no end to take a share of; must be a number of samples"
            raise DataError(f"{rule}, got {size:g}", ("dataset", name))
        x, y = next(raw.batches(int(size), (_PURPOSES[name], seed)))
        if y.dtype.kind not in "buif":
            raise DataError(f"{raw.source}: generated labels must be numbers, got {y.dtype}")
        parts[name] = RawPart(Values(x, f"{raw.source}: {name} x"), Values(y, f"{raw.source}: {name} y"))
    return RawDataset(raw.source, parts["training"], parts["validation"], parts["test"], batches=raw.batches)


def batches_of_epoch(dataset: Dataset, batch_size: int, seed: int, epoch: int) -> Iterator[Batch]:
    """The batches of an epoch: `steps_per_epoch` of `batch_size` fresh samples, as a Part has them.

    Args:
        dataset: of generated data.
        batch_size: samples of each batch.
        seed: of the trial.
        epoch: its number, from 0.

    Raises:
        DataError: what was generated is not of the kind of the fixed parts.
    """
    assert dataset.batches is not None
    fresh = dataset.batches(batch_size, (_EPOCH, seed, epoch))
    for x, y in islice(fresh, dataset.info.steps_per_epoch):
        place = f"{dataset.info.source}: epoch {epoch + 1}"
        check_part(RawPart(Values(x, f"{place}: x"), Values(y, f"{place}: y")))
        yield _as_in_parts(x, dataset.training.x, place), _labels(y, dataset.info, place)


def _as_in_parts(x: Array, fixed: Array, place: str) -> Array:
    x = as_images(x)
    if x.shape[1:] != fixed.shape[1:] or x.dtype != fixed.dtype:
        raise DataError(
            f"{place}: x must be as in the first batch, {fixed.dtype} of shape {fixed.shape[1:]}, got {x.dtype} of "
            f"shape {x.shape[1:]}"
        )
    return x


def _labels(y: Array, info: DatasetInfo, place: str) -> Array:
    y = y[:, 0] if y.ndim == 2 and y.shape[1] == 1 else y
    width = y.shape[1] if y.ndim == 2 else 1
    if info.classes is None or info.one_hot:
        if width != info.outputs:
            raise DataError(f"{place}: y must have {info.outputs} numbers a sample, got {width}")
        return y.astype(np.float32)
    if y.ndim != 1 or y.min() < 0 or y.max() >= info.classes:
        raise DataError(
            f"{place}: labels must be classes 0 to {info.classes - 1}, as in the fixed sample, got up to {y.max()}"
        )
    return y.astype(np.int32)


def _generator_function(function: str, folders: Sequence[Path]) -> Any:
    """The user's generator function (batch_size, rng).

    Raises:
        DataError: it cannot be found, or is something else.
    """
    generator = object_at(function, folders)
    if not inspect.isgeneratorfunction(generator):
        raise DataError(
            f"{function} yields no batches: steps_per_epoch is for a generator function (batch_size, rng), and arrays "
            "or a tf.data.Dataset have epochs of their own; leave steps_per_epoch out",
            ("dataset", "steps_per_epoch"),
        )
    try:
        inspect.signature(generator).bind(1, None)
    except TypeError as error:
        raise DataError(f"{function}: a generator must take (batch_size, rng): {error}") from None
    return generator
