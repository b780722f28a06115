"""Commands from trials to a decision: confirm, report, export, and what an exported file is for; no logic."""

from pathlib import Path
from typing import Annotated, Literal

import typer

from hpo.cli.options import Home, Json, Storage, Studies, StudyName, TrackingUri, Wide


def confirm(  # noqa: PLR0913, PLR0917 - one argument, one option of the command
    study: StudyName,
    top: Annotated[int, typer.Option(help="Take the N best configurations.", metavar="N", min=1)] = 5,
    seeds: Annotated[
        int, typer.Option(help="Train each of them N times, each time with another random seed.", metavar="N", min=2)
    ] = 5,
    trials: Annotated[
        str | None, typer.Option(help="Take these trials instead of the best: 3,7,12.", metavar="NUMBERS")
    ] = None,
    stop_early: Annotated[
        bool,
        typer.Option("--stop-early", help="After three seeds, stop training a configuration that is clearly worse."),
    ] = False,
    workers: Annotated[
        int | None, typer.Option(help="How many models train at the same time. [default: as in the study]", min=1)
    ] = None,
    timeout: Annotated[
        str | None,
        typer.Option(
            help="Time limit: 90 (seconds), 10m, 1h30m. The same command continues afterwards. [default: none]"
        ),
    ] = None,
    home: Home = None,
    storage: Storage = None,
    uri: TrackingUri = None,
    wide: Wide = False,
    json: Json = False,
) -> None:
    """Trains the best again with new seeds, and picks one.

    A single good score can be luck. This trains the best configurations several times, says which to use, and how sure
    that is.
    """
    from hpo.cli.confirm_output import confirmed_json, print_confirmed
    from hpo.cli.output import console, print_json
    from hpo.confirm.confirm import confirm as confirm_study
    from hpo.confirm.confirm import numbers

    confirmed = confirm_study(
        study, numbers(trials) if trials else top, seeds, stop_early=stop_early, workers=workers, timeout=timeout,
        home=home, storage=storage, tracking_uri=uri, console=console(stderr=json),
    )  # fmt: skip
    print_json(confirmed_json(confirmed)) if json else print_confirmed(console(), confirmed, wide)


def report(  # noqa: PLR0913, PLR0917 - one argument, one option of the command
    studies: Studies,
    output: Annotated[
        Path | None,
        typer.Option("--output", "-o", help="The file to write. [default: report.html; stdout for Markdown]"),
    ] = None,
    form: Annotated[
        Literal["html", "md"] | None,
        typer.Option(
            "--format", help="html is a page, md is Markdown for a pull request. [default: from the file's suffix]"
        ),
    ] = None,
    log: Annotated[bool, typer.Option(help="Also log the page to MLflow.")] = True,
    home: Home = None,
    storage: Storage = None,
    uri: TrackingUri = None,
    json: Json = False,
) -> None:
    """Writes a report: one HTML file with the results.

    Which configuration to use, how sure that is, what it costs, and charts of the search.
    """
    from hpo.cli.output import console, print_json
    from hpo.report.report import report_command

    done = report_command(studies, output, form, log, home, storage, console(stderr=True), uri)
    if json:
        print_json(done.as_json())
    else:
        for line in done.lines():
            console().print(line, soft_wrap=True, markup=False)


def export(  # noqa: PLR0913, PLR0917 - one argument, one option of the command
    study: StudyName,
    to: Annotated[
        Path | None, typer.Option(help="File to write: .yaml or .json for hpo train, .py for a plain Keras script.")
    ] = None,
    model: Annotated[
        Path | None,
        typer.Option(help="Save the trained model to this .keras file. Its scaling of the inputs is included."),
    ] = None,
    register: Annotated[
        str | None,
        typer.Option(help="Register the model in MLflow under this name, with the alias champion.", metavar="NAME"),
    ] = None,
    trial: Annotated[
        int | None, typer.Option(help="Export the trial with this number. [default: see --confirmed]")
    ] = None,
    confirmed: Annotated[
        bool | None,
        typer.Option(
            "--confirmed/--no-confirmed",
            help="Export what hpo confirm chose, or the trial with the best score. [default: what it chose, if it ran]",
        ),
    ] = None,
    home: Home = None,
    storage: Storage = None,
    uri: TrackingUri = None,
) -> None:
    """Exports the best configuration or its model.

    As a file to train again, a Keras model, a plain Keras script, or a model in MLflow's registry.
    """
    from hpo.cli.output import console
    from hpo.export.export import Targets, Which
    from hpo.export.export import export as export_trial

    for line in export_trial(study, Targets(to, model, register), Which(trial, confirmed), home, storage, uri):
        console().print(line, soft_wrap=True, markup=False)


def train(
    exported: Annotated[Path, typer.Argument(help="A file that hpo export wrote.", metavar="BEST.YAML")],
    seeds: Annotated[
        int, typer.Option(help="Train N times: first with the trial's seed, then with new ones.", metavar="N", min=1)
    ] = 1,
    model: Annotated[
        Path | None, typer.Option(help="Save the model trained with the trial's seed to this .keras file.")
    ] = None,
    json: Json = False,
) -> None:
    """Trains an exported configuration again.

    Shows the old and the new scores side by side.
    """
    from hpo.cli.output import console, print_json
    from hpo.cli.train_output import print_retrained, require_saved, retrained_json, trained_again
    from hpo.plan.exported_file import read_exported

    file = read_exported(exported)
    runs = trained_again(console(stderr=True), file, seeds, model)
    print_json(retrained_json(file, runs)) if json else print_retrained(console(), file, runs)
    require_saved(runs, model)


def predict(
    model: Annotated[
        str, typer.Argument(help="A .keras file, or a registered model: models:/NAME@champion.", metavar="MODEL")
    ],
    source: Annotated[
        Path,
        typer.Argument(
            help="Inputs: a .csv, .parquet, .npy, .npz or .png file, or a folder of pictures.", metavar="INPUT"
        ),
    ],
    output: Annotated[
        Path | None, typer.Option("--output", "-o", help="Write the predictions to this .csv file. [default: stdout]")
    ] = None,
    home: Home = None,
    uri: Annotated[
        str | None,
        typer.Option(
            "--tracking-uri",
            help="MLflow server with the model registry. [default: HPO_TRACKING_URI, or mlflow.db in the home folder]",
        ),
    ] = None,
) -> None:
    """Predicts with an exported or registered model.

    The result is a class and its probabilities for each input, or a number.
    """
    from hpo.cli.output import console
    from hpo.export.predict import check_output, write
    from hpo.export.predict import predict as predicted

    check_output(output)
    found = predicted(model, source, home, uri)
    write(found, output)
    if found.ignored:
        console(stderr=True).print(f"columns that the model does not know: {', '.join(found.ignored)}", markup=False)
