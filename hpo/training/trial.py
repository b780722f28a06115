"""One trial from a job to its last event: seed, data, model, epochs, best weights, test score, saved model."""

import gc
import itertools
import math
import os
import random
import threading
import traceback
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import keras
import numpy as np

from hpo import models
from hpo.config.declared import Declared
from hpo.config.named import own_paths
from hpo.config.score import Score, over_folds
from hpo.data import open_prepared
from hpo.data.adapting import adapting
from hpo.data.dataset import Dataset
from hpo.data.shared_folder import fold_folder
from hpo.models import Built
from hpo.training.as_built import as_built
from hpo.training.checkpoint_file import Unusable
from hpo.training.compiled_model import adopt_training
from hpo.training.compiling import compile_model
from hpo.training.epoch_callback import Leaving, Nonfinite, Watch
from hpo.training.failures import one_line, reason_of
from hpo.training.folds import FoldLine
from hpo.training.fresh_process import run_fresh
from hpo.training.messages import EndReason, Failed, Finished, Job, Line, Paused, Started
from hpo.training.model_shapes import size_of
from hpo.training.pausing import Pausing
from hpo.training.saving import Saved, save
from hpo.training.tensors import tensors_of
from hpo.training.testing import Scored, mean_tested
from hpo.training.trainers import trainer_for

# TensorFlow keeps a kernel for each operation and shape that it has met, a quarter of a MiB a trial. They are not
# cleared more often, since those of the graphs that wait for later trials go with them.
_TRIALS_BETWEEN_CLEARINGS = 64
_TRIALS = itertools.count(1)
_UNTESTED = Scored()


def train(job: Job, line: Line, own_process: bool = False) -> None:
    """Trains a job and reports over its line; the last event is Finished or Failed, never an exception.

    `own_process`: whether trials have the process to themselves; see `run_fresh`.
    """
    # Much of what Keras and TensorFlow are told holds for a thread: in one of its own a trial starts from nothing.
    thread = threading.Thread(target=_report, args=(job, line, own_process), name=f"trial-{job.trial}", daemon=True)
    thread.start()
    thread.join()
    # Models refer to themselves, and are not freed otherwise.
    gc.collect()


def _report(job: Job, line: Line, own_process: bool) -> None:
    try:
        if next(_TRIALS) % _TRIALS_BETWEEN_CLEARINGS == 0:
            keras.utils.clear_session()
        dataset = open_prepared(job.data)
        paths = _import_paths(job, dataset)
        line.emit(run_fresh(paths, job.import_paths, own_process, lambda: _train(job, dataset, line, bool(paths))))
    except BaseException as error:  # what the user's code raised, be it exit(), KeyboardInterrupt or its own
        line.emit(Failed(job.trial, reason_of(error), one_line(error, job.import_paths), traceback.format_exc()))


def _import_paths(job: Job, dataset: Dataset) -> list[str]:
    """Where the user's own code is that the job runs."""
    functions = [getattr(source, "function", None) for source in (dataset.stream, dataset.batches)]
    model = [job.model] if ":" in job.model else []
    return [*model, *own_paths(job.training), *(path for path in functions if path is not None)]


def _train(job: Job, dataset: Dataset, line: Line, own_code: bool) -> Finished | Paused:
    with Pausing(job, line, dataset.info, own_code) as pausing:
        try:
            return _trained(job, dataset, pausing)
        except Unusable as error:
            pausing.start_over(str(error))
            return _trained(job, dataset, pausing)


def _trained(job: Job, dataset: Dataset, pausing: Pausing) -> Finished | Paused:
    if dataset.folds:
        return _train_folds(job, dataset, pausing)
    run = _run(job, dataset, pausing, pausing)
    if run.ended_by == "pause":
        return pausing.paused()
    return _finished(job, run, _save(job, run.best, run))


def _finished(job: Job, run: "_Run", saved: Saved) -> Finished:
    assert run.ended_by != "pause"
    tested, best_epoch = run.tested, run.best.epoch if run.best else None
    return Finished(
        job.trial, run.ended_by, best_epoch, tested.scores, saved.file, run.declared,
        test_note=tested.note, model_note=saved.note,
    )  # fmt: skip


def _train_folds(job: Job, dataset: Dataset, pausing: Pausing) -> Finished | Paused:
    """A model for each fold, one after the other, from the same seed; the model of the best fold is saved."""
    runs = [_Run.from_json(kept, job, fold) for kept, fold in zip(pausing.folds.ended, dataset.folds, strict=False)]
    begun, best = len(runs), _best_of(runs)
    for number, fold in list(enumerate(dataset.folds, 1))[begun:]:
        if runs and (reason := pausing.verdict()):
            return _left(job, reason, runs[-1], pausing)
        of_fold = FoldLine(pausing, number, len(dataset.folds), sum(run.epochs for run in runs), number == begun + 1)
        try:
            run = _run(replace(job, data=str(fold_folder(Path(job.data), number))), fold, of_fold, pausing)
        except Nonfinite as error:
            raise Nonfinite(f"{error} of fold {number}") from error
        if run.best is None or run.ended_by not in ("epochs", "early_stopping"):
            return _left(job, run.ended_by, run, pausing)
        if best is None or run.best.better_than(best.best):
            best = run
            pausing.folds.best_weights = run.model.get_weights() if run.model and job.save_to else None
        # Of the others the model is not needed any more.
        runs.append(replace(run, model=None))
        pausing.folds.ended.append(run.as_json())
    return _finished_folds(job, runs, best, pausing)


def _left(job: Job, reason: Leaving, run: "_Run", pausing: Pausing) -> Finished | Paused:
    """The end of a trial whose folds were not all trained."""
    return pausing.paused() if reason == "pause" else Finished(job.trial, reason, None, declared=run.declared)


def _finished_folds(job: Job, runs: Sequence["_Run"], best: "_Run | None", pausing: Pausing) -> Finished:
    scores, epochs = [], 0
    for run in runs:
        assert run.best is not None
        scores.append(replace(run.best, epoch=epochs + (run.best.epoch or 0)))
        epochs += run.epochs
    ended_by: EndReason = "early_stopping" if any(run.ended_by == "early_stopping" for run in runs) else "epochs"
    tested = mean_tested([run.tested for run in runs])
    whole = replace(runs[-1], ended_by=ended_by, best=over_folds(scores), tested=tested)
    weights = pausing.folds.best_weights
    if best is not None and best.model is None and weights is not None:
        # It was trained before the trial paused.
        model = _built(job, best.dataset).model
        if not model.built:
            model(tensors_of(best.dataset.info, best.dataset.validation.x[:1]))
        model.set_weights(weights)
        best = replace(best, model=model)
    return _finished(job, whole, _save(job, whole.best, best))


def _best_of(runs: Sequence["_Run"]) -> "_Run | None":
    """The first of the best."""
    return max(runs, key=lambda run: run.best.merit if run.best else -math.inf, default=None)


@dataclass(frozen=True)
class _Run:
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

    def as_json(self) -> dict[str, Any]:
        """What a checkpoint keeps of a fold that has ended."""
        best = self.best and [self.best.value, self.best.epoch]
        tested = {"scores": dict(self.tested.scores), "note": self.tested.note}
        return {"ended_by": self.ended_by, "best": best, "tested": tested, "epochs": self.epochs}

    @classmethod
    def from_json(cls, kept: Mapping[str, Any], job: Job, dataset: Dataset) -> "_Run":
        """The same read again, without its model."""
        best = job.objective.score(*kept["best"]) if kept["best"] else None
        return cls(dataset, kept["ended_by"], None, None, best, Scored(**kept["tested"]), kept["epochs"])


def _run(job: Job, dataset: Dataset, line: Line, pausing: Pausing) -> _Run:
    built = _built(job, dataset)
    model = built.model
    with trainer_for(job, built, dataset) as (trainer, note):
        watch = Watch(job, line, pausing.epoch_ended)
        through = pausing.begin(trainer, watch)
        line.emit(
            Started(
                job.trial, os.getpid(), size_of(model, dataset.info), built.declared(), note,
                pausing.epochs_done, pausing.started_over, through, as_built(job, model),
            )
        )  # fmt: skip
        ended_by = trainer.fit(watch)
        if ended_by == "interrupt":
            # The next run goes on from there; it is written first, since the run waits only seconds for its trials.
            pausing.leave()
        declared = built.declared()
        if ended_by == "pause" or watch.best is None:
            return _Run(dataset, ended_by, declared)
        tested = trainer.test(watch.best_weights)
    model.set_weights(watch.best_weights)
    return _Run(dataset, ended_by, declared, model, watch.best, tested, watch.epochs, trainer.model_note)


def _built(job: Job, dataset: Dataset) -> Built:
    """The compiled model of a job."""
    _set_seeds(job.seed, foreign=bool(_import_paths(job, dataset)))
    with adapting(dataset, Path(job.data)):
        built = models.build(job.model, job.params, dataset.info, job.import_paths, job.declared)
    if built.model.compiled:
        adopt_training(built, job.training)
    else:
        built = replace(
            built, model=compile_model(built.model, job.training, dataset.info, job.plain_loss, job.import_paths)
        )
    return built


def _set_seeds(seed: int, foreign: bool) -> None:
    """Seeds Python and NumPy, from which Keras draws the seeds of layers; for the user's own code, TensorFlow too.

    A seed of TensorFlow's has it drop the kernels of all graphs, those that are kept for later trials too.
    """
    if foreign:
        keras.utils.set_random_seed(seed)
        return
    random.seed(seed)
    np.random.seed(seed)


def _save(job: Job, score: Score | None, run: _Run | None) -> Saved:
    """Saves the model of a run, where the trial with that score is to leave one."""
    if job.save_to is None or score is None or run is None or run.model is None:
        return Saved()
    if not score.better_than(job.save_if_better_than):
        return Saved()
    saved = save(run.model, run.dataset, Path(job.save_to))
    return saved if saved.note else replace(saved, note=run.model_note)
