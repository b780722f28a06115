"""Arguments and options that several commands have."""

from pathlib import Path
from typing import Annotated

import typer

from hpo.cli.completion import experiment_files, study_names

ExperimentFile = Annotated[
    Path, typer.Argument(help="The experiment's YAML file.", metavar="EXPERIMENT", autocompletion=experiment_files)
]
StudyName = Annotated[str, typer.Argument(help="The study's name.", metavar="STUDY", autocompletion=study_names)]
Studies = Annotated[
    list[str], typer.Argument(help="One study or several.", metavar="STUDY...", autocompletion=study_names)
]
Assignments = Annotated[
    list[str] | None,
    typer.Option(
        "--set", help="Set a key of the experiment's file: --set study.trials=10. May be repeated.", metavar="KEY=VALUE"
    ),
]
Home = Annotated[
    Path | None,
    typer.Option(
        help="Folder for all results: studies, MLflow runs, models. [default: HPO_HOME, or ./mlruns]",
        show_default=False,
    ),
]
Storage = Annotated[
    str | None,
    typer.Option(
        help="SQLAlchemy URL of the database of studies. [default: HPO_STORAGE, or optuna.db in the home folder]"
    ),
]
TrackingUri = Annotated[
    str | None,
    typer.Option(
        "--tracking-uri", help="MLflow tracking URI. [default: HPO_TRACKING_URI, or mlflow.db in the home folder]"
    ),
]
Json = Annotated[bool, typer.Option("--json", help="Print the result as one JSON object on stdout.")]
Name = Annotated[str | None, typer.Option(help="Name of the study. [default: `name` in the experiment's file]")]
Wide = Annotated[bool, typer.Option("--wide", help="Show all columns, even if the lines do not fit the window.")]
