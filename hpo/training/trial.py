"""One trial from a job to its last event: seed, data, model, epochs, best weights, test score, saved model."""

import os
import traceback
import warnings
from pathlib import Path

import keras
import tensorflow as tf

from hpo import models
from hpo.data import open_prepared
from hpo.data.dataset import Dataset, DatasetInfo
from hpo.errors import HpoError
from hpo.training.compiling import compile_model
from hpo.training.messages import Failed, FailureReason, Finished, Job, Line, Started
from hpo.training.trainers import make_trainer
from hpo.training.watch import Nonfinite, Watch


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
    trainer, note = make_trainer(job, built, dataset)
    line.emit(Started(job.trial, os.getpid(), _size(model, dataset.info), built.declared(), note))
    watch = Watch(job, line)
    ended_by = trainer.fit(watch)
    declared = built.declared()
    if watch.best_epoch is None:
        return Finished(job.trial, ended_by, None, declared=declared)
    model.set_weights(watch.best_weights)
    return Finished(job.trial, ended_by, watch.best_epoch, trainer.test(), _save(job, watch, model, dataset), declared)


def _size(model: keras.Model, info: DatasetInfo) -> int:
    """Numbers in the model; 0 where its shapes are known once it trains."""
    if isinstance(model, keras.Sequential) and not model.built:
        model.build((None, *info.input_shape))
    return int(model.count_params()) if model.built else 0


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
