"""One trial from a job to its last event: seed, data, model, epochs, best weights, test score, saved model."""

import gc
import itertools
import math
import threading
import traceback
from collections.abc import Callable, Sequence
from dataclasses import replace
from pathlib import Path

import keras

from hpo.config.score import Score, over_folds
from hpo.data import open_prepared
from hpo.data.dataset import Dataset
from hpo.data.other_rows import rows_note
from hpo.data.shared_folder import fold_folder
from hpo.training import gpu_memory
from hpo.training.building import built_for, import_paths_of
from hpo.training.checkpoint_file import Unusable
from hpo.training.epoch_callback import Leaving, Nonfinite
from hpo.training.executions import QuietLine, first_job, later_jobs, mean_score, mean_test
from hpo.training.failures import one_line, reason_of
from hpo.training.folds import FoldLine
from hpo.training.fresh_process import run_fresh
from hpo.training.messages import EndReason, Failed, Finished, Job, Line, Paused
from hpo.training.one_model import Run, train_model
from hpo.training.pausing import Pausing
from hpo.training.saving import Saved, save
from hpo.training.shared_line import SharedLine, TurnLine
from hpo.training.tensors import tensors_of
from hpo.training.testing import Scored, mean_tested
from hpo.training.together import train_as_one

# TensorFlow keeps a kernel for each operation and shape that it has met, a quarter of a MiB a trial. They are not
# cleared more often, since those of the graphs that wait for later trials go with them.
_TRIALS_BETWEEN_CLEARINGS = 64
_TRIALS = itertools.count(1)
_UNTESTED = Scored()


def train(job: Job, line: Line, own_process: bool = False) -> None:
    """Trains a job and reports over its line; the last event is Finished or Failed, never an exception.

    A job that comes with others trains with them; see `Several`.

    `own_process`: whether trials have the process to themselves; see `run_fresh`.
    """
    if job.beside:
        _train_several(job, line, own_process)
    else:
        _train_alone(job, line, own_process)


def _train_alone(job: Job, line: Line, own_process: bool) -> None:
    # Much of what Keras and TensorFlow are told holds for a thread: in one of its own a trial starts from nothing.
    _in_a_thread(job, lambda: _report(job, line, own_process))


def _train_several(job: Job, line: Line, own_process: bool) -> None:
    """Trains jobs as one program, or else one by one."""
    alone = replace(job, beside=())
    jobs = [alone, *(replace(alone, trial=one.trial, seed=one.seed) for one in job.beside)]
    shared, why = SharedLine(job.trial, line), list[str | None]()
    _in_a_thread(job, lambda: why.append(_as_one(jobs, shared, own_process)))
    if why[0] is not None:
        in_turn = TurnLine(job.trial, line, why[0])
        for one in jobs:
            if line.stop_reason():
                in_turn.emit(Failed(one.trial, "interrupted", "handed out, and never begun"))
            else:
                _train_alone(one, in_turn, own_process)
    # The worker is free.
    line.emit(Finished(job.trial, "epochs", None))


def _as_one(jobs: Sequence[Job], line: SharedLine, own_process: bool) -> str | None:
    """Why jobs did not train as one program; None if they did."""
    _clear_sometimes()
    try:
        return run_fresh([], jobs[0].import_paths, own_process, lambda: train_as_one(jobs, line))
    except Exception as error:
        # Whatever is at fault, alone each says of itself.
        return f"its seeds train one by one: no program could be made of them ({type(error).__name__})"


def _in_a_thread(job: Job, run: Callable[[], None]) -> None:
    thread = threading.Thread(target=run, name=f"trial-{job.trial}", daemon=True)
    thread.start()
    thread.join()
    # Models refer to themselves, and are not freed otherwise.
    gc.collect()
    gpu_memory.forget()


def _clear_sometimes() -> None:
    if next(_TRIALS) % _TRIALS_BETWEEN_CLEARINGS == 0:
        keras.utils.clear_session()


def _report(job: Job, line: Line, own_process: bool) -> None:
    try:
        _clear_sometimes()
        dataset = open_prepared(job.data)
        paths = import_paths_of(job, dataset)
        line.emit(run_fresh(paths, job.import_paths, own_process, lambda: _train(job, dataset, line, bool(paths))))
    except BaseException as error:  # what the user's code raised, be it exit(), KeyboardInterrupt or its own
        line.emit(Failed(job.trial, reason_of(error), one_line(error, job.import_paths), traceback.format_exc()))


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
    several = job.training.trainings > 1
    run = train_model(first_job(job), dataset, pausing, pausing, holds_last=several)
    if run.ended_by == "pause":
        return pausing.paused()
    if several and run.ended_by in ("epochs", "early_stopping"):
        return _train_again(job, dataset, pausing, run)
    return _finished(job, run, _save(job, run.best, run))


def _train_again(job: Job, dataset: Dataset, pausing: Pausing, first: Run) -> Finished:
    """The trainings of a configuration from further seeds; the model of the best one is saved."""
    runs, best, ended_by = [first], first, first.ended_by
    for again in later_jobs(job):
        run = train_model(again, dataset, QuietLine(pausing), Pausing(again, pausing, dataset.info, own_code=False))
        if run.best is None or run.ended_by not in ("epochs", "early_stopping"):
            # The trial was asked to stop: those count that were trained to their end. Where it goes on later, it does
            # so before the last epoch of the first training: of the others there are no checkpoints.
            ended_by = run.ended_by
            pausing.leave()
            break
        if run.best.better_than(best.best):
            best = run
        # Of the others the model is not needed any more.
        runs.append(replace(run, model=None))
    assert ended_by != "pause"
    if ended_by == "interrupt":
        # Its last epoch is not sent: with that the trial would have come to its end, and could not go on.
        return Finished(job.trial, ended_by, None)
    mean = mean_score([run.best for run in runs if run.best is not None])
    assert first.watch is not None
    assert first.best is not None
    first.watch.send_last(mean)
    whole = replace(first, ended_by=ended_by, tested=mean_test([run.tested for run in runs]))
    finished = _finished(job, whole, _save(job, replace(first.best, value=mean), best))
    return replace(finished, executions=len(runs))


def _finished(job: Job, run: Run, saved: Saved) -> Finished:
    assert run.ended_by != "pause"
    tested, best_epoch = run.tested, run.best.epoch if run.best else None
    said = [one for one in (tested.note, rows_note(run.dataset.info)) if one is not None]
    return Finished(
        job.trial, run.ended_by, best_epoch, tested.scores, saved.file, run.declared,
        test_note="; ".join(said) or None, model_note=saved.note,
    )  # fmt: skip


def _train_folds(job: Job, dataset: Dataset, pausing: Pausing) -> Finished | Paused:
    """A model for each fold, one after the other, from the same seed; the model of the best fold is saved."""
    runs = [Run.from_json(kept, job, fold) for kept, fold in zip(pausing.folds.ended, dataset.folds, strict=False)]
    begun, best = len(runs), _best_of(runs)
    for number, fold in list(enumerate(dataset.folds, 1))[begun:]:
        if runs and (reason := pausing.verdict()):
            return _left(job, reason, runs[-1], pausing)
        of_fold = FoldLine(pausing, number, len(dataset.folds), sum(run.epochs for run in runs), number == begun + 1)
        try:
            run = train_model(replace(job, data=str(fold_folder(Path(job.data), number))), fold, of_fold, pausing)
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


def _left(job: Job, reason: Leaving, run: Run, pausing: Pausing) -> Finished | Paused:
    """The end of a trial whose folds were not all trained."""
    return pausing.paused() if reason == "pause" else Finished(job.trial, reason, None, declared=run.declared)


def _finished_folds(job: Job, runs: Sequence[Run], best: Run | None, pausing: Pausing) -> Finished:
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
        model = built_for(job, best.dataset).model
        if not model.built:
            model(tensors_of(best.dataset.info, best.dataset.validation.x[:1]))
        model.set_weights(weights)
        best = replace(best, model=model)
    return _finished(job, whole, _save(job, whole.best, best))


def _best_of(runs: Sequence[Run]) -> Run | None:
    """The first of the best."""
    return max(runs, key=lambda run: run.best.merit if run.best else -math.inf, default=None)


def _save(job: Job, score: Score | None, run: Run | None) -> Saved:
    """Saves the model of a run, where the trial with that score is to leave one."""
    if job.save_to is None or score is None or run is None or run.model is None:
        return Saved() if run is None or run.model_note is None else Saved(note=f"not saved: {run.model_note}")
    if not score.better_than(job.save_if_better_than):
        return Saved()
    saved = save(run.model, run.dataset, Path(job.save_to))
    return saved if saved.note else replace(saved, note=run.model_note)
