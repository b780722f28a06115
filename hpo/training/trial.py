"""One trial from a job to its last event: seed, data, model, epochs, best weights, test score, saved model."""

import math
import os
import traceback
import warnings
from functools import partial
from pathlib import Path
from typing import Any

import keras
import tensorflow as tf

from hpo import models
from hpo.data import open_prepared
from hpo.data.dataset import Dataset, DatasetInfo, PartName
from hpo.errors import HpoError
from hpo.training.compiling import compile_model, labels_for
from hpo.training.messages import EndReason, Failed, FailureReason, Finished, Job, Line, Started
from hpo.training.watch import Nonfinite, Stopped, Watch

# Evaluation has no gradient to keep: larger batches give the same figures sooner.
_EVALUATION_BATCH = 512


def train(job: Job, line: Line) -> None:
    """Trains a job and reports over its line; the last event is Finished or Failed, never an exception."""
    try:
        # Keras keeps names, graphs and seeds of earlier models in the process: a trial starts from none.
        keras.utils.clear_session()
        line.emit(_train(job, line))
    except (Exception, SystemExit) as error:  # SystemExit: the user's code called exit()
        line.emit(Failed(job.trial, _reason(error), _one_line(error), traceback.format_exc()))


def _train(job: Job, line: Line) -> Finished:
    keras.utils.set_random_seed(job.seed)
    dataset = open_prepared(job.data)
    built = models.build(job.model, job.params, dataset.info, job.import_paths, job.declared)
    model = built.model
    if not model.compiled:
        compile_model(model, job.training, dataset.info)
    line.emit(Started(job.trial, os.getpid(), _size(model, dataset.info), built.declared()))
    watch = Watch(job, line)
    ended_by = _fit(job, built, dataset, watch)
    declared = built.declared()
    if watch.best_epoch is None:
        return Finished(job.trial, ended_by, None, declared=declared)
    model.set_weights(watch.best_weights)
    test = _test(model, dataset, job.training.batch_size)
    return Finished(job.trial, ended_by, watch.best_epoch, test, _save(job, watch, model, dataset), declared)


def _size(model: keras.Model, info: DatasetInfo) -> int:
    """Numbers in the model; 0 where its shapes are known once it trains."""
    if isinstance(model, keras.Sequential) and not model.built:
        model.build((None, *info.input_shape))
    return int(model.count_params()) if model.built else 0


def _fit(job: Job, built: models.Built, dataset: Dataset, watch: Watch) -> EndReason:
    arguments: dict[str, Any] = {"epochs": job.training.epochs, "verbose": 0, "callbacks": [watch]}
    if dataset.stream is None:
        x, y = _arrays(built.model, dataset, "training")
        arguments["validation_data"] = _arrays(built.model, dataset, "validation")
        sizes: dict[str, Any] = {"batch_size": job.training.batch_size, "validation_batch_size": _EVALUATION_BATCH}
    else:
        x, y = _pipeline(dataset, "training", job.training.batch_size), None
        arguments["validation_data"] = _pipeline(dataset, "validation", job.training.batch_size)
        sizes = {"shuffle": False}  # the pipeline's own concern
    # Defaults rather than arguments, since a HyperModel's own fit may pass sizes of its own.
    built.model.fit = partial(built.model.fit, **sizes)
    try:
        if built.fit is None:
            built.model.fit(x, y, **arguments)
        else:
            built.fit(built.model, x, y, **arguments)
    except Stopped as stopped:
        return stopped.reason
    return watch.ended or "epochs"


def _arrays(model: keras.Model, dataset: Dataset, name: PartName) -> tuple[Any, Any]:
    part = dataset.part(name)
    return dataset.info.scaling.apply(part.x), labels_for(model, part.y, dataset.info)


def _pipeline(dataset: Dataset, name: PartName, batch_size: int) -> Any:
    """The user's own `tf.data` pipeline of a part, scaled."""
    assert dataset.stream is not None
    pipeline, scaling = dataset.stream(name, batch_size), dataset.info.scaling
    if scaling.method == "none":
        return pipeline

    def scale(x: Any, y: Any) -> tuple[Any, Any]:
        return (tf.cast(x, tf.float32) - scaling.offset) * scaling.factor, y

    return pipeline.map(scale, num_parallel_calls=1)


def _test(model: keras.Model, dataset: Dataset, batch_size: int) -> dict[str, float]:
    """Loss and metrics on the test part.

    A figure that is not finite is left out, and does not fail the trial: the test part never chooses.
    """
    if dataset.stream is None:
        x, y = _arrays(model, dataset, "test")
        scores = model.evaluate(x, y, batch_size=_EVALUATION_BATCH, verbose=0, return_dict=True)
    else:
        scores = model.evaluate(_pipeline(dataset, "test", batch_size), verbose=0, return_dict=True)
    return {name: float(score) for name, score in scores.items() if math.isfinite(float(score))}


def _save(job: Job, watch: Watch, model: keras.Model, dataset: Dataset) -> str | None:
    if job.save_to is None or watch.best is None:
        return None
    if not job.objective.better(watch.best, job.save_if_better_than):
        return None
    path = Path(job.save_to)
    path.parent.mkdir(parents=True, exist_ok=True)
    temporary = path.with_name(f"{path.stem}.{os.getpid()}.keras")
    try:
        with_scaling(model, dataset).save(temporary)
        temporary.replace(path)
    except Exception as error:
        # The scores stand, whether or not the user's own layers can be written.
        warnings.warn(f"the model of trial {job.trial} cannot be saved: {_one_line(error)}", stacklevel=2)
        return None
    finally:
        temporary.unlink(missing_ok=True)
    return str(path)


def with_scaling(model: keras.Model, dataset: Dataset) -> keras.Model:
    """The model with the dataset's scaling in front: it takes the features as they came.

    It is compiled as the model was, unless with a loss or metric that the user's code alone knows: a file that
    named one could not be loaded elsewhere, and predictions need none.
    """
    scaling, config = dataset.info.scaling, model.get_compile_config()
    try:
        keras.saving.deserialize_keras_object(config)
    except (TypeError, ValueError):
        model.compiled = False
    if scaling.method == "none":
        return model
    offset = -scaling.offset * scaling.factor
    rescale = keras.layers.Rescaling(scaling.factor.tolist(), offset.tolist(), name="scaling")
    whole = keras.Sequential([keras.Input(dataset.info.input_shape), rescale, model], name="scaled")
    if model.compiled:
        whole.compile_from_config(config)
    return whole


def _reason(error: BaseException) -> FailureReason:
    if isinstance(error, Nonfinite):
        return "nonfinite"
    if isinstance(error, models.InvalidModel):
        return "invalid"
    if isinstance(error, MemoryError | tf.errors.ResourceExhaustedError):
        return "out_of_memory"
    return "error"


def _one_line(error: BaseException) -> str:
    lines = [line.strip() for line in str(error).splitlines() if line.strip()]
    if isinstance(error, tf.errors.OpError):
        # TensorFlow says what went wrong below the trace of its graph.
        trace = [number for number, line in enumerate(lines) if line.startswith('File "')]
        lines = lines[trace[-1] + 1 :] if trace else lines
    first = lines[0] if lines else ""
    if isinstance(error, Nonfinite | HpoError):
        return first
    return f"{type(error).__name__}: {first}" if first else type(error).__name__
