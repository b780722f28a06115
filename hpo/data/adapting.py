"""Keras's preprocessing layers, adapted on the training part: once for all trials that want the same layer."""

import hashlib
import json
import tempfile
import warnings
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from contextvars import ContextVar
from pathlib import Path
from typing import Any

from hpo.data.mapped import Mapped
from hpo.data.several import is_text
from hpo.errors import ModelError, nearest

# A `hpo.data.dataset.Dataset`, whose module imports this one.
Dataset = Any
_FOLDER = "adapted"
_BATCH = 1024
_CURRENT: ContextVar[tuple[Dataset, Path | None] | None] = ContextVar("adapting", default=None)


@contextmanager
def adapting(dataset: Dataset, folder: Path | None = None) -> Iterator[None]:
    """Lets the code within adapt layers on a dataset; what was adapted is kept in the folder of the prepared one."""
    token = _CURRENT.set((dataset, folder))
    try:
        yield
    finally:
        _CURRENT.reset(token)


def adapted(layer: Any, name: str | None = None) -> Any:
    """A layer adapted on the training part, or one of the same configuration that was.

    Args:
        layer: with a method `adapt`: a TextVectorization, StringLookup, Normalization and such, or a FeatureSpace.
        name: the input on which it is adapted, where there are several; a FeatureSpace is adapted on all.

    Raises:
        ModelError: there is no such input, the layer has nothing to adapt, or nothing is being built.
    """
    current = _CURRENT.get()
    if current is None:
        raise ModelError("dataset.adapt is for a function that builds a model, while it is called for a trial")
    if not hasattr(layer, "adapt"):
        raise ModelError(f"dataset.adapt: needs a layer with a method adapt, got {type(layer).__name__}")
    dataset, folder = current
    _check_name(layer, name, dataset)
    file = _file(layer, name, folder)
    if file is None:
        layer.adapt(_samples(layer, name, dataset))
        return layer
    if not file.exists():
        layer.adapt(_samples(layer, name, dataset))
        _save(layer, _input_of(name, dataset), file)
    return _loaded(layer, file)


def _is_space(layer: Any) -> bool:
    return type(layer).__name__ == "FeatureSpace"


def _check_name(layer: Any, name: str | None, dataset: Dataset) -> None:
    inputs = dataset.info.inputs
    if inputs and not _is_space(layer) and name not in inputs:
        known = nearest(str(name), inputs) if name is not None else f"one of {', '.join(inputs)}"
        raise ModelError(
            f"dataset.adapt: must name the input, as in dataset.adapt(layer, {next(iter(inputs))!r}); {known}"
        )
    if not inputs and name is not None:
        raise ModelError(f"dataset.adapt: {dataset.info.name} has one input, which has no name; leave out {name!r}")


def _file(layer: Any, name: str | None, folder: Path | None) -> Path | None:
    """Where an adapted layer is kept; None where there is no folder, and for one that is not Keras's own in every part.

    Such a layer may fail to load, and its code may change while its configuration does not.
    """
    import keras

    if folder is None:
        return None
    try:
        with warnings.catch_warnings():
            # That of a function without a name, which is not saved here.
            warnings.simplefilter("ignore")
            described = keras.saving.serialize_keras_object(layer) if not _is_space(layer) else layer.get_config()
        if _has_own_parts(described):
            return None
        text = json.dumps([type(layer).__name__, described, name], sort_keys=True)
    except (TypeError, ValueError):
        return None
    return folder / _FOLDER / f"{hashlib.sha256(text.encode()).hexdigest()[:32]}.keras"


def _has_own_parts(described: Any) -> bool:
    """Whether a serialized object has a class or function that is not Keras's."""
    if isinstance(described, Mapping):
        kind, module = described.get("class_name"), described.get("module") or "keras"
        own = kind in ("function", "__lambda__") or described.get("registered_name") or module.split(".")[0] != "keras"
        return bool(kind and own) or _has_own_parts([*described.values()])
    return isinstance(described, list | tuple) and any(_has_own_parts(part) for part in described)


def _samples(layer: Any, name: str | None, dataset: Dataset) -> Any:
    """The training part as the layer will get it: scaled, text as it is."""
    import tensorflow as tf

    x = dataset.training.x
    if isinstance(x, Mapped):
        kind = tf.TensorSpec([None, *x.shape[1:]], tf.float32)
        scaled = lambda: (dataset.info.prepared(x[start : start + _BATCH]) for start in range(0, len(x), _BATCH))  # noqa: E731
        return tf.data.Dataset.from_generator(scaled, output_signature=kind)
    if dataset.stream is not None:
        pipeline = dataset.stream("training", _BATCH)
        return pipeline.map(lambda x, *_: x if name is None else x[_place(name, dataset)])
    x = dataset.info.prepared(dataset.training.x)
    if _is_space(layer):
        tensors = {key: tf.constant(values) for key, values in x.items()}
        return tf.data.Dataset.from_tensor_slices(tensors).batch(_BATCH)
    values = x if name is None else x[_place(name, dataset)]
    return tf.constant(values) if is_text(values) else values


def _place(name: str, dataset: Dataset) -> str | int:
    return list(dataset.info.inputs).index(name) if dataset.info.inputs_listed else name


def _input_of(name: str | None, dataset: Dataset) -> tuple[tuple[int, ...], str]:
    """The shape and the type of what a layer takes."""
    info = dataset.info
    if name is not None:
        return info.inputs[name].shape, info.inputs[name].dtype
    return info.input_shape, "string" if info.is_text else "float32"


def _save(layer: Any, taken: tuple[tuple[int, ...], str], file: Path) -> None:
    import keras

    file.parent.mkdir(exist_ok=True)
    with tempfile.TemporaryDirectory(prefix=".new-", dir=file.parent) as temporary:
        new = Path(temporary) / file.name
        if _is_space(layer):
            layer.save(new)
        else:
            shape, dtype = taken
            keras.Sequential([keras.Input(shape, dtype=dtype), layer]).save(new)
        new.rename(file)


def _loaded(layer: Any, file: Path) -> Any:
    import keras

    found = keras.saving.load_model(file, compile=False)
    return found if _is_space(layer) else found.layers[-1]
