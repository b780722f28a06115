"""Logs a whole study to MLflow from Optuna's record and the stored curves: to another server, or after an outage."""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING

from hpo.errors import UserError

if TYPE_CHECKING:
    from rich.console import Console

    from hpo.study.read import StudyView
    from hpo.study.record import TrialRecord
    from hpo.tracking import Status


@dataclass(frozen=True)
class LoggedAgain:
    """The runs that MLflow has of a study after it was logged again."""

    study: str
    tracking_uri: str
    """The MLflow tracking URI, without its password."""
    trials: int
    """Ended trials, each of which is a run."""
    confirming_runs: int
    repaired: int
    """The number of these runs that were missing or unfinished before."""


def log_again(
    study: str,
    tracking_uri: str | None = None,
    *,
    home: str | Path | None = None,
    storage: str | None = None,
    console: "Console | None" = None,
) -> LoggedAgain:
    """Writes a study with its trials and confirming runs to MLflow; finished runs stay as they are.

    Args:
        study: its name.
        tracking_uri: MLflow tracking URI; HPO_TRACKING_URI, else the home folder's, where not given.
        home: the folder of the store: HPO_HOME or ./mlruns where not given.
        storage: SQLAlchemy URL of the studies, where it is not the home folder's.
        console: where progress is shown; nowhere if not given.

    Raises:
        UserError: no such study, it is being run, or the MLflow store cannot be reached.
        HpoError: the MLflow store failed on the way.
    """
    from rich.progress import Progress

    from hpo.compare.compare import read_studies
    from hpo.data.info_json import info_from_json
    from hpo.loop.mlflow_observer import ending_of, study_info
    from hpo.plan.rebuilt import plan_of_study
    from hpo.storage.lock import sole_coordinator
    from hpo.study.read import confirming_runs, read_study
    from hpo.study.record import lost
    from hpo.system.home import tracking_address
    from hpo.text.urls import masked
    from hpo.tracking.log_study import log_study

    (found,) = read_studies([study], home, storage)
    plan = plan_of_study(found, home=home)
    uri = tracking_address(tracking_uri or plan.tracking_uri, home)
    with (
        sole_coordinator(found.storage, study),
        Progress(console=console, transient=True, disable=_quiet(console)) as bar,
    ):
        view = read_study(found.storage, study)
        if not view.data:
            raise UserError(
                f"study {study} lacks information about its data, since an older hpo began it; "
                "run its experiment once more with hpo run, which adds the information, and then log the study"
            )
        about = replace(study_info(plan, info_from_json(view.data), view.links), version=view.versions["hpo"])
        if began := [record.started for record in view.trials if record.started]:
            about = replace(about, began=min(began))
        # No process runs the study, so a trial that has not ended is lost; the next run would find the same.
        trials = [record if record.paused else lost(record) for record in view.trials]
        confirming = [lost(record) for record in confirming_runs(view.storage, study)]
        records = [*trials, *confirming]
        ends = [record.ended for record in records if record.ended]
        ending = replace(ending_of(view, _status(view, confirming)), ended=max(ends, default=None))
        task = bar.add_task("Runs", total=len(records))
        artifacts = _artifacts(uri, plan.home)
        repaired = log_study(uri, artifacts, about, records, ending, lambda: bar.advance(task))
    return LoggedAgain(study, masked(uri), len(trials), len(confirming), repaired)


def _status(view: "StudyView", confirming: "Sequence[TrialRecord]") -> "Status":
    """How the study ended according to its record. MLflow may have a better status, if it logged the end."""
    from hpo.study.failure import GIVEN_BACK

    latest = {record.origin: record for record in view.trials}
    again = {record.confirms: record for record in confirming if record.confirms}
    if any(record.state == "running" or record.reason in GIVEN_BACK for record in (*latest.values(), *again.values())):
        return "interrupted"
    study = view.experiment.get("study") or {}
    if not (study.get("timeout") or study.get("target")) and len(latest) < (study.get("trials") or 0):
        return "interrupted"
    return "finished" if any(record.state != "failed" for record in view.trials) else "failed"


def _quiet(console: "Console | None") -> bool:
    from hpo.text.console import is_live

    return console is None or not is_live(console)


def _artifacts(uri: str, home: Path) -> Path:
    """The folder of artifacts: beside the database if that is an SQLite file, else in the home folder."""
    from sqlalchemy.engine import make_url

    if uri.startswith("sqlite:"):
        return Path(make_url(uri).database or "").absolute().parent / "artifacts"
    return home / "artifacts"
