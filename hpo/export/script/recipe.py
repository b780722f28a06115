"""A configuration as plain Keras code: the lines that build and compile its model, and what it is fed."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Literal

import keras
import numpy as np

from hpo import models
from hpo.data.dataset import Dataset
from hpo.export.script.keras_code import layers_as_code
from hpo.models import keras_tuner
from hpo.system.imports import load_object
from hpo.training.compiling import compile_model, labels_for, optimizer_options
from hpo.training.messages import Job

Labels = Literal["as they are", "one-hot", "numbers"]


@dataclass(frozen=True)
class Compiling:
    """What `model.compile` is given."""

    optimizer: str
    """A class of keras.optimizers."""
    options: Mapping[str, float | bool]
    """Its arguments."""
    loss: str
    """An expression: the name of a loss, or one made with options."""
    metrics: tuple[str, ...]


@dataclass(frozen=True)
class Own:
    """A model from the user's own code."""

    module: str
    name: str
    """Of the function or class in the module."""
    kind: Literal["function", "hp function", "HyperModel class", "HyperModel"]
    """A function (params, dataset) or (hp), a class of HyperModels, or one of them."""
    arguments: Mapping[str, Any]
    """With which a class is called."""
    fits: bool
    """Whether a HyperModel has a `fit` of its own."""


@dataclass(frozen=True)
class Recipe:
    """How a configuration's model is made."""

    layers: tuple[str, ...] | None
    """The layers of a model of hpo's, an expression each; None for the user's own."""
    own: Own | None
    compiling: Compiling | None
    """None where the user's code compiles it."""
    labels: Labels
    """What the loss takes, against what the data have."""


def recipe(job: Job, dataset: Dataset) -> Recipe:
    """Builds the model of a job once, and says how.

    Raises:
        ModelError: the model cannot be found or built.
    """
    keras.utils.set_random_seed(job.seed)
    info = dataset.info
    built = models.build(job.model, job.params, info, job.import_paths, job.declared)
    model, compiling = built.model, None
    if not model.compiled:
        compile_model(model, job.training, info)
        config = model.get_compile_config()
        options = optimizer_options(job.training)
        loss = _loss(config["loss"], job.training.label_smoothing)
        compiling = Compiling(type(model.optimizer).__name__, options, loss, tuple(config["metrics"]))
    known = models.keys(job.model) is not None
    return Recipe(
        layers=tuple(layers_as_code(model)) if known else None,
        own=None if known else _own(job, dataset, built.fit is not None),
        compiling=compiling,
        labels=_labels(model, dataset),
    )


def _loss(config: Any, smoothing: float | None) -> str:
    """The loss of a compile configuration: a name, or a class with label smoothing alone."""
    if isinstance(config, str):
        return f'"{config}"'
    return f"keras.losses.{config['class_name']}(label_smoothing={smoothing})"


def _own(job: Job, dataset: Dataset, fits: bool) -> Own:
    found = load_object(job.model, job.import_paths)
    module, _, name = job.model.partition(":")
    if keras_tuner.hypermodel_of(job.model, found, dataset.info) is None:
        return Own(module, name, "function", {}, fits)
    if not isinstance(found, type):
        return Own(module, name, "HyperModel" if hasattr(found, "build") else "hp function", {}, fits)
    return Own(module, name, "HyperModel class", keras_tuner.arguments(job.model, found, dataset.info), fits)


def _labels(model: keras.Model, dataset: Dataset) -> Labels:
    """Pipelines keep the labels that they have."""
    if dataset.stream is not None:
        return "as they are"
    y = dataset.training.y[:1]
    given = labels_for(model, np.asarray(y), dataset.info)
    if given.ndim == y.ndim:
        return "as they are"
    return "one-hot" if given.ndim > y.ndim else "numbers"
