"""The table of subcommands; no logic."""

import signal
import sys
import time
import traceback
from pathlib import Path
from typing import Annotated, Literal

import typer

from hpo.cli.completion import experiment_files
from hpo.cli.decision_commands import confirm, export, predict, report, train
from hpo.cli.options import Assignments, ExperimentFile, Home, Json, Name, Storage, Studies, StudyName, Wide
from hpo.cli.store_commands import explain, extend, log, schema, ui, warm_start
from hpo.errors import AllFailed, HpoError, Interrupted, StoreAway
from hpo.system import signals
from hpo.system.platforms import refuse_other_systems
from hpo.text.cleaning import clean

app = typer.Typer(
    no_args_is_help=True,
    pretty_exceptions_enable=False,
    # Rich would take as long to import as everything else together, and take "[default: ...]" for markup.
    rich_markup_mode=None,
    context_settings={"help_option_names": ["-h", "--help"]},
    help="Tunes hyperparameters of Keras models: Optuna proposes, Keras trains, MLflow logs.",
)

Listed = Literal["studies", "datasets", "models", "samplers", "pruners"]


@app.callback(invoke_without_command=True)
def options(
    version: Annotated[bool, typer.Option("--version", help="Print the version and exit.", is_eager=True)] = False,
) -> None:
    """Tunes hyperparameters of Keras models: Optuna proposes, Keras trains, MLflow logs."""
    if version:
        from hpo.system.versions import versions

        sys.stdout.write(f"hpo {versions()['hpo']}\n")
        raise typer.Exit


@app.command()
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
    from hpo.cli.output import console
    from hpo.project.create import Wanted, create_project, print_created

    print_created(console(), create_project(folder, Wanted(data, target, model)))


@app.command()
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
    from hpo.cli.output import console, print_json, print_result, result_json
    from hpo.run import run as run_experiment

    options = {"study.trials": trials, "study.timeout": timeout, "engine.workers": workers, "name": name}
    overrides = [*(assignments or ()), *(f"{key}={value}" for key, value in options.items() if value is not None)]
    # From the command's start, since which Python has only imported; the process may be older, a shell's before.
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


@app.command()
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
    from hpo.cli.output import console, print_json
    from hpo.preview.check import check as check_experiment

    checked = check_experiment(experiment, assignments or (), home, traceback)
    if json:
        print_json(checked.as_json())
    else:
        print_check(console(), checked)


@app.command("show-data")
def show_data(
    experiment: ExperimentFile,
    output: Annotated[
        Path | None,
        typer.Option("--output", "-o", help="Write a picture to this .png file. [default: draw in the terminal]"),
    ] = None,
    assignments: Assignments = None,
) -> None:
    """Shows samples of the data, by class.

    Also what augmentation makes of them, and how many samples each class has.
    """
    from hpo.cli.data_output import print_shown
    from hpo.cli.output import console
    from hpo.preview.data_picture import draw
    from hpo.preview.show_data import show_data as show_experiment

    shown = show_experiment(experiment, assignments or ())
    if output is None:
        print_shown(console(), shown)
    else:
        draw(shown, output)
        console().print(f"wrote {output}", soft_wrap=True)


@app.command("list")
def list_(
    what: Annotated[
        Listed, typer.Argument(help="The studies here, or names that you can use in the files.")
    ] = "studies",
    home: Home = None,
    storage: Storage = None,
    wide: Wide = False,
    json: Json = False,
) -> None:
    """Lists studies, or datasets, models, samplers, pruners.

    Without an argument, the studies. The others are names that you can use in the files.
    """
    from hpo.cli.lists import known_names, print_listing, print_studies, studies_json
    from hpo.cli.output import console, print_json

    if what == "studies":
        from hpo.compare.study_list import study_lines

        lines = study_lines(home, storage)
        print_json(studies_json(lines)) if json else print_studies(console(), lines, wide)
    else:
        names = known_names(what)
        print_json(dict(names)) if json else print_listing(console(), what, names)


@app.command()
def show(
    study: StudyName,
    trial: Annotated[
        int | None, typer.Argument(help="Number of a trial. [default: the study as a whole]", show_default=False)
    ] = None,
    home: Home = None,
    storage: Storage = None,
    wide: Wide = False,
    json: Json = False,
) -> None:
    """Shows a study, or one of its trials.

    Of a trial: its parameters, curves and scores, and why it failed.
    """
    from hpo.cli.output import console, print_json, print_study, print_trial, study_json, trial_json
    from hpo.compare.compare import read_studies
    from hpo.export.export import chosen

    (view,) = read_studies([study], home, storage)
    if trial is None:
        print_json(study_json(view)) if json else print_study(console(), view, wide)
    else:
        record = chosen(view, trial)
        if json:
            print_json(trial_json(record, view.objective.metric))
        else:
            print_trial(console(), view, record, wide)


@app.command()
def compare(  # noqa: PLR0913, PLR0917 - one argument, one option of the command
    studies: Studies,
    where: Annotated[
        str | None,
        typer.Option(help="Only the trials that meet an SQL condition: \"state = 'complete' and depth >= 2\"."),
    ] = None,
    top: Annotated[int | None, typer.Option(help="Only the best N trials.", metavar="N", min=1)] = None,
    csv: Annotated[Path | None, typer.Option(help="Write the table to this CSV file, or to stdout with `-`.")] = None,
    home: Home = None,
    storage: Storage = None,
    wide: Wide = False,
    json: Json = False,
) -> None:
    """Ranks trials by validation score. Test scores are shown too, but never used for ranking."""
    from hpo.cli.compare_output import comparison_json, print_comparison
    from hpo.cli.output import console, print_json
    from hpo.compare.compare import chosen, read_studies, table
    from hpo.system.csv_files import write_csv

    views = read_studies(studies, home, storage)
    frame = chosen(table(views), where, top)
    if csv is not None:
        write_csv(frame, None if str(csv) == "-" else csv)
    elif json:
        print_json(comparison_json(views, frame))
    else:
        print_comparison(console(), views, frame, wide)


for registered, called in (
    (confirm, None), (report, None), (export, None), (train, None), (predict, None),
    (log, None), (extend, None), (warm_start, "warm-start"), (ui, None), (explain, None), (schema, None),
):  # fmt: skip
    app.command(called)(registered)


def command() -> int:
    """Runs the command; 0 done, 1 failed, 2 a mistake of the user's, 3 failed trials, 4 no store, 130 interrupted."""
    from hpo.text.console import spell_out_what_cannot_be_printed

    spell_out_what_cannot_be_printed()
    try:
        refuse_other_systems()
        app(standalone_mode=True)
    except SystemExit as left:
        return left.code if isinstance(left.code, int) else int(left.code is not None)
    except HpoError as error:
        number = None if isinstance(error, Interrupted) else signals.first()
        sys.stderr.write(f"{error}\n" if number is None else "interrupted\n")
        return error.exit_code if number is None else signals.exit_code(number)
    except BaseException as error:
        # A library may have made an error of its own of the signal that met it.
        number = signal.SIGINT if isinstance(error, KeyboardInterrupt) else signals.first()
        if number is not None:
            sys.stderr.write("interrupted\n")
            return signals.exit_code(number)
        if (said := database_failure(error)) is None:
            # A bug of hpo's: its traceback may quote a URL, or what a user's code raised.
            sys.stderr.write(clean(traceback.format_exc()))
            return 1
        sys.stderr.write(f"{clean(said)}\n")
        return StoreAway.exit_code
    return 0


def database_failure(error: BaseException) -> str | None:
    """What a database says that failed in the midst of a command; None for every other error."""
    # What no command has imported cannot have failed.
    if "sqlalchemy" not in sys.modules:
        return None
    from hpo.storage.database import is_database_error, reason_of

    return f"a database failed: {reason_of(error)}; run the command again" if is_database_error(error) else None
