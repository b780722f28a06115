"""Saving the model of a trial: with its preprocessing, whole or not at all, and whether it can be loaded again."""

import json
import os
import warnings
import zipfile
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import keras

from hpo.data.dataset import Dataset, DatasetInfo, Scaling
from hpo.errors import ModelError
from hpo.system.private_files import private_folder
from hpo.training.crossentropy import is_own
from hpo.training.failures import one_line
from hpo.training.heads import logits_of
from hpo.training.keras_compat import forgets_options
from hpo.training.model_data import write_info
from hpo.training.table_inputs import OF_COLUMNS, features_of_columns


@dataclass(frozen=True)
class Saved:
    """What the saving of a model came to."""

    file: str | None = None
    """Where it is; None where it is nowhere."""
    note: str | None = None
    """Why it could not be saved, or why its file cannot be loaded as it is."""


def save(model: keras.Model, dataset: Dataset, path: Path) -> Saved:
    """Saves a model. What keeps it from being saved is said and raises nothing: the trial's scores stand."""
    temporary = path.with_name(f"{path.stem}.{os.getpid()}.keras")
    try:
        private_folder(path.parent)
        logits = logits_of(model)
        with_preprocessing(model, dataset.info).save(temporary)
        write_info(temporary, dataset.info, logits)
        note = _why_not_loadable(temporary)
        temporary.replace(path)
    except (Exception, SystemExit) as error:
        return Saved(note=f"cannot be saved: {_at(error)}")
    finally:
        _remove(temporary)
    return Saved(str(path), note)


def _at(error: BaseException) -> str:
    if isinstance(error, OSError) and error.strerror:
        return f"{error.filename}: {error.strerror}" if error.filename else error.strerror
    return one_line(error)


def _remove(path: Path) -> None:
    try:
        path.unlink(missing_ok=True)
    except OSError:
        # In a folder that cannot be entered there is nothing of ours.
        return


def _why_not_loadable(file: Path) -> str | None:
    """Why a saved model cannot be loaded as it is, if so.

    What is Keras's own in every part can be. All else is loaded once, with Keras's own safe mode, which the trial's
    process can do if any can: there the user's code is at hand.
    """
    with zipfile.ZipFile(file) as archive:
        config = json.loads(archive.read("config.json"))
    if all(_is_kerass_own(part) for part in _parts(config)):
        return None
    try:
        with warnings.catch_warnings():
            # That of an optimizer's state, for one, which only a model that trains on would miss.
            warnings.simplefilter("ignore")
            keras.saving.load_model(file, safe_mode=True)
    except (Exception, SystemExit) as raised:
        error: BaseException = raised
        # Keras tells of the model first, and of the part at fault last.
        while (cause := error.__cause__ or error.__context__) is not None:
            error = cause
        reason = one_line(error).partition(" Full object config")[0]
        return f"is saved, but cannot be loaded again: {reason}"
    return None


def _parts(config: Any) -> Iterator[Mapping[str, Any]]:
    """All objects that a configuration names, each by its class and module."""
    if isinstance(config, Mapping):
        if "class_name" in config:
            yield config
        for part in config.values():
            yield from _parts(part)
    elif isinstance(config, list):
        for part in config:
            yield from _parts(part)


def _is_kerass_own(part: Mapping[str, Any]) -> bool:
    # Shapes, tensors and plain functions of Python stand without a module.
    own = str(part.get("module") or "builtins").split(".")[0] in {"keras", "builtins"}
    return own and not part.get("registered_name") and part["class_name"] not in {"Lambda", "__lambda__", "function"}


def _leave_out_own_parts(model: keras.Model, config: dict[str, Any] | None) -> None:
    """Compiles the model once more without metrics of hpo, and with Keras's loss for one of hpo, if it has any.

    Changes the configuration as well.
    """
    changed = {}
    metrics, loss = (config.get("metrics"), config.get("loss")) if config else (None, None)
    if isinstance(metrics, list):
        kept = [one for one in metrics if not (isinstance(one, Mapping) and is_own(one))]
        if len(kept) < len(metrics):
            changed["metrics"] = kept
    if isinstance(loss, Mapping) and is_own(loss):
        # Both have the same value.
        changed["loss"] = loss["config"]["loss"]
    if config and changed:
        config |= changed
        model.compile_from_config(config)


def with_preprocessing(model: keras.Model, info: DatasetInfo) -> keras.Model:
    """The model with what it takes to use it in front: it takes the features as they came, or a table's columns.

    It is compiled as the model was, but without metrics of hpo, and not at all with a loss or metric that the user's
    code alone knows: a file that named one could not be loaded elsewhere, and predictions need none. Nor is it where
    the model inside computes its loss itself: the model around it would evaluate and train otherwise.

    Raises:
        ModelError: the model takes other features than those of the dataset.
    """
    config = model.get_compile_config()
    _leave_out_own_parts(model, config)
    try:
        keras.saving.deserialize_keras_object(config)
    except (TypeError, ValueError):
        model.compiled = False
    scales_loss = isinstance(getattr(model, "optimizer", None), keras.optimizers.LossScaleOptimizer)
    if model.compiled and (scales_loss or forgets_options(model)):
        # Loaded again, it would be compiled with another loss or metric. Keras cannot read what it saves of an
        # optimizer that scales the loss.
        model.compiled = False
    whole = _with_columns(_with_scaling(model, info), info)
    if whole is not model and model.compiled and not _evaluates_itself(model):
        whole.compile_from_config(config)
    return whole


def _evaluates_itself(model: keras.Model) -> bool:
    """Whether a model computes its loss or metrics in its own way, of which a model around it knows nothing."""
    methods = ("test_step", "compute_loss", "compute_metrics")
    return any(getattr(getattr(model, name), "__func__", None) is not getattr(keras.Model, name) for name in methods)


def _with_scaling(model: keras.Model, info: DatasetInfo) -> keras.Model:
    shape = info.input_shape
    try:
        if any(one.scaling.method != "none" for one in info.inputs.values()):
            return _with_scalings(model, info)
        if info.scaling.method == "none":
            return model
        rescale = _rescaling(info.scaling, shape, "scaling")
        return keras.Sequential([keras.Input(shape, dtype=rescale.compute_dtype), rescale, model], name="scaled")
    except ValueError as error:
        shapes = ", ".join(f"{name} {one.shape}" for name, one in info.inputs.items()) or f"shape {shape}"
        rule = f"the scaling cannot be put in front of it, since it does not take samples of {shapes}"
        raise ModelError(f"{rule}: {one_line(error)}") from error


def _rescaling(scaling: Scaling, shape: tuple[int, ...], name: str) -> keras.layers.Layer:
    # Large numbers in tables, timestamps for one, lose in float32 what tells them apart.
    dtype = "float32" if len(shape) >= 3 else "float64"
    factor, offset = scaling.factor.astype(dtype), scaling.offset.astype(dtype)
    return keras.layers.Rescaling(factor, -offset * factor, dtype=dtype, name=name)


def _with_scalings(model: keras.Model, info: DatasetInfo) -> keras.Model:
    """The model behind the scalings of its several inputs, which keep their names."""
    inputs, scaled = dict[str, Any](), dict[str, Any]()
    for number, (name, one) in enumerate(info.inputs.items()):
        layer = _rescaling(one.scaling, one.shape, f"scaling_{number}") if one.scaling.method != "none" else None
        inputs[name] = keras.Input(one.shape, name=name, dtype=layer.compute_dtype if layer else one.dtype)
        scaled[name] = layer(inputs[name]) if layer else inputs[name]
    if info.inputs_listed:
        return keras.Model([*inputs.values()], model([*scaled.values()]), name="scaled")
    return keras.Model(inputs, model(scaled), name="scaled")


def _with_columns(model: keras.Model, info: DatasetInfo) -> keras.Model:
    if not info.by_column:
        return model
    table = features_of_columns(info)
    return keras.Model(table.input, model(table(table.input)), name=OF_COLUMNS)
