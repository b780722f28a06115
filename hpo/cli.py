"""The table of subcommands; no logic."""

import signal
import sys
import time
import traceback
from pathlib import Path
from typing import Annotated, Literal

import typer

from hpo import signals
from hpo.cli_options import Assignments, ExperimentFile, Home, Json, Name, Storage, StudyName, TrackingUri
from hpo.cli_stores import extend, log, schema, ui, warm_start
from hpo.errors import AllFailed, HpoError, Interrupted, StoreAway
from hpo.platforms import refuse_other_systems
from hpo.texts import clean

app = typer.Typer(
    no_args_is_help=True,
    pretty_exceptions_enable=False,
    # Rich would take as long to import as everything else together, and take "[default: ...]" for markup.
    rich_markup_mode=None,
    context_settings={"help_option_names": ["-h", "--help"]},
    help="Hyperparameter experiments for Keras: Optuna proposes, Keras trains, MLflow remembers.",
)

Listed = Literal["studies", "datasets", "models", "samplers", "pruners"]


@app.callback(invoke_without_command=True)
def options(
    version: Annotated[bool, typer.Option("--version", help="Print the version and leave.", is_eager=True)] = False,
) -> None:
    """Hyperparameter experiments for Keras: Optuna proposes, Keras trains, MLflow remembers."""
    if version:
        from hpo.versions import versions

        sys.stdout.write(f"hpo {versions()['hpo']}\n")
        raise typer.Exit


@app.command()
def init(
    folder: Annotated[Path, typer.Argument(help="Folder of the project; it is made if it does not exist.")] = Path(),
    data: Annotated[
        Path | None, typer.Option(help="Your data: a .csv, .parquet or .npz file, or a folder of IDX files.")
    ] = None,
    target: Annotated[str | None, typer.Option(help="The column to predict, of a .csv or .parquet file.")] = None,
    model: Annotated[str | None, typer.Option(help="Your model: module:name of a function or a HyperModel.")] = None,
) -> None:
    """Writes a small project to begin with: an experiment, a search space, a model function, a notebook."""
    from hpo.project.create import Wanted, create_project, print_created
    from hpo.terminal import console

    print_created(console(), create_project(folder, Wanted(data, target, model)))


@app.command()
def run(  # noqa: PLR0913, PLR0917 - one argument, one option of the command
    experiment: Annotated[
        Path | None, typer.Argument(help="The experiment's YAML file.", metavar="EXPERIMENT", show_default=False)
    ] = None,
    assignments: Assignments = None,
    trials: Annotated[int | None, typer.Option(help="Configurations to bring to an end (study.trials).")] = None,
    timeout: Annotated[str | None, typer.Option(help="90, 10m, 1h30m (study.timeout).")] = None,
    workers: Annotated[int | None, typer.Option(help="Trials at a time (engine.workers).")] = None,
    name: Name = None,
    home: Home = None,
    json: Json = False,
) -> None:
    """Runs an experiment: a study with live progress. The same command goes on where it stopped."""
    if experiment is None:
        from hpo.project.create import no_experiment

        raise no_experiment()
    from hpo.run import run as run_experiment
    from hpo.terminal import console, print_json, print_result, result_json

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
    traceback: Annotated[bool, typer.Option("--traceback", help="Show how an error came about.")] = False,
    json: Json = False,
) -> None:
    """Says what would run: the data, the study, the smallest and the largest model, which it tries for one step."""
    from hpo.check import check as check_experiment
    from hpo.terminal import console, print_check, print_json

    checked = check_experiment(experiment, assignments or (), home, traceback)
    if json:
        print_json(checked.as_json())
    else:
        print_check(console(), checked)


@app.command("show-data")
def show_data(
    experiment: ExperimentFile,
    output: Annotated[Path | None, typer.Option("--output", "-o", help="Draw a PNG instead: samples.png.")] = None,
    assignments: Assignments = None,
) -> None:
    """Draws samples of each class, as they are and as augmentation changes them, and the class balance."""
    from hpo.data_picture import draw
    from hpo.data_text import print_shown
    from hpo.show_data import show_data as show_experiment
    from hpo.terminal import console

    shown = show_experiment(experiment, assignments or ())
    if output is None:
        print_shown(console(), shown)
    else:
        draw(shown, output)
        console().print(f"wrote {output}", soft_wrap=True)


@app.command("list")
def list_(
    what: Annotated[Listed, typer.Argument(help="The studies of the store, or names that a file may use.")] = "studies",
    home: Home = None,
    storage: Storage = None,
    json: Json = False,
) -> None:
    """Lists the studies of the store, or what a file may name: datasets, models."""
    from hpo.listing import known_names, print_listing
    from hpo.terminal import console, print_json, print_studies, studies_json

    if what == "studies":
        from hpo.compare.compare import read_studies

        views = read_studies((), home, storage)
        print_json(studies_json(views)) if json else print_studies(console(), views)
    else:
        names = known_names(what)
        print_json(dict(names)) if json else print_listing(console(), what, names)


@app.command()
def show(
    study: StudyName,
    trial: Annotated[int | None, typer.Argument(help="A trial's number.")] = None,
    home: Home = None,
    storage: Storage = None,
    json: Json = False,
) -> None:
    """Shows a study, or one of its trials: parameters, curves, scores, failure."""
    from hpo.compare.compare import read_studies
    from hpo.export.export import chosen
    from hpo.terminal import console, print_json, print_study, print_trial, study_json, trial_json

    (view,) = read_studies([study], home, storage)
    if trial is None:
        print_json(study_json(view)) if json else print_study(console(), view)
    else:
        record = chosen(view, trial)
        print_json(trial_json(record, view.objective.metric)) if json else print_trial(console(), view, record)


@app.command()
def compare(
    studies: Annotated[list[str], typer.Argument(help="One study or several.", metavar="STUDY...")],
    where: Annotated[
        str | None, typer.Option(help="Only trials for which this holds: \"state = 'complete' and depth >= 2\" (SQL).")
    ] = None,
    top: Annotated[int | None, typer.Option(help="Only the best so many trials.", min=1)] = None,
    csv: Annotated[Path | None, typer.Option(help="Write the table to a CSV file; - is stdout.")] = None,
    home: Home = None,
    storage: Storage = None,
    json: Json = False,
) -> None:
    """Ranks the trials of studies by validation score; test scores stand beside, and rank nothing."""
    from hpo.compare.compare import chosen, read_studies, table
    from hpo.compare.comparison import comparison_json, print_comparison
    from hpo.csv_file import write_csv
    from hpo.terminal import console, print_json

    views = read_studies(studies, home, storage)
    frame = chosen(table(views), where, top)
    if csv is not None:
        write_csv(frame, None if str(csv) == "-" else csv)
    elif json:
        print_json(comparison_json(views, frame))
    else:
        print_comparison(console(), views, frame)


@app.command()
def confirm(  # noqa: PLR0913, PLR0917 - one argument, one option of the command
    study: StudyName,
    top: Annotated[int, typer.Option(help="So many of the best configurations.", min=1)] = 5,
    seeds: Annotated[int, typer.Option(help="Runs of each, over the same fresh seeds.", min=2)] = 5,
    trials: Annotated[str | None, typer.Option(help="These trials instead: 3,7,12.", metavar="NUMBERS")] = None,
    stop_early: Annotated[
        bool, typer.Option("--stop-early", help="No more seeds for a finalist that is clearly out after three.")
    ] = False,
    workers: Annotated[int | None, typer.Option(help="Runs at a time.", min=1)] = None,
    timeout: Annotated[str | None, typer.Option(help="90, 10m, 1h30m; the same command goes on.")] = None,
    home: Home = None,
    storage: Storage = None,
    uri: TrackingUri = None,
    json: Json = False,
) -> None:
    """Trains the finalists again over fresh seeds, and says which to use and how sure that is."""
    from hpo.confirm.confirm import confirm as confirm_study
    from hpo.confirm.confirm import numbers
    from hpo.confirm.finalist_table import confirmed_json, print_confirmed
    from hpo.terminal import console, print_json

    confirmed = confirm_study(
        study, numbers(trials) if trials else top, seeds, stop_early=stop_early, workers=workers, timeout=timeout,
        home=home, storage=storage, tracking_uri=uri, console=console(stderr=json),
    )  # fmt: skip
    print_json(confirmed_json(confirmed)) if json else print_confirmed(console(), confirmed)


@app.command()
def report(  # noqa: PLR0913, PLR0917 - one argument, one option of the command
    studies: Annotated[list[str], typer.Argument(help="One study or several.", metavar="STUDY...")],
    output: Annotated[
        Path | None, typer.Option("--output", "-o", help="The file. [default: report.html; stdout for md]")
    ] = None,
    form: Annotated[
        Literal["html", "md"] | None,
        typer.Option("--format", help="A page, or Markdown for a pull request. [default: by the file's suffix]"),
    ] = None,
    log: Annotated[bool, typer.Option(help="Show the page of a study in its MLflow run as well.")] = True,
    home: Home = None,
    storage: Storage = None,
    uri: TrackingUri = None,
    json: Json = False,
) -> None:
    """Writes one self-contained page: what to use, how sure that is, what it costs, and the figures."""
    from hpo.report.command import report_command
    from hpo.terminal import console, print_json

    done = report_command(studies, output, form, log, home, storage, console(stderr=True), uri)
    if json:
        print_json(done.as_json())
    else:
        for line in done.lines():
            console().print(line, soft_wrap=True, markup=False)


@app.command()
def export(  # noqa: PLR0913, PLR0917 - one argument, one option of the command
    study: StudyName,
    to: Annotated[
        Path | None, typer.Option(help="best.yaml or best.json for hpo train; best.py, a Keras script without hpo.")
    ] = None,
    model: Annotated[Path | None, typer.Option(help="Keras file (.keras), its scaling in front.")] = None,
    register: Annotated[
        str | None, typer.Option(help="Name in MLflow's model registry: a version with alias champion.", metavar="NAME")
    ] = None,
    trial: Annotated[int | None, typer.Option(help="A trial's number.")] = None,
    confirmed: Annotated[
        bool | None,
        typer.Option(
            "--confirmed/--no-confirmed",
            help="The choice of hpo confirm, or the best single run. [default: confirmed, once there is one]",
        ),
    ] = None,
    home: Home = None,
    storage: Storage = None,
    uri: TrackingUri = None,
) -> None:
    """Exports the trial to use: to train it again, as a Keras model or script, to MLflow's model registry."""
    from hpo.export.export import Targets, Which
    from hpo.export.export import export as export_trial
    from hpo.terminal import console

    for line in export_trial(study, Targets(to, model, register), Which(trial, confirmed), home, storage, uri):
        console().print(line, soft_wrap=True, markup=False)


@app.command()
def train(
    exported: Annotated[Path, typer.Argument(help="A file that hpo export wrote.", metavar="BEST.YAML")],
    seeds: Annotated[int, typer.Option(help="Runs: the trial's own seed, then fresh ones.", min=1)] = 1,
    model: Annotated[Path | None, typer.Option(help="Keras file (.keras) for the model of its own seed.")] = None,
    json: Json = False,
) -> None:
    """Trains an exported configuration again, and shows all scores side by side."""
    from hpo.export.exported import read_exported
    from hpo.export.retrained_table import print_retrained, require_saved, retrained_json, trained_again
    from hpo.terminal import console, print_json

    file = read_exported(exported)
    runs = trained_again(console(stderr=True), file, seeds, model)
    print_json(retrained_json(file, runs)) if json else print_retrained(console(), file, runs)
    require_saved(runs, model)


@app.command()
def predict(
    model: Annotated[str, typer.Argument(help="A .keras file, or models:/NAME@champion.", metavar="MODEL")],
    source: Annotated[
        Path, typer.Argument(help=".csv, .parquet, .npy, .npz, .png or a folder of pictures.", metavar="INPUT")
    ],
    output: Annotated[Path | None, typer.Option("--output", "-o", help="A .csv file. [default: stdout]")] = None,
    home: Home = None,
    uri: Annotated[
        str | None, typer.Option("--tracking-uri", help="MLflow with the model registry. [default: the home folder's]")
    ] = None,
) -> None:
    """Predicts with an exported or registered model: classes with their probabilities, or numbers."""
    from hpo.export.predict import check_output, write
    from hpo.export.predict import predict as predicted
    from hpo.terminal import console

    check_output(output)
    found = predicted(model, source, home, uri)
    write(found, output)
    if found.ignored:
        console(stderr=True).print(f"columns that the model does not know: {', '.join(found.ignored)}", markup=False)


for command_of_studies, called in ((log, None), (extend, None), (warm_start, "warm-start"), (ui, None), (schema, None)):
    app.command(called)(command_of_studies)


def command() -> int:
    """Runs the command; 0 done, 1 failed, 2 a mistake of the user's, 3 failed trials, 4 no store, 130 interrupted."""
    from hpo.safe_console import spell_out_what_cannot_be_printed

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
    from hpo.database import is_database_error, reason_of

    return f"a database failed: {reason_of(error)}; run the command again" if is_database_error(error) else None
