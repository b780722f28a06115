"""Commands on the files of an experiment: write them, run them, check them, explain their keys. They hold no logic."""

import time
from pathlib import Path
from typing import Annotated, Literal

import typer

from hpo.cli.completion import experiment_files, keys
from hpo.cli.options import Assignments, ExperimentFile, Home, Json, Name
from hpo.config.engines import ENGINES
from hpo.errors import AllFailed


def init(
    folder: Annotated[Path, typer.Argument(help="Folder of the project. It is created if it does not exist.")] = Path(),
    data: Annotated[
        Path | None,
        typer.Option(
            help="Your data: a .csv, .parquet or .npz file, or a folder of IDX files. [default: handwritten digits]"
        ),
    ] = None,
    target: Annotated[str | None, typer.Option(help="The column to predict. A .csv or .parquet file needs it.")] = None,
    model: Annotated[
        str | None, typer.Option(help="Your model: module:name of a build function or a KerasTuner HyperModel.")
    ] = None,
) -> None:
    """Writes a small project to start from.

    It has an experiment, a search space, a model function and a notebook.
    """
    from hpo.project.create import Wanted, create_project, print_created
    from hpo.text.console import console

    print_created(console(), create_project(folder, Wanted(data, target, model)))


def run(  # noqa: PLR0913, PLR0917 - one argument, one option of the command
    experiment: Annotated[
        Path | None,
        typer.Argument(
            help="The experiment's YAML file.",
            metavar="EXPERIMENT",
            autocompletion=experiment_files,
            show_default=False,
        ),
    ] = None,
    assignments: Assignments = None,
    trials: Annotated[
        int | None, typer.Option(help="How many configurations to try (study.trials). [default: the file's, or 50]")
    ] = None,
    timeout: Annotated[
        str | None,
        typer.Option(
            help="Time limit of this run: 90 (seconds), 10m, 1h30m (study.timeout). [default: the file's, or none]"
        ),
    ] = None,
    workers: Annotated[
        int | None,
        typer.Option(
            help="How many trials train at the same time (engine.workers). [default: the file's, or one a CPU core]"
        ),
    ] = None,
    engine: Annotated[
        str | None,
        typer.Option(help=f"Where trials train (engine.name): {', '.join(ENGINES)}. [default: the file's, or local]"),
    ] = None,
    address: Annotated[
        str | None,
        typer.Option(
            help="The Ray cluster whose machines train (engine.address): HOST:PORT, or auto. [default: the file's]"
        ),
    ] = None,
    name: Name = None,
    home: Home = None,
    json: Json = False,
) -> None:
    """Runs an experiment: trains models and looks for the best.

    Each trial trains one model with other parameters. The progress is shown.

    Results go to ./mlruns (see --home): scores, curves and models of all trials, for hpo compare and hpo ui.
    A stopped run continues when you type the same command again.
    """
    if experiment is None:
        from hpo.project.create import no_experiment

        raise no_experiment()
    from hpo.cli.json_output import print_json
    from hpo.cli.run_output import print_result, result_json
    from hpo.run import run as run_experiment
    from hpo.text.console import console

    options = {
        "study.trials": trials, "study.timeout": timeout, "engine.name": engine, "engine.address": address,
        "engine.workers": workers, "name": name,
    }  # fmt: skip
    overrides = [*(assignments or ()), *(f"{key}={value}" for key, value in options.items() if value is not None)]
    # The command's start: so far the process has only imported modules, and its age may include that of a shell.
    began = time.monotonic() - time.process_time()
    try:
        result = run_experiment(experiment, overrides=overrides, home=home, console=console(stderr=json), began=began)
    except AllFailed as failed:
        if json:
            print_json(result_json(failed.result))  # type: ignore[arg-type]
        raise
    if json:
        print_json(result_json(result))
    else:
        print_result(console(), result)


def check(
    experiment: ExperimentFile,
    assignments: Assignments = None,
    home: Home = None,
    traceback: Annotated[
        bool, typer.Option("--traceback", help="Show the traceback of an error in your code.")
    ] = False,
    json: Json = False,
) -> None:
    """Checks an experiment without running it.

    Shows the data, the number of trials, and the smallest and the largest model. Trains both for one step, to see that
    they work. Nothing is kept.
    """
    from hpo.cli.check_output import print_check
    from hpo.cli.json_output import print_json
    from hpo.cli.preview.check import check as check_experiment
    from hpo.text.console import console

    checked = check_experiment(experiment, assignments or (), home, traceback)
    if json:
        print_json(checked.as_json())
    else:
        print_check(console(), checked)


def show_data(
    experiment: ExperimentFile,
    output: Annotated[
        Path | None,
        typer.Option("--output", "-o", help="Write a picture to this .png file. [default: draw in the terminal]"),
    ] = None,
    assignments: Assignments = None,
) -> None:
    """Shows samples of the data, by class.

    It also shows the samples with augmentation, and how many samples each class has.
    """
    from hpo.cli.data_output import print_shown
    from hpo.cli.preview.data_picture import draw
    from hpo.cli.preview.show_data import show_data as show_experiment
    from hpo.text.console import console

    shown = show_experiment(experiment, assignments or ())
    if output is None:
        print_shown(console(), shown)
    else:
        draw(shown, output)
        console().print(f"wrote {output}", soft_wrap=True)


def explain(
    key: Annotated[
        str | None,
        typer.Argument(
            help="A key of the files, such as training.schedule. [default: all sections]", metavar="KEY",
            autocompletion=keys,
        ),
    ] = None,
    json: Json = False,
) -> None:  # fmt: skip
    """Explains a key of the files: meaning, unit, default, example.

    Without a key, it lists the sections of both files. It also knows the keys of hpo's models and the options of
    Optuna's samplers and pruners: mlp.width, study.sampler.tpe.n_startup_trials.
    """
    from hpo.cli.explain_output import as_json, explanation, overview
    from hpo.cli.json_output import print_json
    from hpo.project.keys import find, root
    from hpo.text.console import console

    out = console()
    if json:
        print_json(as_json(find(key) if key else root()))
        return
    for line in explanation(find(key), out.width) if key else overview(out.width):
        out.print(line, soft_wrap=True, markup=False, highlight=False)


def schema(
    kind: Annotated[Literal["experiment", "search-space"], typer.Argument(help="Which of the two files.")],
) -> None:
    """Prints the JSON Schema of a file, for editors. `hpo explain` is for people."""
    from hpo.cli.json_output import print_json
    from hpo.project.json_schema import json_schema

    print_json(json_schema(kind), indent=2)
