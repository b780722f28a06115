"""One pass over a user's `tf.data.Dataset`, batch by batch: all that must be known of it before training."""

import hashlib
import time
from collections.abc import Generator, Iterator, Mapping, Sequence
from contextlib import closing
from dataclasses import dataclass
from typing import Any

import numpy as np

from hpo.data.checks import FiniteCheck, check_numbers, check_types
from hpo.data.dataset import Array
from hpo.data.function import apart, is_batched
from hpo.data.infinite_pipelines import ADVICE, is_infinite, may_be_infinite
from hpo.data.scaling import Moments
from hpo.data.several import Several, by_name, in_order, is_text, joined, mapped
from hpo.data.source_data import Values
from hpo.errors import DataError
from hpo.system.long_work import notes_while_waiting

_BATCH = 256
# How long a pipeline that may have no end is waited for, seconds.
_PATIENCE = 180.0


@dataclass(frozen=True)
class Survey:
    """What one pass found: targets, and of each input the shape of a sample, the type, and the moments of numbers."""

    y: Values | None
    shapes: Mapping[str, tuple[int, ...]]
    types: Mapping[str, np.dtype[Any]]
    moments: Mapping[str, Moments]
    listed: bool
    """Whether several inputs came as a list."""
    samples: int
    weights: Values | None
    """Arrays without samples, which show the shapes of weights."""
    digest: str


def survey(dataset: Any, place: str) -> Survey:
    """Runs through a pipeline once; only its targets are kept in memory.

    The digest is the same for any order and any batching of the same samples, since pipelines shuffle.

    Raises:
        DataError: it does not yield x, (x, y) or (x, y, weights), has no end or no samples, raises, or yields NaN,
            infinite values, or samples of different shapes.
    """
    found = _Pass(place)
    with closing(_in_time(dataset, place)) as batches:
        for batch in batches:
            found.update(batch)
    return found.finish()


class _Pass:
    """What the batches of a pipeline showed so far."""

    def __init__(self, place: str) -> None:
        self.place = place
        self.checks: dict[str, FiniteCheck] = {}
        self.moments: dict[str, Moments] = {}
        self.shapes: dict[str, tuple[int, ...]] = {}
        self.types: dict[str, np.dtype[Any]] = {}
        self.targets: list[Any] = []
        self.kinds, self.content, self.samples = "", 0, 0
        self.weights: Values | None = None
        self.listed = False

    def update(self, batch: Any) -> None:
        x, y, weights = apart(batch)
        inputs, targets = Values(x, f"{self.place} x"), None if y is None else Values(y, f"{self.place} y")
        check_types(inputs, targets)
        arrays = [*inputs.each(), *(targets.each() if targets else ())]
        if weights is not None:
            arrays += self._weights(Values(mapped(weights, np.asarray), f"{self.place} weights"))
        first = arrays[0].array
        for values in arrays:
            if len(values.array) != len(first):
                got = f"{len(first)} and {len(values.array)}"
                raise DataError(f"{self.place}: a batch must have as many samples as labels, got {got}")
            self.checks.setdefault(values.place, FiniteCheck(values.place)).update(values.array)
        for name, array in by_name(x).items():
            self._look_at(name, array)
        self.listed = isinstance(x, Several) and x.listed
        self.samples += len(first)
        kept = [values.array for values in arrays]
        self.kinds = "".join(f"{array.dtype.str}{array.shape[1:]}" for array in kept)
        self.content = (self.content + _row_hashes(kept)) % 2**256
        self.targets.append(y)

    def _weights(self, weights: Values) -> list[Values]:
        """The arrays of a batch's weights, which are as those of the batches before."""
        found = list(weights.each())
        for one in found:
            check_numbers(one, self.samples)
        empty = mapped(weights.array, lambda one: one[:0])
        self.weights = self.weights or Values(empty, weights.place)
        for one, first in zip(found, self.weights.each(), strict=True):
            if one.array.shape[1:] != first.array.shape[1:]:
                got = f"{first.array.shape[1:]} and {one.array.shape[1:]}"
                raise DataError(f"{one.place}: all samples must have weights of one shape, got {got}")
        return found

    def _look_at(self, name: str, array: Array) -> None:
        shape = self.shapes.setdefault(name, array.shape[1:])
        if array.shape[1:] != shape:
            raise DataError(f"{self.place}: all samples must have one shape, got {shape} and {array.shape[1:]}")
        self.types[name] = np.dtype(np.str_) if is_text(array) else array.dtype
        if not is_text(array) and not any(check.bad for check in self.checks.values()):
            self.moments.setdefault(name, Moments(shape)).update(array)

    def finish(self) -> Survey:
        for check in self.checks.values():
            check.finish()
        if not self.samples:
            raise DataError(f"{self.place}: must have at least one sample, got none")
        digest = hashlib.sha256(f"{self.kinds}{self.samples}:{self.content:x}".encode()).hexdigest()[:32]
        y = None if self.targets[0] is None else Values(joined(self.targets), f"{self.place} y")
        return Survey(y, self.shapes, self.types, self.moments, self.listed, self.samples, self.weights, digest)


def _row_hashes(arrays: Sequence[Array]) -> int:
    return sum(
        int.from_bytes(hashlib.sha256(b"".join(map(_content, row))).digest()) for row in zip(*arrays, strict=True)
    )


def _content(value: Any) -> bytes:
    """Of a number, an array, or a text, which TensorFlow has as bytes."""
    if isinstance(value, np.ndarray) and value.dtype.kind == "O":
        return b"".join(b"%d:%b" % (len(text), text) for text in value.flat)
    return value if isinstance(value, bytes) else bytes(value.tobytes())


def _in_time(dataset: Any, place: str) -> Generator[Any, None, None]:
    """The batches of a pipeline; says how far it is, and that it has no end where none comes in time."""
    began, samples, found = time.monotonic(), 0, _batches(dataset, place)
    end = _PATIENCE if hasattr(dataset, "cardinality") and may_be_infinite(dataset) else float("inf")
    hint = f"; {ADVICE}" if end == _PATIENCE else ""
    with notes_while_waiting(lambda: f"still reading {place}, {samples} samples, and no end is known{hint}"):
        for batch in found:
            yield batch
            samples += len(next(in_order(apart(batch)[0])))
            if time.monotonic() - began > end:
                raise DataError(
                    f"{place}: must end, and did not after {samples} samples in {end:g} s; {ADVICE}; of one "
                    "that is just long, .apply(tf.data.experimental.assert_cardinality(batches)) says so"
                )


def _batches(dataset: Any, place: str) -> Iterator[Any]:
    spec = dataset.element_spec
    leaves = list(_leaves(spec))
    if not leaves or any(one is None or one.rank is None for one in leaves):
        raise DataError(
            f"{place}: must yield x, (x, y) or (x, y, weights), where x and y are tensors whose number of dimensions "
            f"is known, or dicts or tuples of them, got {spec}"
        )
    try:
        if is_infinite(dataset):
            raise DataError(f"{place}: must end, and repeats forever; leave out .repeat(); {ADVICE}")
        yield from (dataset if is_batched(dataset) else dataset.batch(_BATCH)).as_numpy_iterator()
    except DataError as error:
        raise error if str(error).startswith(place) else DataError(f"{place}: {error}") from None
    except Exception as error:  # whatever the user's own code in the pipeline raises
        raise DataError(f"{place}: raised {type(error).__name__}: {error}") from error


def _leaves(spec: Any) -> Iterator[Any]:
    """The shapes of the tensors of an element; None for what is none."""
    if isinstance(spec, tuple) and len(spec) > 3:
        yield None
        return
    for one in apart(spec):
        for leaf in in_order(one) if one is not None else ():
            yield getattr(leaf, "shape", None)
