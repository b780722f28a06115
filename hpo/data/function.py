"""Datasets from the user's own function, by import path: arrays, or a `tf.data.Dataset` for each part."""

import inspect
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from typing import Any

from hpo.data.arguments import with_arguments
from hpo.data.dataset import PartName
from hpo.data.python_objects import arrays_of, in_words, parts_of, weights_of
from hpo.data.several import Several, in_order
from hpo.data.source_data import RawDataset, RawPart, RawPipelines, Values
from hpo.data.tf_data_compat import inputs_of, kind_of, operations_of
from hpo.errors import DataError, ModelError, nearest
from hpo.system.imports import load_object, place_of
from hpo.system.long_work import notes_while_waiting
from hpo.system.signals import Signalled

_PARTS: Mapping[str, PartName] = {"train": "training", "validation": "validation", "test": "test"}


def read_function(
    function: str, folders: Sequence[Path], arguments: Mapping[str, Any] | None = None
) -> RawDataset | RawPipelines:
    """Calls `package.module:function` with its arguments: by their names, or as one mapping, `data(params)`.

    It returns a mapping with the parts train, test and validation, or ((x_train, y_train), (x_test, y_test)) as
    `keras.datasets` do. A part is x, (x, y) or (x, y, weights), where x and y are an array, or a dict or a list of
    several, and weights an array or, as y, one for each target; or a batched or unbatched `tf.data.Dataset` of these.
    Arrays may leave test and validation to be split off; pipelines, which cannot be split, may not.

    Raises:
        DataError: it cannot be found, raises, or returns something else.
    """
    parts, notes = _call(function, tuple(folders), arguments or {})
    pipelines = [name for name, part in parts.items() if hasattr(part, "element_spec")]
    if not pipelines:
        arrays = {name: _arrays(function, name, part) for name, part in parts.items()}
        return RawDataset(function, arrays["training"], arrays.get("validation"), arrays.get("test"), notes=notes)
    for key, name in _PARTS.items():
        if name not in parts:
            raise DataError(
                f"{function}: a tf.data.Dataset cannot be split, so the parts train, validation and test are "
                f"all required; {key} is missing"
            )
        if name not in pipelines:
            raise DataError(
                f"{function}: all parts must be arrays or all a tf.data.Dataset; {key} is {in_words(parts[name])}"
            )
    return RawPipelines(function, parts, FunctionStream(function, tuple(folders), arguments=dict(arguments or {})))


@dataclass(frozen=True)
class FunctionStream:
    """The pipelines of a user's function, which is called when the first one is asked for."""

    function: str
    folders: tuple[Path, ...]
    steps: int | None = None
    """Batches of each part; all of them where not given."""
    arguments: Mapping[str, Any] = field(default_factory=dict)
    """What the function is called with."""

    @cached_property
    def _parts(self) -> Mapping[PartName, Any]:
        return _call(self.function, self.folders, self.arguments)[0]

    def __call__(self, part: PartName, batch_size: int) -> Any:
        """The `tf.data.Dataset` of a part, its features unscaled; one that the user batched keeps its batches."""
        dataset = self._parts[part]
        batches = dataset if self.batched(part) else dataset.batch(batch_size)
        return batches if self.steps is None else batches.take(self.steps)

    def batched(self, part: PartName) -> bool:
        """Whether the user's pipeline yields batches."""
        return is_batched(self._parts[part])


def apart(element: Any) -> tuple[Any, Any, Any]:
    """The inputs, targets and weights of an element of a pipeline, several as `Several`; None for what it lacks."""
    x, y, weights = (*element, None, None)[:3] if isinstance(element, tuple) else (element, None, None)
    return _several(x, "input"), *(None if one is None else _several(one, "target") for one in (y, weights))


def _several(values: Any, kind: str) -> Any:
    if isinstance(values, Mapping):
        return Several(dict(values))
    if isinstance(values, tuple | list):
        return Several({f"{kind}_{number}": one for number, one in enumerate(values, 1)}, listed=True)
    return values


def is_batched(dataset: Any) -> bool:
    """Whether the elements (x, y) of a `tf.data.Dataset` are batches rather than single samples.

    Batches are what `.batch(n)` and the like make. Where a generator makes the elements, only shapes can tell: those
    of batches begin with the same number of samples, which is not known.

    Raises:
        DataError: shapes of known size, which may be a batch or a sequence with a target for each of its steps.
    """
    inputs, targets, _ = apart(dataset.element_spec)
    # Of several inputs, the one that says most.
    x = max((spec.shape for spec in in_order(inputs)), key=len)
    if targets is None:
        made = _made_in_batches(dataset)
        return len(x) > 0 and x[0] is None if made is None else made
    y = next(in_order(targets)).shape
    if len(x) == 0 or len(y) == 0 or x[0] != y[0]:
        return False
    made = _made_in_batches(dataset)
    if made is None and x[0] is not None and len(x) >= 2:
        raise DataError(
            f"an element of shapes x {tuple(x)} and y {tuple(y)} may be a batch of {x[0]} samples, or one sample with "
            f"{x[0]} targets; end the pipeline with .batch(n), after .unbatch() if these are batches"
        )
    return len(x) >= 2 if made is None else made


def _made_in_batches(dataset: Any) -> bool | None:
    """Whether a pipeline's elements were put together to batches; None where how it was made does not say."""
    kind = kind_of(dataset)
    if ("Batch" in kind and kind != "Unbatch") or kind in ("DenseToRagged", "Tensor"):
        return True
    if kind in ("TensorSlice", "Unbatch", "Window"):
        return False
    if kind in ("FlatMap", "Interleave", "ParallelInterleave", "GroupByWindow", "Generator"):
        return True if any("BatchDataset" in operation for operation in operations_of(dataset)) else None
    made = [_made_in_batches(one) for one in inputs_of(dataset) if kind_of(one) != "Random"]
    known = [one for one in made if one is not None]
    return any(known) if known else None


def object_at(function: str, folders: Sequence[Path]) -> Any:
    """What stands at the import path of a user's function.

    Raises:
        DataError: nothing does, or its module cannot be imported.
    """
    try:
        return load_object(function, folders)
    except ModelError as error:
        raise DataError(str(error)) from error


def error_of_users_code(function: str, folders: Sequence[Path], error: BaseException) -> DataError:
    """What a user's function raised, with the line of the user's code."""
    return DataError(f"{function}: {place_of(error, folders)}: {type(error).__name__}: {error}")


def _call(
    function: str, folders: tuple[Path, ...], arguments: Mapping[str, Any]
) -> tuple[Mapping[PartName, Any], tuple[str, ...]]:
    """The parts that a function returns, and what is to be noted."""
    called = object_at(function, folders)
    if not callable(called):
        raise DataError(f"{function}: must be a function, got {in_words(called)}")
    if inspect.isgeneratorfunction(called):
        raise DataError(
            f"is required: {function} yields batches without end; say how many of them make an epoch",
            ("dataset", "steps_per_epoch"),
        )
    call, whole = with_arguments(function, called, arguments)
    try:
        with notes_while_waiting(lambda: f"still waiting for the data of {function}"):
            returned = call()
    except (KeyboardInterrupt, Signalled, DataError):
        raise
    except BaseException as error:  # whatever the user's own code raises, be it exit()
        raise error_of_users_code(function, folders, error) from error
    # Two arrays are no two parts: they would be x and y of one.
    if isinstance(returned, tuple | list) and len(returned) == 2 and all(map(_is_part, returned)):
        returned = dict(zip(("train", "test"), returned, strict=True))
    if not isinstance(returned, Mapping):
        raise DataError(
            f"{function}: must return a mapping of train, test and validation, or ((x_train, y_train), "
            f"(x_test, y_test)), got {in_words(returned)}"
        )
    for key in returned:
        if key not in _PARTS:
            raise DataError(f"{function}: returned an unknown part {key!r}; {nearest(key, _PARTS)}")
    if "train" not in returned:
        raise DataError(f"{function}: must return a part train, got only: {', '.join(returned) or 'nothing'}")
    unread = None if whole is None else whole.unread()
    parts = {_PARTS[key]: part for key, part in returned.items() if part is not None}
    return parts, () if unread is None else (unread,)


def _is_part(part: Any) -> bool:
    return isinstance(part, tuple | list | Mapping) or hasattr(part, "element_spec")


def _arrays(function: str, name: PartName, part: Any) -> RawPart:
    place = f"{function}: {name}"
    x, y, weights = parts_of(place, part)
    inputs = arrays_of(x, f"{place} x", y)
    return RawPart(
        Values(inputs, f"{place} x"),
        None if y is None else Values(arrays_of(y, f"{place} y", x, "target"), f"{place} y"),
        None if weights is None else Values(weights_of(weights, f"{place} weights", inputs), f"{place} weights"),
    )
