"""The compiled model of a job, with the seeds that its weights and its dropout come from."""

import random
from dataclasses import replace
from pathlib import Path

import keras
import numpy as np

from hpo import models
from hpo.config.named import own_paths
from hpo.data.adapting import adapting
from hpo.data.dataset import Dataset
from hpo.models import Built
from hpo.training.compiled_model import adopt_training
from hpo.training.compiling import compile_model, set_precision
from hpo.training.messages import Job
from hpo.training.phases import params_for


def import_paths_of(job: Job, dataset: Dataset) -> list[str]:
    """Where the user's own code is that the job runs."""
    functions = [getattr(source, "function", None) for source in (dataset.stream, dataset.batches)]
    model = [job.model] if ":" in job.model else []
    return [*model, *own_paths(job.training), *(path for path in functions if path is not None)]


def built_for(job: Job, dataset: Dataset) -> Built:
    """The compiled model of a job."""
    return compiled_for(job, made_for(job, dataset), dataset)


def made_for(job: Job, dataset: Dataset) -> Built:
    """The model of a job as its code returns it, not compiled by hpo."""
    set_precision(job.training)
    _set_seeds(job.seed, foreign=bool(import_paths_of(job, dataset)))
    return uncompiled(job, dataset, Path(job.data))


def uncompiled(job: Job, dataset: Dataset, folder: Path | None = None) -> Built:
    """The same with the precision and the seeds as they are; `folder`: that of the dataset, if it is in one."""
    with adapting(dataset, folder):
        return models.build(job.model, params_for(job), dataset.info, job.import_paths, job.declared)


def compiled_for(job: Job, built: Built, dataset: Dataset) -> Built:
    """A model that was made, compiled as the job's training section says."""
    if built.model.compiled:
        adopt_training(built, job.training)
        return built
    model = compile_model(built.model, job.training, dataset.info, job.plain_loss, job.import_paths)
    return replace(built, model=model)


def _set_seeds(seed: int, foreign: bool) -> None:
    """Seeds Python and NumPy, from which Keras draws the seeds of layers; for the user's own code, TensorFlow too.

    A seed of TensorFlow's has it drop the kernels of all graphs, those that are kept for later trials too.
    """
    if foreign:
        keras.utils.set_random_seed(seed)
        return
    random.seed(seed)
    np.random.seed(seed)
