"""The training of one model, through all of its phases: what it came to."""

import os
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import keras

from hpo.config.declared import Declared
from hpo.config.score import Score
from hpo.data.dataset import Dataset
from hpo.training.as_built import as_built
from hpo.training.building import compiled_for, made_for
from hpo.training.epoch_callback import Leaving, Watch
from hpo.training.features import features_of
from hpo.training.messages import Job, Line, Started
from hpo.training.model_shapes import size_of
from hpo.training.pausing import Pausing
from hpo.training.phases import stages_of
from hpo.training.testing import Scored
from hpo.training.trainers import trainer_for

_UNTESTED = Scored()


@dataclass(frozen=True)
class Run:
    """What the training of one model came to."""

    dataset: Dataset
    ended_by: Leaving
    declared: Declared | None
    model: keras.Model | None = None
    """At the weights of its best epoch; None where no epoch was finished."""
    best: Score | None = None
    """The objective at the best epoch."""
    tested: Scored = _UNTESTED
    epochs: int = 0
    model_note: str | None = None
    """What the model, once saved, lacks of what it was trained with."""
    watch: Watch | None = None
    """What may still hold its last epoch back."""

    def as_json(self) -> dict[str, Any]:
        """What a checkpoint keeps of a fold that has ended."""
        best = self.best and [self.best.value, self.best.epoch]
        tested = {"scores": dict(self.tested.scores), "note": self.tested.note}
        return {"ended_by": self.ended_by, "best": best, "tested": tested, "epochs": self.epochs}

    @classmethod
    def from_json(cls, kept: Mapping[str, Any], job: Job, dataset: Dataset) -> "Run":
        """The same read again, without its model."""
        best = job.objective.score(*kept["best"]) if kept["best"] else None
        return cls(dataset, kept["ended_by"], None, None, best, Scored(**kept["tested"]), kept["epochs"])


def train_model(job: Job, dataset: Dataset, line: Line, pausing: Pausing, holds_last: bool = False) -> Run:
    """Trains a model of a job from its first phase, or from that of its checkpoint, and tests it.

    `holds_last`: whether its last epoch waits to be sent.
    """
    watch = Watch(job, line, pausing.epoch_ended)
    watch.holds_back = "last" if holds_last else None
    stages, made, is_begun = stages_of(job, pausing.begun), made_for(job, dataset), False
    while True:
        stage = next(stages)
        stage.begin(made)
        features = features_of(stage.job, made, dataset)
        built = compiled_for(stage.job, made, dataset)
        model, trains = built.model, (stage.job, built, dataset)
        if features is not None:
            head = compiled_for(features.job, features.built, features.dataset)
            trains = features.job, head, features.dataset
            watch.best_weights = features.behind(watch.best_weights)
        with stage.restored(model), trainer_for(*trains) as (trainer, note):
            through = pausing.begin(trainer, watch)
            if not is_begun:
                line.emit(
                    Started(
                        job.trial, os.getpid(), size_of(model, dataset.info), built.declared(), note,
                        pausing.epochs_done, pausing.started_over, through, as_built(job, model),
                    )
                )  # fmt: skip
            is_begun, ended_by = True, trainer.fit(watch)
            if ended_by == "epochs" and not stage.is_last and watch.ended is None:
                if features is not None:
                    model.set_weights(features.whole(watch.model.get_weights()))
                    watch.best_weights = features.whole(watch.best_weights)
                # The next phase compiles it anew.
                model.compiled = False
                continue
            if not holds_last:
                watch.send_last()
            if ended_by in ("interrupt", "deadline", "target"):
                # The next run goes on from there; it is written first, since the run waits only seconds for its trials.
                pausing.leave()
            elif ended_by == "epochs":
                pausing.leave(at_end=True)
            declared = built.declared()
            if ended_by == "pause" or watch.best is None:
                return Run(dataset, ended_by, declared)
            tested = trainer.test(watch.best_weights)
            if features is not None:
                watch.best_weights = features.whole(watch.best_weights)
        break
    kept = built.apart() is None
    if kept:
        model.set_weights(watch.best_weights)
    return Run(
        dataset, ended_by, declared, model if kept else None, watch.best, tested, watch.epochs, trainer.model_note,
        watch if holds_last else None,
    )  # fmt: skip
