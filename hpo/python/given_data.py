"""Data from Python as the section `dataset` of an experiment: arrays, tables, pipelines, or what a file would say."""

import os
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, BinaryIO

from hpo.data.known import KNOWN
from hpo.data.python_objects import in_words, plain_array
from hpo.errors import DataError
from hpo.python.keep import keep_object, write_private
from hpo.python.space import plain
from hpo.system.digests import sha256_of
from hpo.system.private_files import private_folder

PARTS = {"train": "train", "test": "test", "validation": "val"}
_SOURCES = {"name", "path", "function"}
_LARGEST = 4 * 2**30
"""The most bytes that are gathered from a pipeline."""
_PIPELINE = (
    "give a function that returns one such pipeline for each part instead: "
    'data=lambda: {"train": ..., "validation": ..., "test": ...}'
)


@dataclass(frozen=True)
class Source:
    """Where the data of an experiment are from."""

    section: dict[str, Any]
    """The keys of the section `dataset`; `function` is completed by the name of the module."""
    functions: Mapping[str, Any] = field(default_factory=dict)
    """A function of the user's that is kept: `data`."""
    files: Mapping[str, tuple[str, str]] = field(default_factory=dict)
    """A file that is kept, and that a function `data` loads: its name and digest."""


@dataclass(frozen=True)
class Parts:
    """The data that a caller gave."""

    data: Any
    test: Any = None
    validation: Any = None
    target: str | Sequence[str] | None = None


def source_of_data(parts: Parts, folder: Path) -> Source:
    """Keeps data in a study's own folder, where they are not in a file or function already.

    Raises:
        DataError: they are of no kind that can be trained on; the message says what is.
    """
    data, target = parts.data, {} if parts.target is None else {"target": plain(parts.target)}
    if isinstance(data, str | Path):
        _alone(parts, f"{data} brings its own parts, or is divided")
        # A file or folder beside the caller; what is written like a dataset's name is one.
        is_path = isinstance(data, Path) or (data not in KNOWN and Path(data).exists())
        return Source({"path" if is_path else "name": str(data), **target})
    if isinstance(data, Mapping) and _SOURCES & data.keys():
        _alone(parts, "a dataset section brings its own parts, or is divided")
        return Source({**plain(data), **target})
    if callable(data) and not hasattr(data, "element_spec"):
        _alone(parts, "a function returns all parts")
        return Source({"function": "data", **target}, {"data": data})
    if (frame := _frame(parts)) is not None:
        return Source({**frame.section, "path": _kept_table(folder, frame.table)})
    if parts.target is not None:
        raise DataError(f"target: {parts.target} names a column of a DataFrame, and data is {in_words(data)}")
    given = {name: _arrays(name, part) for name, part in _named(parts).items()}
    flat = {f"{xy}_{PARTS[name]}": one for name, part in given.items() for xy, one in zip("xy", part, strict=False)}
    if all(len(part) == 2 for part in given.values()) and all(hasattr(one, "dtype") for one in flat.values()):
        return Source({"path": _kept_arrays(folder, flat)})
    return Source({"function": "data"}, files={"data": keep_object(folder, "data", given)})


def _alone(parts: Parts, why: str) -> None:
    for name in ("test", "validation"):
        if getattr(parts, name) is not None:
            raise DataError(f"{name}: is for arrays, and {why}; leave it out")


def _named(parts: Parts) -> dict[str, Any]:
    """The parts by name."""
    data = parts.data
    if isinstance(data, Mapping):
        if "train" not in data:
            raise DataError(f"data: a mapping needs the part train, got: {', '.join(map(str, data)) or 'nothing'}")
        named = dict(data)
    elif (
        isinstance(data, tuple | list) and len(data) == 2 and all(_is_pair(one) for one in data) and parts.test is None
    ):
        named = {"train": data[0], "test": data[1]}
    else:
        named = {"train": data}
    named |= {name: one for name in ("validation", "test") if (one := getattr(parts, name)) is not None}
    if unknown := [str(name) for name in named if name not in PARTS]:
        raise DataError(f"data: unknown parts {', '.join(unknown)}; valid: {', '.join(PARTS)}")
    return named


def _is_pair(one: Any) -> bool:
    """Whether something is (x, y) as `keras.datasets` return it, rather than a list of samples."""
    return isinstance(one, tuple) and len(one) == 2 and all(hasattr(part, "shape") for part in one)


def _arrays(name: str, part: Any) -> tuple[Any, ...]:
    """(x, y), or (x, y, weights), as arrays, or collections of arrays where a part has several inputs or targets."""
    place = "data" if name == "train" else name
    if hasattr(part, "element_spec"):
        return _gathered(place, part)
    if not isinstance(part, tuple | list) or len(part) not in (2, 3):
        hint = "data=(x, y); a pandas DataFrame with target=; a tf.data.Dataset; or a name or file"
        raise DataError(f"{place}: must be (x, y), got {in_words(part)}; {hint}")
    x, y, *weights = part
    found = (_plain(x, f"{place}: x", _samples(y)), _plain(y, f"{place}: y", _samples(x)))
    return (*found, *(_plain(one, f"{place}: weights", _samples(x)) for one in weights))


def _samples(values: Any) -> int | None:
    """How many samples x or y has; None for a list, which may also be one of several inputs or targets."""
    while isinstance(values, Mapping) and values:
        values = next(iter(values.values()))
    listed = isinstance(values, tuple | list) and any(getattr(one, "shape", ()) for one in values)
    return len(values) if hasattr(values, "__len__") and not listed else None


def _plain(values: Any, place: str, samples: int | None = None) -> Any:
    """An array, or a list of arrays where there are several: as many values in each as there are `samples`.

    None stays: where there are several, weights may lack those of a target.
    """
    if values is None:
        return None
    if isinstance(values, Mapping):
        return {name: _plain(one, f"{place} {name}") for name, one in values.items()}
    there = [one for one in values if one is not None] if isinstance(values, tuple | list) else []
    if there and all(hasattr(one, "shape") and len(one.shape) for one in there):
        lengths = {one.shape[0] for one in there}
        if len(lengths) == 1 and (
            min(lengths) > len(values) if samples is None else lengths == {samples} != {len(values)}
        ):
            return [_plain(one, f"{place} {number}") for number, one in enumerate(values)]
    return plain_array(values, place)


def _gathered(place: str, dataset: Any) -> tuple[Any, ...]:
    """The samples of a finite pipeline as arrays, in its order; what it draws at random is then drawn once."""
    import numpy as np

    from hpo.data.function import is_batched

    if int(dataset.cardinality()) == -1:
        raise DataError(f"{place}: the tf.data.Dataset has no end; {_PIPELINE}")
    spec = dataset.element_spec
    if not isinstance(spec, tuple) or len(spec) not in (2, 3):
        raise DataError(f"{place}: the elements of the tf.data.Dataset must be (x, y); {_PIPELINE}")
    batches = dataset if is_batched(dataset) else dataset.batch(256)
    found: list[list[Any]] = [[] for _ in spec]
    size = 0
    for element in batches.as_numpy_iterator():
        for column, values in zip(found, element, strict=True):
            column.append(values)
            size += sum(one.nbytes for one in _leaves(values))
        if size > _LARGEST:
            rule = f"the tf.data.Dataset holds more than {_LARGEST >> 30} GiB, which is too much for arrays"
            raise DataError(f"{place}: {rule}; {_PIPELINE}")
    if not found[0]:
        raise DataError(f"{place}: the tf.data.Dataset has no elements")

    def joined(columns: list[Any]) -> Any:
        if isinstance(columns[0], Mapping):
            return {name: joined([one[name] for one in columns]) for name in columns[0]}
        if isinstance(columns[0], tuple):
            return [joined([one[place] for one in columns]) for place in range(len(columns[0]))]
        return np.concatenate(columns)

    try:
        return tuple(joined(columns) for columns in found)
    except ValueError as error:
        raise DataError(f"{place}: samples of the tf.data.Dataset differ in shape: {error}; pad them") from None


def batch_size_of(dataset: Any) -> int | None:
    """How many samples the first batch of a pipeline has; None for what is no pipeline of batches."""
    from hpo.data.function import is_batched

    if not hasattr(dataset, "element_spec") or not is_batched(dataset):
        return None
    first = next(iter(dataset.take(1).as_numpy_iterator()), None)
    return None if first is None else len(_leaves(first)[0])


def drawn_at_random(parts: Parts) -> bool:
    """Whether a part is a pipeline that shuffles or changes its samples at random, and may differ at each call."""
    inside = parts.data.values() if isinstance(parts.data, Mapping) else (parts.data,)
    return any(_is_random(one) for one in (*inside, parts.test, parts.validation) if hasattr(one, "element_spec"))


def _is_random(dataset: Any) -> bool:
    from hpo.data.tf_data_compat import inputs_of, kind_of, operations_of

    here = kind_of(dataset) in ("Shuffle", "Random") or any("Random" in one for one in operations_of(dataset))
    return here or any(map(_is_random, inputs_of(dataset)))


def _leaves(values: Any) -> list[Any]:
    if isinstance(values, Mapping):
        return [leaf for one in values.values() for leaf in _leaves(one)]
    if isinstance(values, tuple | list):
        return [leaf for one in values for leaf in _leaves(one)]
    return [values]


@dataclass(frozen=True)
class _Frame:
    table: Any
    section: dict[str, Any]


def _frame(parts: Parts) -> _Frame | None:
    """A DataFrame with its target, which may come beside it as (inputs, target)."""
    data = parts.data
    if isinstance(data, tuple | list) and len(data) == 2 and _is_frame(data[0]):
        inputs, y = data
        name = str(getattr(y, "name", None) or (parts.target if isinstance(parts.target, str) else "target"))
        if getattr(y, "ndim", 1) != 1:
            raise DataError("data: of (DataFrame, y), y must be one column")
        if name in map(str, inputs.columns):
            rule = f"x has a column {name} already, which is the name of y"
            raise DataError(f"data: {rule}; drop that column if it is the target, or else rename y")
        data = inputs.reset_index(drop=True).assign(**{name: y.to_numpy() if hasattr(y, "to_numpy") else y})
        parts = Parts(data, parts.test, parts.validation, name)
    if not _is_frame(data):
        return None
    _alone(parts, "a DataFrame is divided by hpo (see the keys test and validation of dataset)")
    columns = [str(name) for name in data.columns]
    wanted = [parts.target] if isinstance(parts.target, str) else list(parts.target or ())
    if not wanted or any(name not in columns for name in wanted):
        got = "nothing" if parts.target is None else repr(parts.target)
        raise DataError(f"target: must name the column to predict, got {got}; columns: {', '.join(columns[:30])}")
    return _Frame(data.set_axis(columns, axis=1), {"target": plain(parts.target)})


def _is_frame(one: Any) -> bool:
    return hasattr(one, "to_parquet") and hasattr(one, "columns")


def _kept_table(folder: Path, table: Any) -> str:
    import pandas as pd

    table = table.reset_index(drop=True)
    for name in table.columns:
        if isinstance(table[name].dtype, pd.CategoricalDtype):
            table[name] = table[name].astype(object)
    try:
        return _kept(folder, "data", ".parquet", lambda out: table.to_parquet(out, index=False))
    except Exception as error:  # pyarrow's, which has several
        if isinstance(error, OSError):
            raise
        raise DataError(f"data: the DataFrame cannot be kept as a Parquet file: {error}") from None


def _kept_arrays(folder: Path, arrays: Mapping[str, Any]) -> str:
    import numpy as np

    return _kept(folder, "data", ".npz", lambda out: np.savez(out, **arrays))


def _kept(folder: Path, name: str, ending: str, write: Callable[[BinaryIO], object]) -> str:
    """Writes a file whose name contains its digest; returns its path. One that is there already stays."""
    private_folder(folder)
    new = folder / f".{name}-{os.getpid()}{ending}"
    write_private(new, write)
    try:
        path = folder / f"{name}-{sha256_of(new)[:16]}{ending}"
        if not path.exists():
            new.replace(path)
        return str(path)
    finally:
        new.unlink(missing_ok=True)
