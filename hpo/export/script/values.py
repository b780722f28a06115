"""The values for a script's template: how to read a trial's data, build its model and train it."""

from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import keras
import numpy as np

from hpo import models
from hpo.config.experiment import DatasetSpec, TrainingSpec
from hpo.config.named import plain_choice
from hpo.config.training_rules import has_schedule
from hpo.data.arguments import takes_all, with_arguments
from hpo.data.dataset import Dataset, PartName, class_numbers
from hpo.data.files import find, idx_files
from hpo.data.function import FunctionStream
from hpo.data.image_folder import part_folders
from hpo.data.table_file import is_table
from hpo.errors import UserError
from hpo.export.script.keras_code import layer_as_code, layers_as_code
from hpo.export.script.network_code import application_as_code, by_phase, freezing, phases_as_code, rate_as_code
from hpo.export.script.table_code import table_values
from hpo.export.script.tolerance import tolerance
from hpo.export.script.whole_code import whole_as_code
from hpo.loop.jobs import make_job, sections, variants_of
from hpo.models import application, keras_tuner
from hpo.models.built import Built
from hpo.plan.exported_file import Exported
from hpo.system.imports import load_object
from hpo.text.values import score
from hpo.training.augmentation import layers_of
from hpo.training.class_weights import sample_weights, weights_by_class
from hpo.training.compiled_model import adopt_training
from hpo.training.compiling import compile_model, labels_for, optimizer_options
from hpo.training.crossentropy import Crossentropy, OfLogits
from hpo.training.heads import head_of
from hpo.training.learning_rate import decay_epochs_of
from hpo.training.messages import Job
from hpo.training.phases import params_for, stages_of
from hpo.training.targets import OwnUnitLoss

_SUFFIXES: Mapping[PartName, str] = {"training": "", "validation": "_val", "test": "_test"}


def template_values(exported: Exported, taken: Collection[str]) -> dict[str, Any]:
    """Name in the template -> value. Reads the data and builds the model.

    Args:
        exported: the trial.
        taken: words with a meaning in the script, which cannot be names of users' modules there.

    Raises:
        DataError: the data can no longer be read.
        UserError: its kind of training cannot be written as a plain script.
        ModelError: the model can no longer be built.
    """
    plan = exported.plan
    _, spec = sections(plan, exported.parameters)
    _refuse(spec.validation.folds is not None, "k-fold cross-validation, a model for each fold, makes")
    dataset = variants_of(plan).dataset(spec)
    info = dataset.info
    _refuse(dataset.batches is not None, f"{info.name}: generated data make")
    _refuse(info.series is not None, f"{info.name}: windows over a series make")
    usual = info.task in ("classification", "regression") and not (info.inputs or info.is_text or info.target_shape)
    _refuse(not usual or bool(info.weighted), f"{info.name}: several inputs or targets, text, weights and masks make")
    plan = replace(plan, declared=models.discover(plan.space.model, info, plan.folders))
    job = make_job(plan, exported.parameters, exported.seed, lambda _: Path())
    training = job.training
    keras.utils.set_random_seed(job.seed)
    built = models.build(job.model, params_for(job), info, job.import_paths, job.declared)
    next(stages_of(job)).begin(built)
    made = built.model
    adopted: dict[str, Any] = {}
    compiled = None
    if built.model.compiled:
        adopted = adopt_training(built, training)
    else:
        built = replace(built, model=compile_model(built.model, training, info, job.plain_loss))
        compiled = _compiling(built.model, job, dataset)
    _refuse(bool(built.fit and training.whole_metrics), "metrics of a whole part beside a HyperModel's own fit make")
    _refuse(training.precision not in (None, "float32"), "mixed precision makes")
    _refuse(_has_options(training), "a loss, optimizer, metric or callback of your own, or with options, makes")
    paths = [path for path in (spec.function, job.model, *(training.callbacks or ())) if path and ":" in path]
    own = _own_code(paths, plan.folders, taken)
    return {
        "exported": exported,
        "about": _about(exported),
        "objective": job.objective,
        "training": training,
        "spec": spec,
        "info": info,
        "params": dict(job.params),
        "own": own,
        "own_callbacks": [f"{own['called'][path]}()" for path in training.callbacks or ()],
        "scaled": info.scaling.method != "none",
        "model": _model(job, made, built, dataset, own["called"]),
        "phases": phases_as_code(training, built.model.optimizer, exported.limit),
        "freezing": freezing(made) if training.phases or job.model == "application" else {},
        "compiled": compiled,
        "adopted": adopted,
        "labels": _labels(built.model, dataset),
        "class_weight": _class_weight(training, dataset),
        "whole": whole_as_code(training.whole_metrics, built.model, info),
        "tolerance": tolerance(exported, info),
        **_reading(spec, dataset, plan.folders),
        **_feeding(job, built, dataset),
    }


def _has_options(training: TrainingSpec) -> bool:
    """Whether a part of training has options, or is the user's own; a callback without options may be."""
    named = [training.optimizer, *([] if training.loss is None else [training.loss])]
    callbacks = [value for value in training.callbacks or () if not (isinstance(value, str) and ":" in value)]
    metrics = [spec for spec in training.metrics if spec.kind is None and (spec.is_own or spec.options or spec.log_as)]
    return any(plain_choice(value) is None for value in named) or bool(callbacks or metrics)


def _about(exported: Exported) -> str:
    packages = [f"{name} {exported.versions[name]}" for name in ("keras", "tensorflow") if name in exported.versions]
    made_with = f", with {' and '.join(packages)}" if packages else ""
    return f"In the study it had {exported.plan.experiment.objective.metric} {score(exported.value)}{made_with}."


def _refuse(refused: bool, what: str) -> None:
    if refused:
        raise UserError(f"{what} no plain script; --to best.yaml exports a file that hpo train takes")


def _own_code(paths: Iterable[str], folders: Sequence[Path], taken: Collection[str]) -> dict[str, Any]:
    """The imports of the user's code in the script, its names there, and the folders to search."""
    imports, called, used = [], {}, []
    for path in paths:
        module, _, name = path.partition(":")
        top = module.partition(".")[0]
        found = [folder for folder in folders if (folder / f"{top}.py").exists() or (folder / top).is_dir()][:1]
        alias = "own_" + module.replace(".", "_") if found and top in taken else module
        imports.append(f"import {module}" + (f" as {alias}" if alias != module else ""))
        called[path] = f"{alias}.{name}"
        used += found
    # Each folder is inserted in front, so the last one inserted is searched first.
    searched = [str(folder.absolute()) for folder in folders if folder in used]
    return {"imports": imports, "called": called, "folders": [*reversed(dict.fromkeys(searched))]}


def _reading(spec: DatasetSpec, dataset: Dataset, folders: Sequence[Path]) -> dict[str, Any]:
    """How the data are read, from where, and the suffixes of the parts that they provide: "" for training."""
    info = dataset.info
    drawn = {draw.purpose for draw in info.draws}
    reader, path, files = info.source, None, {}
    if spec.function is not None:
        call, _ = with_arguments(spec.function, load_object(spec.function, folders), spec.arguments or {})
        mapping = dataset.stream is not None or isinstance(call(), Mapping)
        reader = "mapping" if mapping else "pair"
    elif info.source not in ("scikit-learn", "keras.datasets"):
        path = find(spec.path, folders) if spec.path is not None else Path(info.source)
        files = idx_files(path) if path.is_dir() else {}
        reader = "idx" if files else "images" if info.images else "table" if is_table(path) else path.suffix.lower()
    from_files = spec.path is not None or spec.function is not None
    return {
        "reader": reader,
        "function_arguments": _function_arguments(spec, folders),
        "path": path and str(path.absolute()),
        "files": {key: file.name.removesuffix(".gz") for key, file in files.items()},
        "given": [suffix for part, suffix in _SUFFIXES.items() if part not in drawn],
        "image_folders": _image_folders(path) if path is not None and reader == "images" else {},
        "table": table_values(spec, info, path) if path is not None and reader == "table" else {},
        "named_classes": not info.one_hot
        and reader != "images"
        and bool(info.class_names)
        and (bool(info.columns) or from_files),
    }


def _image_folders(path: Path) -> Mapping[str, str]:
    """What stands behind the folder of the data, by the suffix of the part."""
    inside = {_SUFFIXES[part]: folder.name for part, folder in part_folders(path).items() if folder != path}
    return {suffix: f" / {name!r}" for suffix, name in inside.items()} or {"": ""}


def _function_arguments(spec: DatasetSpec, folders: Sequence[Path]) -> str:
    """What a user's function is called with, as code."""
    given = spec.arguments or {}
    if spec.function is None:
        return ""
    if takes_all(load_object(spec.function, folders), given):
        return repr(dict(given))
    return ", ".join(f"{name}={value!r}" for name, value in given.items())


def _feeding(job: Job, built: Built, dataset: Dataset) -> dict[str, Any]:
    """The batches that the model trains on, and the learning rates."""
    training, schedule = job.training, job.training.schedule if has_schedule(job.training) else None
    changes = layers_of(job.augmentation, dataset.info) if job.augmentation is not None else []
    _refuse(bool(built.fit and schedule), "a learning-rate schedule beside a HyperModel's own fit makes")
    _refuse(bool(built.fit and changes), "augmentation beside a HyperModel's own fit makes")
    stream = dataset.stream if isinstance(dataset.stream, FunctionStream) else None
    batched = {part: stream.batched(part) for part in _SUFFIXES} if stream else {}
    return {
        "streamed": stream is not None,
        "batched": batched,
        # A HyperModel's own fit may set a batch size of its own.
        "takes_batch_size": not all(batched.values()) if stream else not built.fit,
        "changes": [layer_as_code(layer) for layer in changes],
        "schedule": schedule,
        # None: all of a phase.
        "decay_epochs": decay_epochs_of(schedule, training.epochs) if schedule and not by_phase(training) else None,
    }


def _model(job: Job, made: keras.Model, built: Built, dataset: Dataset, called: Mapping[str, str]) -> dict[str, Any]:
    if job.model == "application":
        backbone = application.backbone_of(params_for(job), dataset.info, job.import_paths)
        return {"kind": "application", "fits": False, **application_as_code(made, backbone)}
    if models.keys(job.model) is not None:
        return {"kind": "layers", "layers": layers_as_code(built.model), "fits": False}
    found, code = load_object(job.model, job.import_paths), called[job.model]
    if keras_tuner.hypermodel_of(job.model, found, dataset.info) is None:
        kind = "function"
    elif isinstance(found, type):
        kind = "HyperModel"
        code = _call(code, keras_tuner.constructor_arguments(job.model, found, dataset.info))
    else:
        kind = "HyperModel" if hasattr(found, "build") else "function of hp"
    return {"kind": kind, "code": code, "fits": built.fit is not None}


def _compiling(model: keras.Model, job: Job, dataset: Dataset) -> dict[str, Any]:
    """The arguments of `compile` as source, and what scales the targets, if anything does."""
    training, config = job.training, model.get_compile_config()
    optimizer, loss = type(model.optimizer).__name__, config["loss"]
    set_up = {} if isinstance(loss, str) else loss["config"]
    options = {key: set_up[key] for key in ("from_logits", "label_smoothing") if set_up.get(key)}
    rate = {} if training.phases is None else {"learning_rate": rate_as_code(training)}
    found: dict[str, Any] = {
        "optimizer": _call(f"keras.optimizers.{optimizer}", optimizer_options(training), **rate),
        "loss": _call(f"keras.losses.{loss['class_name']}", options) if options else repr(loss),
        "metrics": [repr(one) if isinstance(one, str) else _metric(one, model, dataset) for one in config["metrics"]],
        "targets": None,
    }
    if isinstance(model.loss, OwnUnitLoss):
        factor = model.loss.factor
        layer, of = layer_as_code(model.layers[-1]), model.loss.loss
        found["loss"] = "own_unit_loss"
        found["targets"] = {"factor": factor[0] if len(factor) == 1 else factor, "loss": of, "layer": layer}
    return found


def _metric(metric: Mapping[str, Any], model: keras.Model, dataset: Dataset) -> str:
    """The cross-entropy of the true labels as a metric of Keras, for labels in the form that the loss takes.

    Of logits the accuracy, too.
    """
    if metric["class_name"] == keras.metrics.BinaryAccuracy.__name__:
        return _call("keras.metrics.BinaryAccuracy", {key: metric["config"][key] for key in ("name", "threshold")})
    logits = {"from_logits": True} if metric["class_name"] == OfLogits.__name__ else {}
    inner = metric["config"]["metric"] if logits else metric
    what = f"the metric {inner['config']['name']} of a head without an activation makes"
    _refuse(inner["class_name"] != Crossentropy.__name__, what)
    if head_of(model).units == 1:
        # Keras's own metric wants labels of the shape of the outputs, and those of a script have shape (n,).
        options = "".join(f", {name}={value}" for name, value in logits.items())
        entropy = f"keras.losses.binary_crossentropy(keras.ops.reshape(y, keras.ops.shape(outputs)), outputs{options})"
        return f"keras.metrics.MeanMetricWrapper(lambda y, outputs: {entropy}, name={inner['config']['name']!r})"
    one_hot = _labels(model, dataset) == "one-hot" or (_labels(model, dataset) != "numbers" and dataset.info.one_hot)
    kind = "Categorical" if one_hot else "SparseCategorical"
    return _call(f"keras.metrics.{kind}Crossentropy", {"name": inner["config"]["name"], **logits})


def _call(function: str, arguments: Mapping[str, Any], **code: str) -> str:
    """`code`: arguments that are code already."""
    written = {name: repr(value) for name, value in arguments.items()} | code
    return f"{function}({', '.join(f'{name}={value}' for name, value in written.items())})"


def _labels(model: keras.Model, dataset: Dataset) -> str:
    """How labels are converted from those of the data to those that the loss takes; pipelines keep theirs."""
    if dataset.stream is not None:
        return "as they are"
    y = np.asarray(dataset.training.y[:1])
    difference = labels_for(model, y, dataset.info).ndim - y.ndim
    return "one-hot" if difference > 0 else "numbers" if difference < 0 else "as they are"


def _class_weight(training: TrainingSpec, dataset: Dataset) -> dict[int, float]:
    given, y = training.class_weight, dataset.training.y
    if given is None or dataset.stream is not None:
        return dict(weights_by_class(given, dataset.info) or {})
    numbers, weights = class_numbers(y), sample_weights(given, y, dataset.info)
    assert weights is not None
    return {int(number): round(float(weights[numbers == number][0]), 6) for number in np.unique(numbers)}
