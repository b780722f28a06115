"""Arguments and options that several commands have."""

from pathlib import Path
from typing import Annotated

import typer

ExperimentFile = Annotated[Path, typer.Argument(help="The experiment's YAML file.", metavar="EXPERIMENT")]
StudyName = Annotated[str, typer.Argument(help="The study's name.", metavar="STUDY")]
Assignments = Annotated[
    list[str] | None,
    typer.Option("--set", help="Override a key: --set study.trials=10. May be repeated.", metavar="KEY=VALUE"),
]
Home = Annotated[Path | None, typer.Option(help="Folder of all that is left. [default: HPO_HOME, or ./mlruns]")]
Storage = Annotated[str | None, typer.Option(help="SQLAlchemy URL of the studies, if not the home folder's.")]
TrackingUri = Annotated[
    str | None, typer.Option("--tracking-uri", help="MLflow tracking URI, if not the home folder's.")
]
Json = Annotated[bool, typer.Option("--json", help="One JSON object on stdout.")]
Name = Annotated[str | None, typer.Option(help="Name of the study, instead of the file's.")]
