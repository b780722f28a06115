"""What a trial must have in common with a checkpoint to go on from it, so that its figures are what they would be."""

import hashlib
import json
from collections.abc import Mapping, Sequence
from functools import lru_cache
from pathlib import Path
from typing import Any

import tensorflow as tf

from hpo import models
from hpo.config.training_rules import has_schedule
from hpo.data.dataset import DatasetInfo
from hpo.data.info_json import info_as_json
from hpo.system.versions import versions
from hpo.training.fresh_process import users_modules
from hpo.training.learning_rate import decay_epochs_of
from hpo.training.messages import Job

# `unused` follows from the columns and the shape, and earlier versions of hpo did not keep it.
_ONLY_SAID = ("name", "source", "draws", "repeated", "notes", "default_scaling", "unused")
_LATER = ("inputs", "inputs_listed", "targets", "targets_listed", "target_shape", "weighted")
_FIGURES_DEPEND_ON = ("python", "hpo", "tensorflow", "keras", "numpy")


def fingerprint(job: Job, info: DatasetInfo) -> dict[str, Any]:
    """What a job's figures depend on, as JSON values: name -> value; the names are those that messages use.

    The number of epochs is none of it, except where the learning rate depends on it.
    """
    training = job.training.model_dump(mode="json", exclude={"epochs"})
    for later in ("precision", "phases"):
        # A later field: where it says nothing, checkpoints of earlier versions hold.
        if training.get(later) is None:
            training.pop(later, None)
    if job.training.schedule is not None and has_schedule(job.training) and job.training.phases is None:
        # In phases it follows from theirs, which say how long they are.
        training["decay"] = decay_epochs_of(job.training.schedule, job.training.epochs)
    found = {
        "model": job.model,
        "configuration": dict(job.params),
        "seed": job.seed,
        "training section": training,
        "objective": [job.objective.model_dump(mode="json"), job.plain_loss],
        "augmentation": job.augmentation and job.augmentation.model_dump(mode="json"),
        "dataset": _digest(json.dumps(_of_samples(info), sort_keys=True).encode()),
        "number of threads": tf.config.threading.get_intra_op_parallelism_threads(),
        "set of versions": _versions(),
    }
    if files := models.digests(job.model, job.params, job.import_paths):
        found["files of the model"] = files
    plain: dict[str, Any] = json.loads(json.dumps(found, default=str))
    return plain


def _of_samples(info: DatasetInfo) -> dict[str, Any]:
    """What is known of a dataset without what was only said of it, which a study that goes on says otherwise."""
    said = {name: value for name, value in info_as_json(info).items() if name not in _ONLY_SAID}
    # Fields of later versions: where they say nothing, checkpoints of earlier ones hold.
    return {name: value for name, value in said.items() if value or name not in _LATER}


def code_of(folders: Sequence[str]) -> dict[str, str]:
    """The files of the user's code that was imported: path -> SHA-256."""
    files = [getattr(module, "__file__", None) for module in users_modules(folders)]
    return {file: digest for file in files if file and (digest := _digest_of_file(file)) is not None}


def is_changed(code: Mapping[str, str]) -> bool:
    """Whether a file of the user's code is another than it was."""
    return any(_digest_of_file(file) != digest for file, digest in code.items())


def _digest_of_file(file: str) -> str | None:
    try:
        return _digest(Path(file).read_bytes())
    except OSError:
        return None


def _digest(data: bytes) -> str:
    return hashlib.sha256(data).hexdigest()


@lru_cache(maxsize=1)
def _versions() -> Mapping[str, str]:
    found = versions()
    return {name: found[name] for name in _FIGURES_DEPEND_ON if name in found}
