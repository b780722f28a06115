"""Commands on a study's best model: export it, train it again, predict with it. They hold no logic."""

from pathlib import Path
from typing import Annotated

import typer

from hpo.cli.options import Home, Json, Storage, StudyName, TrackingUri


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
            help="Export the trial that hpo confirm chose, or the one with the best score. [default: chosen, if any]",
        ),
    ] = None,
    home: Home = None,
    storage: Storage = None,
    uri: TrackingUri = None,
) -> None:
    """Exports the best configuration or its model.

    It writes a file to train again, a Keras model or a plain Keras script, or registers the model in MLflow.
    """
    from hpo.export.export import Targets, Which
    from hpo.export.export import export as export_trial
    from hpo.text.console import console

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

    It shows the old and the new scores side by side.
    """
    from hpo.cli.json_output import print_json
    from hpo.cli.train_output import print_retrained, require_saved, retrained_json, trained_again
    from hpo.plan.exported_file import read_exported
    from hpo.text.console import console

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
    from hpo.export.predict import check_output, write
    from hpo.export.predict import predict as predicted
    from hpo.text.console import console

    check_output(output)
    found = predicted(model, source, home, uri)
    write(found, output)
    if found.ignored:
        console(stderr=True).print(f"columns that the model does not know: {', '.join(found.ignored)}", markup=False)
    for note in found.notes:
        console(stderr=True).print(f"note: {note}", markup=False, soft_wrap=True)
