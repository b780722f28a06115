"""Logs a study to MLflow while it runs, as an observer of the coordinator."""

import shlex
from collections.abc import Callable, Iterator, Mapping
from contextlib import AbstractContextManager, contextmanager, suppress
from pathlib import Path
from typing import TYPE_CHECKING, Protocol

from hpo.errors import Interrupted, StoreAway, StudyBusy
from hpo.plan.exported_file import as_yaml
from hpo.statistics.decision import markdown
from hpo.study.read import StudyView, confirming_runs, read_study
from hpo.study.record import TrialRecord, best_trial, count_states
from hpo.system.home import default_storage, default_tracking, home_folder
from hpo.system.signals import Signalled
from hpo.system.versions import versions
from hpo.text.cleaning import markdown as escaped
from hpo.text.urls import masked, missing_database
from hpo.text.values import counts, score, settings_table
from hpo.tracking import Ending, Status, StudyInfo, Tracker
from hpo.tracking.answered import has_answered, note_answer
from hpo.tracking.links import server_address
from hpo.training.messages import EpochDone

if TYPE_CHECKING:
    from hpo.data.dataset import DatasetInfo
    from hpo.plan.plan import Plan


# Seconds without any progress after which the tracker is given up: after the study has ended, and after a signal.
_SECONDS = 60.0
_LAST_SECONDS = 5.0
# Seconds that the first trial waits for a server that has answered before.
_FIRST_SECONDS = 10.0


class MlflowObserver:
    """Passes the coordinator's events on to the tracker."""

    def __init__(self, tracker: Tracker) -> None:
        self._tracker = tracker
        self.waiting = 0
        """How many runs MLflow does not have yet, after the study has ended."""

    def trial_started(self, record: TrialRecord) -> None:
        """A trial's training begins."""
        self._tracker.start_trial(record)

    def epoch_done(self, record: TrialRecord, event: EpochDone) -> None:
        """A trial finished an epoch."""
        self._tracker.epoch(event)

    def trial_ended(self, record: TrialRecord, best: TrialRecord | None) -> None:
        """A trial ended."""
        self._tracker.end_trial(record)

    def trial_paused(self, record: TrialRecord, note: str | None) -> None:
        """A trial paused."""
        self._tracker.pause_trial(record)

    def engine_noted(self, note: str) -> None:
        """Nothing is logged."""

    def trial_silent(self, record: TrialRecord, seconds: float, limit: float | None) -> None:
        """Nothing is logged."""


class Reporter(Protocol):
    """Shows the user how the logging goes."""

    def warn(self, message: str) -> None:
        """Shows a warning."""

    def logging(self) -> AbstractContextManager[Callable[[int], None]]:
        """The time in which the run waits for its logging; yields a function that takes the number of runs left."""


@contextmanager
def tracked(plan: "Plan", info: "DatasetInfo", resume: bool, reporter: Reporter) -> Iterator[MlflowObserver]:
    """Logs a study while it runs or is confirmed.

    First it logs what earlier runs did not log, and at the end the summary and the model. However the block ends, no
    MLflow run is left running: an error ends them as failed, Ctrl-C and other signals as killed.

    A server that has answered to an earlier run from this home folder may be away, even for the whole study: what is to
    be logged is in the study's record, from which the next run or `hpo log` logs it.

    Raises:
        UserError: the tracking store cannot be reached and never was, or it refuses the user.
    """
    name = plan.experiment.name
    view = read_study(plan.storage, name)
    known = [*view.trials, *confirming_runs(plan.storage, name)]
    about = study_info(plan, info, view.links)
    created, known_server = _to_be_created(plan.tracking_uri), has_answered(plan.home, plan.tracking_uri)
    tracker = Tracker.open(
        plan.tracking_uri, plan.home / "artifacts", about, resume=resume, patient=created or known_server,
        warn=reporter.warn,
    )  # fmt: skip
    if not created and tracker.ready(_FIRST_SECONDS if known_server else None):
        note_answer(plan.home, plan.tracking_uri)
    tracker.sync(known)
    observer = MlflowObserver(tracker)
    status: Status | None = "failed"
    try:
        yield observer
        status = "finished"
    except StudyBusy:
        # Another process runs the study by now, and will log how it ends.
        status = None
        raise
    except StoreAway:
        # The store is still away, so the study is not read for a summary.
        tracker.finish(_unread("failed"))
        status = None
        raise
    except (Interrupted, KeyboardInterrupt, Signalled, SystemExit, GeneratorExit):
        status = "interrupted"
        raise
    finally:
        patience = _LAST_SECONDS if status == "interrupted" else _SECONDS
        if status is not None:
            tracker.finish(_ending(plan.storage, name, status))
        if not _wait_for(tracker, reporter, patience):
            observer.waiting = max(1, tracker.left)
            reporter.warn(_what_waits(plan, observer.waiting))


def _ending(storage: str, name: str, status: Status) -> Ending:
    """The end of the study, read from its record; without summary and model if that fails (somebody deleted it)."""
    try:
        return ending_of(read_study(storage, name), status)
    except Exception:  # the user must see the error that ended the study, and the MLflow runs must end all the same
        return _unread(status)


def _unread(status: Status) -> Ending:
    return Ending(status, f"The study ended as {status}; its record could not be read.")


def _wait_for(tracker: Tracker, reporter: Reporter, seconds: float) -> bool:
    """Waits until everything is logged, and returns whether it is.

    In a notebook Ctrl-C only ends the waiting, since the study is done.
    """
    complete = False
    with suppress(KeyboardInterrupt), reporter.logging() as left:
        complete = tracker.close(left, seconds)
    return complete


def _what_waits(plan: "Plan", count: int) -> str:
    """What MLflow does not have yet, and the commands that send it."""
    runs = f"{count} run{'s wait' if count > 1 else ' waits'}"
    return (
        f"{runs} for the MLflow store {masked(plan.tracking_uri)}, and nothing is lost: the study's record has them.\n"
        f"{log_command(plan)} sends them, and so does the same command."
    )


def log_command(plan: "Plan") -> str:
    """The command that logs what MLflow lacks of a study; no password is in it."""
    words = ["hpo", "log", plan.experiment.name]
    if plan.home != home_folder():
        words += ["--home", str(plan.home)]
    if plan.storage != default_storage(plan.home):
        words += ["--storage", masked(plan.storage)]
    if plan.tracking_uri != default_tracking(plan.home):
        words += ["--tracking-uri", server_address(plan.tracking_uri) or masked(plan.tracking_uri)]
    return shlex.join(words)


def _to_be_created(uri: str) -> bool:
    """Whether the store is a database file that does not exist yet, in a folder that does.

    Creating its tables takes seconds, in which the first trials can train already: a new store cannot refuse them.
    """
    database = missing_database(uri)
    return database is not None and database.parent.is_dir()


def study_info(plan: "Plan", info: "DatasetInfo", links: Mapping[str, str]) -> StudyInfo:
    """The information that is logged when a study starts."""
    experiment = plan.experiment
    return StudyInfo(
        name=experiment.name,
        experiment=experiment.name,
        space_hash=plan.space.digest,
        experiment_yaml=plan.files["experiment"],
        space_yaml=plan.files["search_space"],
        dataset=info,
        objective=experiment.objective,
        version=versions()["hpo"],
        links=links,
        varied=[name for name, parameter in plan.space.parameters.items() if parameter.varies],
        fixed={
            "model": plan.space.model,
            "training": experiment.training.model_dump(mode="json"),
            # What the section leaves out, the data decided.
            "dataset": {
                "scaling": info.scaling.method,
                **{key: value for key, value in experiment.dataset.in_effect().items() if value is not None},
            },
            "sampler": experiment.study.sampler.model_dump(mode="json"),
            "pruner": experiment.study.pruner.model_dump(mode="json"),
            "study_seed": experiment.study.seed,
        },
    )


def ending_of(view: StudyView, status: Status) -> Ending:
    """The information that is logged when a study ends, or is logged again."""
    best = best_trial(view.trials, view.objective)
    model = Path(best.model_file) if best and best.model_file and Path(best.model_file).is_file() else None
    return Ending(
        status=status,
        summary=_summary(view, best),
        best=best,
        best_config=as_yaml(view, best) if best else None,
        model_file=model,
        confirmation=view.confirmation,
    )


def _summary(view: StudyView, best: TrialRecord | None) -> str:
    objective = view.objective
    states = counts(count_states(view.trials))
    lines = [f"**{escaped(view.name)}**: {escaped(objective.metric)}, {objective.direction}. Trials: {states}."]
    if view.confirmation is not None:
        lines.append(f"\n### Confirmed\n\n{markdown(view.confirmation, objective)}\n\n### Searched")
    if best is not None:
        lines.append(
            f"\nBest: trial {best.number}, {escaped(objective.metric)} {score(best.value)} "
            f"{escaped(best.reached(objective.metric))}."
        )
        lines += ["", *settings_table(best.params)]
        tests = ", ".join(f"{escaped(name)} {score(value)}" for name, value in best.test.items())
        lines.append(f"\nOn the test part, which chose nothing: {tests or 'not tested'}.")
    return "\n".join(lines)
