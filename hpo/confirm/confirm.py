"""Confirming a study: trains its finalists again over fresh seeds, to find which to use and how good it is."""

import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING

from hpo.errors import DataError, HpoError, NotFound, UserError

if TYPE_CHECKING:
    from rich.console import Console

    from hpo.config.experiment import Objective
    from hpo.confirm.confirming import Confirming
    from hpo.data.dataset import DatasetInfo
    from hpo.loop.budget import Ending
    from hpo.loop.checkpoints_folder import CheckpointsFolder
    from hpo.loop.jobs import Prepared
    from hpo.plan.plan import Plan
    from hpo.study.confirmation import Confirmation
    from hpo.study.read import StudyView
    from hpo.study.record import TrialRecord


@dataclass(frozen=True, repr=False)
class Confirmed:
    """The result of a call of `confirm`."""

    name: str
    """Name of the study."""
    ended: "Ending"
    """done, or timeout: the same call continues."""
    confirmation: "Confirmation"
    objective: "Objective"
    trained: int
    """The number of runs that this call trained to their end."""
    kept: int
    """The number of runs of earlier calls that have a score; they count too."""
    home: Path
    seconds: float
    """Wall time of this call."""

    def __repr__(self) -> str:
        from hpo.statistics.decision import sentences

        return "\n".join((f"Study {self.name}, confirmed:", *sentences(self.confirmation, self.objective)))


def confirm(  # noqa: PLR0913 - one argument, one option of the command
    study: str,
    finalists: int | Sequence[int] = 5,
    seeds: int = 5,
    *,
    race: bool = True,
    margin: float | None = None,
    splits: bool = False,
    workers: int | None = None,
    timeout: str | float | None = None,
    home: str | Path | None = None,
    storage: str | None = None,
    tracking_uri: str | None = None,
    console: "Console | None" = None,
) -> Confirmed:
    """Trains the finalists of a study again over fresh seeds, or continues that, and chooses one of them.

    Trained runs are kept: later calls with more seeds or other finalists add to them, and the same call again trains
    nothing.

    Args:
        study: its name.
        finalists: how many of the best configurations to train, or the numbers of trials.
        seeds: runs of each finalist, at least 2; all have the same seeds. In a race: the average number of runs.
        race: whether only finalists still in the race get more than the first seeds; see `hpo.statistics.race`.
        margin: the cheapest finalist whose mean is at most this much worse than the best is chosen, in the objective's
            unit; by default the one with the best mean.
        splits: whether each seed draws a split into training and validation, or folds, of its own; the test part stays
            as it is. Such runs are a confirmation of their own, beside that with the study's split.
        workers: runs at a time; by default the experiment's engine.workers.
        timeout: seconds, or `10m`; runs that are not finished by then are trained by the next call.
        home: the folder for everything that the call writes; by default HPO_HOME, or else ./mlruns.
        storage: SQLAlchemy URL of the studies; by default the home folder's.
        tracking_uri: MLflow tracking URI; by default the home folder's.
        console: where progress is shown; by default nowhere.

    Raises:
        UserError: there is no such study or trial, its data have changed, or their split cannot be redrawn; nothing
            was changed.
        StudyFailed: too many runs in a row failed with the same error.
        StoreAway: the store of the study was locked, full or unreachable for too long; the same call continues.
        HpoError: no finalist has two runs with a score.
        Interrupted: Ctrl-C stopped the call; the same call continues.
    """
    from hpo.compare.compare import read_studies
    from hpo.confirm.confirming import Confirming
    from hpo.confirm.owed_runs import Wanted
    from hpo.loop.progress import Progress
    from hpo.plan.rebuilt import plan_of_study
    from hpo.storage.lock import sole_coordinator

    began = time.monotonic()
    if seeds < 2:
        raise UserError(f"seeds: a deviation needs at least 2, got {seeds}")
    if margin is not None and not 0 <= margin < float("inf"):
        raise UserError(f"margin: must be 0 or more, in the unit of the objective; got {margin:g}")
    (view,) = read_studies([study], home, storage)
    options = {"engine.workers": workers, "study.timeout": timeout, "tracking.uri": tracking_uri}
    plan = plan_of_study(view, options, home)
    wanted = Wanted(chosen_finalists(view, finalists), seeds, plan.experiment.study.retries, race, margin, splits)
    deadline = None if timeout is None else began + (plan.experiment.study.timeout or 0.0)
    # Shows warnings before there is a display.
    warn = Progress(console, view.objective, None, None).warn
    with sole_coordinator(view.storage, study, warn) as lock:
        record = Confirming(view.storage, study, wanted, lock, warn)
        record.recover()
        before = record.scored
        ended: Ending = "done"
        try:
            found = None if record.owed else _found(view, record)
            if found is None or found != view.confirmation:
                ended, found = _train(plan, view, record, console, deadline)
        finally:
            record.discard_if_unused()
        if found is None:
            raise HpoError(_too_little(study, record, ended))
        trained, seconds = record.scored - before, time.monotonic() - began
        return Confirmed(study, ended, found, view.objective, trained, before, plan.home, seconds)


def numbers(text: str) -> list[int]:
    """The numbers of trials in a command's option: `3,7,12`.

    Raises:
        UserError: anything but whole numbers and commas.
    """
    try:
        return [int(number) for number in text.split(",")]
    except ValueError:
        raise UserError(f"--trials: must be numbers of trials, as in 3,7,12; got {text!r}") from None


def chosen_finalists(view: "StudyView", which: int | Sequence[int]) -> "list[TrialRecord]":
    """The best `which` distinct configurations, or the trials with the numbers in `which`.

    Raises:
        NotFound: there is no such trial, or none with a score yet.
        UserError: a trial has no score.
    """
    from hpo.study.record import ranked

    if not isinstance(which, int):
        trials = [view.trial(number) for number in dict.fromkeys(which)]
        for trial in trials:
            if trial.score(view.objective) is None:
                rule = "a finalist needs a score"
                raise UserError(f"trial {trial.number} of study {view.name} is {trial.outcome}; {rule}")
        return trials
    distinct: dict[str, TrialRecord] = {}
    for trial in ranked(view.trials, view.objective):
        distinct.setdefault(repr(sorted(trial.params.items())), trial)
    if not distinct:
        raise NotFound(f"study {view.name} has no trial with a score yet")
    return list(distinct.values())[:which]


def _train(
    plan: "Plan", view: "StudyView", record: "Confirming", console: "Console | None", deadline: float | None
) -> "tuple[Ending, Confirmation | None]":
    """Trains the runs that are owed; returns why that ended, and the result, which is stored and logged."""
    from hpo.loop.budget import Budget
    from hpo.loop.driving import drive
    from hpo.loop.jobs import prepared
    from hpo.loop.mlflow_observer import tracked
    from hpo.loop.progress import Opening, Progress

    left = None if deadline is None else max(0.0, deadline - time.monotonic())
    progress = Progress(console, view.objective, record.total, left)
    for warning in _other_versions(view):
        progress.warn(warning)
    budget = Budget(None, deadline, None, plan.experiment.study.trial_timeout)
    with Opening(console) as opening:
        opening.start_workers()
        with prepared(replace(plan, declared=record.declared), max(1, record.owed)) as ready:
            _same_data(view, ready.info)
            _same_files(view, plan)
            if record.splits:
                _check_splits(ready)
            with tracked(plan, ready.info, True, progress) as log:
                opening.close()
                with progress.shown(record.trials()), _checkpoints(plan, view, record) as kept:
                    ended = drive(
                        record, ready, budget, (log, progress, kept), checkpoints=kept, beside=_beside(ready, record)
                    )
                if (found := _found(view, record)) is not None:
                    record.keep(found)
                    record.store.drain()
    return ended, found


@contextmanager
def _checkpoints(plan: "Plan", view: "StudyView", record: "Confirming") -> "Iterator[CheckpointsFolder]":
    """What runs go on from whose worker or coordinator died; those that train as one program begin again."""
    from hpo.loop.checkpoints_folder import CheckpointsFolder, checkpoints_of
    from hpo.study.read import confirming_study

    folder, spec = checkpoints_of(plan).with_name(confirming_study(view.name)), plan.experiment.study.checkpoints
    kept = CheckpointsFolder(folder, spec, view.objective, record.trials(), record.will_run_again, pauses=False)
    try:
        yield kept
    finally:
        kept.close()


def _beside(ready: "Prepared", record: "Confirming") -> "Callable[[TrialRecord], Sequence[TrialRecord]]":
    """What begins the runs that a worker is given together: none where they could not train as one program."""
    from hpo import models

    plan = ready.plan
    one_by_one = models.keys(plan.space.model) is None or plan.experiment.training.callbacks or ready.info.folds
    return lambda run: (
        () if one_by_one or not ready.engine.trains_together else record.beside(run, ready.engine.workers)
    )


def _found(view: "StudyView", record: "Confirming") -> "Confirmation | None":
    found = record.confirmation(view.trials, view.confirmation)
    return None if found is None else found.model_copy(update={"examples": _examples(view)})


def _examples(view: "StudyView") -> "dict[str, int]":
    """The number of validation and of test examples; with folds, those that any fold holds out."""
    sizes, folds = view.data.get("sizes") or {}, view.data.get("folds") or 1
    held_out = folds * sizes.get("validation", 0)
    in_time = any(one.get("method") == "latest" for one in view.data.get("draws", ()) if one["purpose"] == "validation")
    if folds > 1 and not in_time:
        # Folds may differ in size, but together they hold out every example. In the order of time the first are kept.
        held_out = sizes["validation"] + sizes["training"]
    return {name: size for name, size in (("validation", held_out), ("test", sizes.get("test", 0))) if size}


def _other_versions(view: "StudyView") -> "Iterator[str]":
    from hpo.system.versions import versions

    now = versions()
    changed = {name: then for name, then in view.versions.items() if now.get(name) != then}
    if changed:
        lines = ", ".join(f"{name} {then} -> {now.get(name, 'none')}" for name, then in changed.items())
        yield f"other versions than when the study began: {lines}; its scores and these may differ for that reason"


def _same_data(view: "StudyView", info: "DatasetInfo") -> None:
    then, now = view.identity["dataset"]["digest"], info.digest
    if then != now:
        raise UserError(
            f"the data of study {view.name} have changed since: their digest was {then} and is {now}, so new scores "
            "could not be compared with its trials'; restore the data, or run the experiment again with another --name"
        )


def _same_files(view: "StudyView", plan: "Plan") -> None:
    from hpo.loop.definition import files_read

    then = view.identity.get("files", {})
    changed = [name for name, digest in files_read(plan).items() if then.get(name, digest) != digest]
    if changed:
        raise UserError(
            f"{', '.join(changed)} changed since study {view.name} began, so new scores could not be compared with its "
            "trials'; restore it, or run the experiment again with another --name"
        )


def _check_splits(ready: "Prepared") -> None:
    try:
        ready.data.check_redrawn(ready.plan.experiment.dataset.validation_seed + 1)
    except DataError as error:
        raise UserError(f"splits: {error}; confirm without splits") from None


def _too_little(study: str, record: "Confirming", ended: "Ending") -> str:
    if ended == "timeout":
        return f"out of time before any finalist of study {study} had two scores; the same command continues"
    failures = {run.label: run.failure for run in record.trials() if run.failure}
    lines = "\n".join(f"  {label}: {failure}" for label, failure in failures.items())
    return f"no finalist of study {study} has two runs with a score:\n{lines}"
