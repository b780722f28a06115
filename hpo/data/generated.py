"""Data generated without end: fresh batches from the user's generator, and the fixed parts drawn from it once."""

import inspect
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import islice
from pathlib import Path
from typing import Any

import numpy as np

from hpo.config.experiment import DatasetSpec
from hpo.data.checks import check_part
from hpo.data.dataset import Array, Dataset, DatasetInfo, Part, PartName
from hpo.data.function import error_of_users_code, object_at
from hpo.data.python_objects import arrays_of, in_words, weights_of
from hpo.data.several import Arrays, Several, by_name, in_order
from hpo.data.source_data import RawDataset, RawGenerated, RawPart, Values, as_images
from hpo.errors import DataError

_SAMPLE = 1000
"""Samples of the training part, which stands for what is generated: scaling, classes and pictures are taken from it."""

# The first word of a seed says what is drawn: none of these draws shares its random numbers with another.
_PURPOSES: Mapping[PartName, int] = {"training": 1, "validation": 2, "test": 3}
_EPOCH = 4

Batch = tuple[Array, Arrays, Arrays | None]


@dataclass(frozen=True)
class FunctionBatches:
    """The fresh batches of a user's generator function."""

    function: str
    folders: tuple[Path, ...]

    def __call__(self, batch_size: int, seed: Sequence[int]) -> Iterator[Batch]:
        """Batches (x, y, weights or None) of `batch_size` samples, as the function yields them; the same for the same
        seed.

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
        if not isinstance(batch, tuple | list) or len(batch) not in (2, 3):
            raise DataError(f"{self.function}: must yield (x, y) or (x, y, weights) of arrays, got {in_words(batch)}")
        x, given = np.asarray(batch[0]), None if len(batch) == 2 else batch[2]
        y = arrays_of(batch[1], f"{self.function}: y", x, "target")
        weights = None if given is None else weights_of(given, f"{self.function}: weights", x)
        shapes = [one.shape for values in (x, y, weights) if values is not None for one in in_order(values)]
        if x.ndim < 2 or any(shape[:1] != (batch_size,) for shape in shapes):
            raise DataError(
                f"{self.function}: a batch must have batch_size samples and labels, {batch_size}, got shapes "
                f"{' and '.join(map(str, shapes))}"
            )
        return x, y, weights


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
        found = next(raw.batches(int(size), (_PURPOSES[name], seed)))
        for y in in_order(found[1]):
            if y.dtype.kind not in "buif":
                raise DataError(f"{raw.source}: generated labels must be numbers, got {y.dtype}")
        parts[name] = _part(found, f"{raw.source}: {name}", "")
    return RawDataset(raw.source, parts["training"], parts["validation"], parts["test"], batches=raw.batches)


def _part(batch: Batch, place: str, mark: str) -> RawPart:
    """A batch and what messages call it; `mark` stands before the names of its arrays."""
    x, y, weights = batch
    return RawPart(
        Values(x, f"{place}{mark} x"),
        Values(y, f"{place}{mark} y"),
        None if weights is None else Values(weights, f"{place}{mark} weights"),
    )


def batches_of_epoch(dataset: Dataset, batch_size: int, seed: int, epoch: int) -> Iterator[Part]:
    """The batches of an epoch: `steps_per_epoch` of `batch_size` fresh samples, as the fixed parts have them.

    Args:
        dataset: of generated data.
        batch_size: samples of each batch.
        seed: of the trial.
        epoch: its number, from 0.

    Raises:
        DataError: what was generated is not of the kind of the fixed parts.
    """
    assert dataset.batches is not None
    info, fixed = dataset.info, dataset.training
    fresh = dataset.batches(batch_size, (_EPOCH, seed, epoch))
    for batch in islice(fresh, info.steps_per_epoch):
        place = f"{info.source}: epoch {epoch + 1}"
        check_part(_part(batch, place, ":"))
        x, y, weights = batch
        yield Part(
            _as_in_parts(x, fixed.x, place), _targets(y, fixed.y, info, place), _weights(weights, fixed.weights, place)
        )


def _as_in_parts(x: Array, fixed: Array, place: str) -> Array:
    x = as_images(x)
    if x.shape[1:] != fixed.shape[1:] or x.dtype != fixed.dtype:
        raise DataError(
            f"{place}: x must be as in the first batch, {fixed.dtype} of shape {fixed.shape[1:]}, got {x.dtype} of "
            f"shape {x.shape[1:]}"
        )
    return x


def _targets(y: Arrays, fixed: Arrays, info: DatasetInfo, place: str) -> Arrays:
    def one(array: Array, first: Array, name: str) -> Array:
        array = array[:, 0] if array.ndim == 2 and array.shape[1] == 1 and first.ndim == 1 else array
        found = _as_first(array, first, f"{place}: y {name}".strip())
        of = info.of_target(name) if name else info
        if of.classes is not None and not of.one_hot and (found.min() < 0 or found.max() >= of.classes):
            rule = f"labels must be classes 0 to {of.classes - 1}, as in the fixed sample"
            raise DataError(f"{place}: {rule}, got up to {found.max()}")
        return found

    return _each(y, fixed, f"{place}: y", one)


def _weights(weights: Arrays | None, fixed: Arrays | None, place: str) -> Arrays | None:
    if weights is None or fixed is None:
        if weights is not fixed:
            raise DataError(f"{place}: all batches must have weights, or none")
        return None
    place = f"{place}: weights"
    return _each(weights, fixed, place, lambda one, first, name: _as_first(one, first, f"{place} {name}".strip()))


def _each(values: Arrays, fixed: Arrays, place: str, made: Callable[[Array, Array, str], Array]) -> Arrays:
    """What is made of each array and that of the fixed part, in the structure of that."""
    names, first = by_name(values), by_name(fixed)
    if names.keys() != first.keys():
        got, wanted = (", ".join(one or "a single array" for one in each) for each in (names, first))
        raise DataError(f"{place}: must be as in the first batch, {wanted}, got {got}")
    found = {name: made(names[name], one, name) for name, one in first.items()}
    return Several(found, fixed.listed) if isinstance(fixed, Several) else found[""]


def _as_first(array: Array, fixed: Array, place: str) -> Array:
    if array.shape[1:] != fixed.shape[1:]:
        raise DataError(f"{place}: must have the shape of the first batch, {fixed.shape[1:]}, got {array.shape[1:]}")
    return array.astype(fixed.dtype)


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
