"""One way to train what a record asks for; and a study, from its plan until its budget is spent."""

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from typing import TYPE_CHECKING

from hpo.config.score import Score
from hpo.loop.coordinator import Budget, Coordinator, Ending, Observer
from hpo.loop.definition import definition_of
from hpo.loop.jobs import Jobs, Prepared, SaveTo
from hpo.loop.models_folder import ModelsFolder
from hpo.loop.record import Record
from hpo.plan.plan import Plan
from hpo.storage.database import Warn
from hpo.storage.lock import sole_coordinator
from hpo.study.open import discarded_if_unused, open_study
from hpo.study.record import TrialRecord
from hpo.study.study import Study

if TYPE_CHECKING:
    from hpo.data.dataset import DatasetInfo


@contextmanager
def opened(plan: Plan, info: "DatasetInfo", warn: Warn | None = None) -> Iterator[Study]:
    """The plan's study for its one coordinator: its lock is held, and what a killed run left running has failed.

    A study in which no trial was begun by the end of the block is taken out of the store again, if an error ends it.

    Raises:
        StudyBusy: another process runs it.
        StudyMismatch: it was defined otherwise.
        StoreAway: its store is away, for longer than it is waited for.
    """
    spec, name = plan.experiment.study, plan.experiment.name
    with sole_coordinator(plan.storage, name, warn) as lock:
        study = open_study(plan.storage, name, definition_of(plan, info), spec, lock, warn)
        study.recover()
        with discarded_if_unused(study):
            yield study


def run_study(study: Study, ready: Prepared, began: float, observers: Sequence[Observer]) -> Ending:
    """Trains a study's trials until its budget is spent; `began`: when its time did, by `time.monotonic`.

    Raises:
        StudyFailed: too many configurations in a row failed with the same error.
        StoreAway: the store has been away for too long; what it had been told is kept.
        Interrupted: by a signal; trials were given back.
    """
    plan = ready.plan
    spec = plan.experiment.study
    deadline = None if spec.timeout is None else began + spec.timeout
    budget = Budget(plan.trials, deadline, spec.target, spec.trial_timeout)
    models = ModelsFolder(plan.home / "models" / plan.experiment.name, study.trials(), plan.experiment.objective)
    return drive(study, ready, budget, (models, *observers), models.save_to)


def drive(
    record: Record,
    ready: Prepared,
    budget: Budget,
    observers: Sequence[Observer],
    save_to: Callable[[TrialRecord, Score | None], SaveTo | None] = lambda trial, best: None,
) -> Ending:
    """Trains what a record asks for, whatever it is of; `save_to`: see `Jobs`.

    Raises:
        StudyFailed, StoreAway, Interrupted: see `run_study`.
    """
    jobs = Jobs(ready, record, save_to)
    objective = ready.plan.experiment.objective
    return Coordinator(record, ready.engine, objective, budget, jobs.make, tuple(observers)).run()
