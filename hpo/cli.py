"""The table of subcommands; no logic."""

import sys
from pathlib import Path
from typing import Annotated, Any, Literal, NoReturn

import typer

from hpo.errors import HpoError

app = typer.Typer(
    no_args_is_help=True,
    pretty_exceptions_enable=False,
    context_settings={"help_option_names": ["-h", "--help"]},
    help="Hyperparameter experiments for Keras: Optuna proposes, Keras trains, MLflow remembers.",
)

ExperimentFile = Annotated[Path, typer.Argument(help="The experiment's YAML file.", metavar="EXPERIMENT")]
StudyName = Annotated[str, typer.Argument(help="The study's name.", metavar="STUDY")]
Assignments = Annotated[
    list[str] | None,
    typer.Option("--set", help="Override a key: --set study.trials=10. May be repeated.", metavar="KEY=VALUE"),
]
Home = Annotated[Path | None, typer.Option(help="Folder of all that is left. [default: HPO_HOME, or ./mlruns]")]
Storage = Annotated[str | None, typer.Option(help="SQLAlchemy URL of the studies, if not the home folder's.")]
Json = Annotated[bool, typer.Option("--json", help="One JSON object on stdout.")]
Name = Annotated[str | None, typer.Option(help="Name of the study, instead of the file's.")]
Listed = Literal["studies", "datasets", "models", "samplers", "pruners"]


@app.command()
def run(  # noqa: PLR0913, PLR0917 - one argument, one option of the command
    experiment: ExperimentFile,
    assignments: Assignments = None,
    trials: Annotated[int | None, typer.Option(help="Configurations to bring to an end (study.trials).")] = None,
    timeout: Annotated[str | None, typer.Option(help="90, 10m, 1h30m (study.timeout).")] = None,
    workers: Annotated[int | None, typer.Option(help="Trials at a time (engine.workers).")] = None,
    name: Name = None,
    home: Home = None,
    json: Json = False,
) -> None:
    """Runs an experiment: a study with live progress. The same command goes on where it stopped."""
    from hpo.run import run as run_experiment
    from hpo.terminal import console, print_json, print_result, result_json

    options = {"study.trials": trials, "study.timeout": timeout, "engine.workers": workers, "name": name}
    overrides = [*(assignments or ()), *(f"{key}={value}" for key, value in options.items() if value is not None)]
    result = run_experiment(experiment, overrides=overrides, home=home, console=console(stderr=json))
    if json:
        print_json(result_json(result))
    else:
        print_result(console(), result)


@app.command()
def check(experiment: ExperimentFile, assignments: Assignments = None, home: Home = None, json: Json = False) -> None:
    """Says what would run: the data, the study, the smallest and the largest model. Trains nothing."""
    from hpo.check import check as check_experiment
    from hpo.terminal import console, print_check, print_json

    checked = check_experiment(experiment, assignments or (), home)
    if json:
        print_json(checked.as_json())
    else:
        print_check(console(), checked)


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
        from hpo.compare import read_studies

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
    from hpo.compare import read_studies
    from hpo.export import chosen
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
    top: Annotated[int | None, typer.Option(help="Only the best so many trials.", min=1)] = None,
    csv: Annotated[Path | None, typer.Option(help="Write the table to a CSV file; - is stdout.")] = None,
    home: Home = None,
    storage: Storage = None,
    json: Json = False,
) -> None:
    """Ranks the trials of studies by validation score; test scores stand beside, and rank nothing."""
    from hpo.compare import read_studies, table
    from hpo.terminal import console, print_json, print_table, table_json, write_csv

    frame = table(read_studies(studies, home, storage))
    frame = frame if top is None else frame.head(top)
    if csv is not None:
        write_csv(frame, csv)
    elif json:
        print_json(table_json(frame))
    else:
        print_table(console(), frame)


@app.command()
def export(
    study: StudyName,
    trial: Annotated[int | None, typer.Option(help="A trial's number. [default: the best by validation score]")] = None,
    to: Annotated[
        Path | None, typer.Option(help="YAML file: parameters, experiment, scores, versions, digest.")
    ] = None,
    model: Annotated[Path | None, typer.Option(help="Keras file (.keras), its scaling in front.")] = None,
    home: Home = None,
    storage: Storage = None,
) -> None:
    """Exports a trial, the best one by default: as YAML that can be trained again, as a Keras model."""
    from hpo.export import export as export_trial
    from hpo.terminal import console

    for line in export_trial(study, trial, to, model, home, storage):
        console().print(line, soft_wrap=True)


@app.command()
def train(
    exported: Annotated[Path, typer.Argument(help="A file that hpo export wrote.", metavar="BEST.YAML")],
    model: Annotated[Path | None, typer.Option(help="Keras file (.keras) for the trained model.")] = None,
    json: Json = False,
) -> None:
    """Trains an exported configuration again, and shows both scores side by side."""
    from hpo.exported import read_exported
    from hpo.retrain import retrain
    from hpo.terminal import console, print_json, print_retrained, retrained_json

    file = read_exported(exported)
    done = retrain(file.plan, file.parameters, file.seed, file.epochs, save_to=model)
    print_json(retrained_json(file, done)) if json else print_retrained(console(), file, done)


@app.command()
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


@app.command()
def schema(
    kind: Annotated[Literal["experiment", "search-space"], typer.Argument(help="Which file.")],
) -> None:
    """Prints the JSON Schema of a file, for editors."""
    from hpo.schemas import json_schema
    from hpo.terminal import print_schema

    print_schema(json_schema(kind))


def main() -> NoReturn:
    """Runs the command; exit codes: 0 done, 1 failed, 2 a mistake of the user's, 3 failed trials, 130 interrupted."""
    try:
        code: Any = app(standalone_mode=True)
    except HpoError as error:
        sys.stderr.write(f"{error}\n")
        sys.exit(error.exit_code)
    except KeyboardInterrupt:
        sys.stderr.write("interrupted\n")
        sys.exit(130)
    sys.exit(code)
