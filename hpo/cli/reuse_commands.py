"""Commands that use a study's trials again: in MLflow, in another store, in a new study. They hold no logic."""

from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from hpo.cli.options import Assignments, ExperimentFile, Home, Json, Name, Storage, StudyName, TrackingUri

if TYPE_CHECKING:
    from hpo.cli.reuse.extend import Begun, Options


def log(
    study: StudyName,
    uri: TrackingUri = None,
    home: Home = None,
    storage: Storage = None,
    json: Json = False,
) -> None:
    """Logs a whole study to an MLflow server.

    The server may be another one, or the one that the study logged to, if runs are missing there. Runs that are logged
    already stay as they are.
    """
    from hpo.cli.json_output import print_json
    from hpo.cli.reuse.log_again import log_again
    from hpo.cli.reuse_output import logged_json, print_logged
    from hpo.text.console import console

    logged = log_again(study, uri, home=home, storage=storage, console=console(stderr=json))
    print_json(logged_json(logged)) if json else print_logged(console(), logged)


def copy(
    study: StudyName,
    to: Annotated[str, typer.Option(help="SQLAlchemy URL of the other database.", metavar="URL")],
    tracking: Annotated[
        str | None,
        typer.Option("--tracking-uri", help="MLflow store that gets the study's runs. [default: none]"),
    ] = None,
    home: Home = None,
    storage: Storage = None,
    json: Json = False,
) -> None:
    """Copies a study to another database, whole.

    From an SQLite file to a PostgreSQL server, or back. Trials, confirming runs and the decision are copied; models and
    checkpoints stay in the home folder.
    """
    from hpo.cli.json_output import print_json
    from hpo.cli.reuse.copy_study import copy_study
    from hpo.cli.reuse_output import copied_json, print_copied
    from hpo.text.console import console

    copied = copy_study(study, to, home=home, storage=storage, tracking_uri=tracking)
    print_json(copied_json(copied)) if json else print_copied(console(), copied)


def extend(
    study: StudyName,
    experiment: ExperimentFile,
    assignments: Assignments = None,
    name: Name = None,
    home: Home = None,
    storage: Storage = None,
    json: Json = False,
) -> None:
    """Starts a study with edited ranges from an old one.

    Trials of the old study that are within the new ranges are copied, and count as trials of the new one.
    """
    from hpo.cli.reuse.extend import extend as extend_study

    _begin(lambda options: extend_study(study, experiment, options), experiment, assignments, name, home, storage, json)


def warm_start(
    experiment: ExperimentFile,
    source: Annotated[str, typer.Option("--from", help="Name of a study, or folder of a KerasTuner project.")],
    assignments: Assignments = None,
    name: Name = None,
    home: Home = None,
    storage: Storage = None,
    json: Json = False,
) -> None:
    """Starts a study whose sampler learns from earlier trials.

    The trials are those of a study or of a KerasTuner project. They do not count as trials of the new study.
    """
    from hpo.cli.reuse.extend import warm_start as warm_start_study

    _begin(
        lambda options: warm_start_study(experiment, source, options),
        experiment, assignments, name, home, storage, json,
    )  # fmt: skip


def _begin(
    start: "Callable[[Options], Begun]",
    experiment: Path,
    assignments: list[str] | None,
    name: str | None,
    home: Path | None,
    storage: str | None,
    json: bool,
) -> None:
    """Starts a study with past trials, and prints what it has and how to continue."""
    from hpo.cli.json_output import print_json
    from hpo.cli.reuse.extend import Options
    from hpo.cli.reuse_output import begun_json, print_begun
    from hpo.text.console import console

    overrides = [*(assignments or ()), *([f"name={name}"] if name else ())]
    begun = start(Options(overrides, home, storage, console(stderr=json)))
    options = {"--set": assignments or (), "--name": [name], "--home": [home]}
    print_json(begun_json(begun)) if json else print_begun(console(), begun, experiment, options)
