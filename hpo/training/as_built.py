"""The settings of a trial as its model, once built and compiled, has them, where its sections say otherwise."""

from dataclasses import replace
from typing import Any

import keras

from hpo.config.resolved import Resolved
from hpo.training.messages import Job
from hpo.training.targets import OwnUnitLoss


def as_built(job: Job, model: keras.Model) -> Resolved | None:
    """The settings of a job as its compiled model has them; None where they are those that were resolved.

    A model that comes compiled has an optimizer of its own in place of the default one (`compiled_model` refuses any
    other that would have no effect), and targets are scaled only where the model undoes that.
    """
    if job.resolved is None:
        return None
    training, dataset = dict(job.resolved.training), dict(job.resolved.dataset)
    optimizer: Any = getattr(model, "optimizer", None)
    if optimizer is not None and "optimizer" not in job.training.model_fields_set:
        # The one that takes the steps, within one that scales the loss.
        training["optimizer"] = type(getattr(optimizer, "inner_optimizer", optimizer)).__name__.lower()
    if dataset.get("target_scaling") not in (None, "none") and not isinstance(model.loss, OwnUnitLoss):
        dataset["target_scaling"] = "none"
    found = replace(job.resolved, training=training, dataset=dataset)
    return None if found == job.resolved else found
