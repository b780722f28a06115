"""Trains the trials of a record; and opens and trains a study, from its plan until its budget is spent."""

import math
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from typing import TYPE_CHECKING

from hpo.config.score import Score
from hpo.engines.groups import Groups
from hpo.loop.budget import Budget, Ending
from hpo.loop.checkpoints_folder import CheckpointsFolder, checkpoints_of
from hpo.loop.coordinator import Coordinator
from hpo.loop.definition import definition_of
from hpo.loop.jobs import Jobs, Prepared, SaveTo
from hpo.loop.models_folder import ModelsFolder
from hpo.loop.observer import Observer
from hpo.loop.record import Record
from hpo.plan.plan import Plan
from hpo.schedule.table import schedule_class
from hpo.storage.database import Warn
from hpo.storage.lock import sole_coordinator
from hpo.study.open import discarded_if_unused, open_study
from hpo.study.record import TrialRecord
from hpo.study.study import Study
from hpo.training import checkpoint_file

if TYPE_CHECKING:
    from hpo.data.dataset import DatasetInfo


@contextmanager
def opened(plan: Plan, info: "DatasetInfo", warn: Warn | None = None) -> Iterator[Study]:
    """The plan's study for its one coordinator: it holds the lock, and marks trials of a killed run as failed.

    If an error ends the block before any trial was begun, the study is deleted from the store again.

    Raises:
        StudyBusy: another process runs it.
        StudyMismatch: it has another definition.
        StoreAway: its store is away for longer than START_SECONDS.
    """
    spec, name = plan.experiment.study, plan.experiment.name
    with sole_coordinator(plan.storage, name, warn) as lock:
        study = open_study(plan.storage, name, definition_of(plan, info), spec, lock, warn)
        study.recover(checkpoint_file.found_in(checkpoints_of(plan)) if spec.checkpoints else ())
        with discarded_if_unused(study):
            yield study


def run_study(study: Study, ready: Prepared, began: float, observers: Sequence[Observer]) -> Ending:
    """Trains a study's trials until its budget is spent; `began`: when its time began, by `time.monotonic`.

    Raises:
        StudyFailed: too many configurations in a row failed with the same error.
        StoreAway: the store has been away for too long; what was written before is kept.
        Interrupted: by a signal; the next run trains the interrupted trials again.
    """
    plan = ready.plan
    spec = plan.experiment.study
    deadline = None if spec.timeout is None else began + spec.timeout
    budget = Budget(plan.trials, deadline, spec.target, spec.trial_timeout)
    folder = plan.home / "models" / plan.experiment.name
    study.scheduled.deadline = math.inf if deadline is None else deadline
    objective, trials, lengthens = plan.experiment.objective, study.trials(), study.definition.lengthens
    models = ModelsFolder(folder, trials, objective, lambda: study.store.drain(0))
    pauses = schedule_class(spec.schedule.name).pauses
    checkpoints = CheckpointsFolder(
        checkpoints_of(plan), spec.checkpoints, objective, trials, study.will_run_again, pauses, lengthens
    )
    try:
        ended = drive(study, ready, budget, (models, checkpoints, *observers), models.save_to, checkpoints)
        if ended == "done" and study.scheduled.is_over:
            return "worthwhile"
        return "timeout" if ended == "done" and study.scheduled.out_of_time else ended
    finally:
        models.drop_beaten()
        checkpoints.close()


def drive(
    record: Record,
    ready: Prepared,
    budget: Budget,
    observers: Sequence[Observer],
    save_to: Callable[[TrialRecord, Score | None], SaveTo | None] = lambda trial, best: None,
    checkpoints: CheckpointsFolder | None = None,
    beside: Callable[[TrialRecord], Sequence[TrialRecord]] = lambda record: (),
) -> Ending:
    """Trains the trials of a record: a study, a confirmation or a retraining.

    `save_to` and `checkpoints`: see `Jobs`; `beside`: see `Coordinator`.

    Raises:
        StudyFailed, StoreAway, Interrupted: see `run_study`.
    """
    jobs = Jobs(ready, record, save_to, checkpoints)
    objective = ready.plan.experiment.objective
    return Coordinator(record, Groups(ready.engine), objective, budget, jobs.make, tuple(observers), beside).run()
