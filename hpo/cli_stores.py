"""Commands around a study: told to MLflow, begun anew from another, looked at; no logic."""

from typing import Annotated, Literal

import typer

from hpo.cli_options import Assignments, ExperimentFile, Home, Json, Name, Storage, StudyName, TrackingUri


def log(
    study: StudyName,
    uri: TrackingUri = None,
    home: Home = None,
    storage: Storage = None,
    json: Json = False,
) -> None:
    """Logs a whole study to MLflow: to another one, or what is missing in its own. Twice is the same as once."""
    from hpo.retell import retell
    from hpo.reuse.beginnings import print_told, told_json
    from hpo.terminal import console, print_json

    told = retell(study, uri, home=home, storage=storage, console=console(stderr=json))
    print_json(told_json(told)) if json else print_told(console(), told)


def extend(
    study: StudyName,
    experiment: ExperimentFile,
    assignments: Assignments = None,
    name: Name = None,
    home: Home = None,
    storage: Storage = None,
    json: Json = False,
) -> None:
    """Begins a study with edited ranges, and takes over the trials of an old one that lie within them."""
    from hpo.reuse.beginnings import begun_json, print_begun
    from hpo.reuse.extend import Options
    from hpo.reuse.extend import extend as extend_study
    from hpo.terminal import console, print_json

    overrides = [*(assignments or ()), *([f"name={name}"] if name else ())]
    begun = extend_study(study, experiment, Options(overrides, home, storage, console(stderr=json)))
    options = {"--set": assignments or (), "--name": [name], "--home": [home]}
    print_json(begun_json(begun)) if json else print_begun(console(), begun, experiment, options)


def warm_start(
    experiment: ExperimentFile,
    source: Annotated[str, typer.Option("--from", help="A study, or the folder of a KerasTuner project.")],
    assignments: Assignments = None,
    name: Name = None,
    home: Home = None,
    storage: Storage = None,
    json: Json = False,
) -> None:
    """Begins a study whose sampler knows past trials: of a study, or of a KerasTuner project."""
    from hpo.reuse.beginnings import begun_json, print_begun
    from hpo.reuse.extend import Options
    from hpo.reuse.extend import warm_start as warm_start_study
    from hpo.terminal import console, print_json

    overrides = [*(assignments or ()), *([f"name={name}"] if name else ())]
    begun = warm_start_study(experiment, source, Options(overrides, home, storage, console(stderr=json)))
    options = {"--set": assignments or (), "--name": [name], "--home": [home]}
    print_json(begun_json(begun)) if json else print_begun(console(), begun, experiment, options)


def ui(
    study: Annotated[str | None, typer.Argument(help="Open at this study.")] = None,
    port: Annotated[int, typer.Option(help="Port on 127.0.0.1.")] = 5000,
    uri: Annotated[str | None, typer.Option(help="MLflow tracking URI, if not the home folder's.")] = None,
    home: Home = None,
) -> None:
    """Starts MLflow's own UI on this machine alone, over the store of the runs."""
    from hpo.plan import home_folder
    from hpo.ui import serve

    serve(home_folder(home), uri, study, port)


def schema(
    kind: Annotated[Literal["experiment", "search-space"], typer.Argument(help="Which file.")],
) -> None:
    """Prints the JSON Schema of a file, for editors."""
    from hpo.schemas import json_schema
    from hpo.terminal import print_schema

    print_schema(json_schema(kind))
