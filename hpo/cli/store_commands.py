"""Commands around a study: log it to MLflow, start one from another, look at it; no logic."""

from typing import Annotated, Literal

import typer

from hpo.cli.completion import study_names
from hpo.cli.options import Assignments, ExperimentFile, Home, Json, Name, Storage, StudyName, TrackingUri


def log(
    study: StudyName,
    uri: TrackingUri = None,
    home: Home = None,
    storage: Storage = None,
    json: Json = False,
) -> None:
    """Logs a whole study to an MLflow server.

    To another one than before, or to its own, which may have missed something. Repeating it changes nothing.
    """
    from hpo.cli.output import console, print_json
    from hpo.cli.reuse_output import print_told, told_json
    from hpo.reuse.log_again import retell

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
    """Starts a study with edited ranges from an old one.

    The trials of the old study that lie within the new ranges are taken over and count.
    """
    from hpo.cli.output import console, print_json
    from hpo.cli.reuse_output import begun_json, print_begun
    from hpo.reuse.extend import Options
    from hpo.reuse.extend import extend as extend_study

    overrides = [*(assignments or ()), *([f"name={name}"] if name else ())]
    begun = extend_study(study, experiment, Options(overrides, home, storage, console(stderr=json)))
    options = {"--set": assignments or (), "--name": [name], "--home": [home]}
    print_json(begun_json(begun)) if json else print_begun(console(), begun, experiment, options)


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
    from hpo.cli.output import console, print_json
    from hpo.cli.reuse_output import begun_json, print_begun
    from hpo.reuse.extend import Options
    from hpo.reuse.extend import warm_start as warm_start_study

    overrides = [*(assignments or ()), *([f"name={name}"] if name else ())]
    begun = warm_start_study(experiment, source, Options(overrides, home, storage, console(stderr=json)))
    options = {"--set": assignments or (), "--name": [name], "--home": [home]}
    print_json(begun_json(begun)) if json else print_begun(console(), begun, experiment, options)


def ui(
    study: Annotated[
        str | None,
        typer.Argument(
            help="Name of a study to open the UI at. [default: all studies]",
            metavar="STUDY",
            autocompletion=study_names,
        ),
    ] = None,
    port: Annotated[int, typer.Option(help="Port on 127.0.0.1, this machine alone.")] = 5000,
    uri: Annotated[
        str | None,
        typer.Option(help="MLflow tracking URI. [default: HPO_TRACKING_URI, or mlflow.db in the home folder]"),
    ] = None,
    home: Home = None,
    browser: Annotated[
        bool, typer.Option("--browser/--no-browser", help="Open the UI in a browser, where there is a screen.")
    ] = True,
) -> None:
    """Starts the MLflow UI over the logged runs. Only this machine can reach it."""
    from hpo.system.home import home_folder
    from hpo.tracking.ui import serve, shown_in_browser

    serve(home_folder(home), uri, study, port, shown_in_browser if browser else print)


def schema(
    kind: Annotated[Literal["experiment", "search-space"], typer.Argument(help="Which of the two files.")],
) -> None:
    """Prints the JSON Schema of a file, for editors. `hpo explain` is for people."""
    from hpo.cli.output import print_schema
    from hpo.schemas import json_schema

    print_schema(json_schema(kind))


def _keys(incomplete: str) -> list[str]:
    from hpo.schemas.keys import complete

    return complete(incomplete)


def explain(
    key: Annotated[
        str | None,
        typer.Argument(
            help="A key of the files, such as training.schedule. [default: all sections]", metavar="KEY",
            autocompletion=_keys,
        ),
    ] = None,
    json: Json = False,
) -> None:  # fmt: skip
    """Explains a key of the files: meaning, unit, default, example.

    Without a key, it lists the sections of both files. The keys of mlp and cnn and the options of Optuna's samplers and
    pruners are known, too: mlp.width, study.sampler.tpe.n_startup_trials.
    """
    from hpo.cli.explain_output import as_json, explanation, overview
    from hpo.cli.output import console, print_json
    from hpo.schemas.keys import find, root

    out = console()
    if json:
        print_json(as_json(find(key) if key else root()))
        return
    for line in explanation(find(key), out.width) if key else overview(out.width):
        out.print(line, soft_wrap=True, markup=False, highlight=False)
