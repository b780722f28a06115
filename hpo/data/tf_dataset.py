"""One pass over a user's `tf.data.Dataset`, batch by batch: all that must be known of it before training."""

import hashlib
import time
from collections.abc import Generator, Iterable, Iterator
from contextlib import closing
from dataclasses import dataclass
from typing import Any

import numpy as np

from hpo.data.checks import FiniteCheck, check_types
from hpo.data.dataset import Array
from hpo.data.function import is_batched
from hpo.data.infinite_pipelines import ADVICE, is_infinite, may_be_infinite
from hpo.data.python_objects import nested_hint
from hpo.data.scaling import Moments
from hpo.data.source_data import Values
from hpo.errors import DataError
from hpo.system.long_work import notes_while_waiting

_BATCH = 256
# How long a pipeline that may have no end is waited for, seconds.
_PATIENCE = 180.0


@dataclass(frozen=True)
class Survey:
    """What one pass found: targets, sample shape, moments of the features and a digest of the content."""

    y: Values
    shape: tuple[int, ...]
    dtype: np.dtype[Any]
    moments: Moments
    digest: str


def survey(dataset: Any, place: str) -> Survey:
    """Runs through a pipeline once; only its targets are kept in memory.

    The digest is the same for any order and any batching of the same samples, since pipelines shuffle.

    Raises:
        DataError: it does not yield (x, y), has no end or no samples, raises, or yields NaN, infinite values,
            or samples of different shapes.
    """
    with closing(_in_time(dataset, place)) as batches:
        return _survey(batches, place)


def _survey(batches: Iterable[tuple[Array, Array]], place: str) -> Survey:
    moments, checks, targets = None, [FiniteCheck(f"{place} {xy}") for xy in "xy"], []
    shape: tuple[int, ...] = ()
    kinds, content, dtype = "", 0, np.dtype(np.float32)
    for x, y in batches:
        check_types(Values(x, f"{place} x"), Values(y, f"{place} y"))
        if len(x) != len(y):
            raise DataError(f"{place}: a batch must have as many samples as labels, got {len(x)} and {len(y)}")
        shape = shape or x.shape[1:]
        if x.shape[1:] != shape:
            raise DataError(f"{place}: all samples must have one shape, got {shape} and {x.shape[1:]}")
        for check, array in zip(checks, (x, y), strict=True):
            check.update(array)
        if not any(check.bad for check in checks):
            moments = moments or Moments(shape)
            moments.update(x)
        dtype = x.dtype
        kinds = f"{x.dtype.str}{shape}{y.dtype.str}{y.shape[1:]}"
        content = (content + _row_hashes(x, y)) % 2**256
        targets.append(y)
    for check in checks:
        check.finish()
    if moments is None:
        raise DataError(f"{place}: must have at least one sample, got none")
    digest = hashlib.sha256(f"{kinds}{checks[0].rows}:{content:x}".encode()).hexdigest()[:32]
    return Survey(Values(np.concatenate(targets), f"{place} y"), shape, dtype, moments, digest)


def _row_hashes(x: Array, y: Array) -> int:
    return sum(
        int.from_bytes(hashlib.sha256(sample.tobytes() + target.tobytes()).digest())
        for sample, target in zip(x, y, strict=True)
    )


def _in_time(dataset: Any, place: str) -> Generator[tuple[Array, Array], None, None]:
    """The batches of a pipeline; says how far it is, and that it has no end where none comes in time."""
    began, samples, found = time.monotonic(), 0, _batches(dataset, place)
    end = _PATIENCE if hasattr(dataset, "cardinality") and may_be_infinite(dataset) else float("inf")
    hint = f"; {ADVICE}" if end == _PATIENCE else ""
    with notes_while_waiting(lambda: f"still reading {place}, {samples} samples, and no end is known{hint}"):
        for x, y in found:
            yield x, y
            samples += len(x)
            if time.monotonic() - began > end:
                raise DataError(
                    f"{place}: must end, and did not after {samples} samples in {end:g} s; {ADVICE}; of one "
                    "that is just long, .apply(tf.data.experimental.assert_cardinality(batches)) says so"
                )


def _batches(dataset: Any, place: str) -> Iterator[tuple[Array, Array]]:
    spec = dataset.element_spec
    shapes = [getattr(one, "shape", None) for one in spec] if isinstance(spec, tuple) else []
    if len(shapes) != 2 or any(shape is None or shape.rank is None for shape in shapes):
        raise DataError(
            f"{place}: must yield pairs (x, y) of tensors whose number of dimensions is known, got {spec}"
            f"{nested_hint(spec)}"
        )
    try:
        if is_infinite(dataset):
            raise DataError(f"{place}: must end, and repeats forever; leave out .repeat(); {ADVICE}")
        yield from (dataset if is_batched(dataset) else dataset.batch(_BATCH)).as_numpy_iterator()
    except DataError as error:
        raise error if str(error).startswith(place) else DataError(f"{place}: {error}") from None
    except Exception as error:  # whatever the user's own code in the pipeline raises
        raise DataError(f"{place}: raised {type(error).__name__}: {error}") from error
