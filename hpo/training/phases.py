"""The phases of a training: which layers of a pretrained network train in each, for how long and how fast."""

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, replace
from typing import Any

from hpo.models import Built, InvalidModel
from hpo.models.backbone import Unfrozen, backbones, freeze
from hpo.training.messages import Job

_KNOWN = "application"
# What a trainer sets on a model; the trainer of the next phase sets it anew.
_SET = ("fit", "train_step")


@dataclass(frozen=True)
class Stage:
    """A phase of a job, or all of it where it has none."""

    job: Job
    """With the learning rate of the phase; its epochs are those until the phase ends."""
    unfreeze: Unfrozen | None = None
    """How many layers of the network train; None where the model says it."""
    is_last: bool = True

    def begin(self, made: Built) -> None:
        """Has those layers of the model train that are to, before it is compiled.

        Raises:
            InvalidModel: the model has no network that can be told from the rest, or trains by a way of its own.
        """
        if self.unfreeze is None:
            return
        if made.model.compiled or made.fit is not None:
            how = "comes compiled" if made.model.compiled else "has a fit of its own"
            raise InvalidModel(f"phases: need a model that hpo compiles and trains, and this one {how}", "phases")
        found = backbones(made.model)
        if len(found) != 1:
            raise InvalidModel(
                "phases: need a model of which one layer is a model itself, the pretrained network, and this one has "
                f"{len(found) or 'none'}",
                "phases",
            )
        freeze(found[0], self.unfreeze)

    @contextmanager
    def restored(self, model: Any) -> Iterator[None]:
        """Takes back what the trainer of a phase sets on a model."""
        before = {name: vars(model)[name] for name in _SET if name in vars(model)}
        yield
        if not self.is_last:
            for name in _SET:
                vars(model).pop(name, None)
            vars(model).update(before)


def stages_of(job: Job, begun: int = 0) -> Iterator[Stage]:
    """The phases of a job, from the one on in which its model has reached so many epochs."""
    phases = job.training.phases
    if phases is None:
        yield Stage(job)
        return
    end = 0
    for number, phase in enumerate(phases, start=1):
        begins, end = end, end + phase.epochs
        if begun and end < begun:
            continue
        rate = phase.learning_rate or job.training.learning_rate
        training = job.training.model_copy(update={"epochs": end, "learning_rate": rate})
        yield Stage(replace(job, training=training, begins=begins), phase.unfrozen, number == len(phases))


def params_for(job: Job) -> Mapping[str, Any]:
    """The parameters of a job's model: where phases say what trains, its model begins as the first of them.

    Raises:
        InvalidModel: the configuration says it as well.
    """
    if job.training.phases is None or job.model != _KNOWN:
        return job.params
    if "unfreeze" in job.params:
        rule = "the phases of the training section say which layers train; leave it out"
        raise InvalidModel(f"unfreeze: {rule}", "unfreeze")
    return {**job.params, "unfreeze": job.training.phases[0].unfrozen}
