"""Commands on studies: list, show, compare, confirm, report, and the MLflow UI. They hold no logic."""

from pathlib import Path
from typing import Annotated, Literal

import typer

from hpo.cli.completion import study_names
from hpo.cli.options import Home, Json, Storage, Studies, StudyName, TrackingUri, Wide

Listed = Literal["studies", "datasets", "models", "schedules", "samplers", "pruners"]


def list_(
    what: Annotated[
        Listed, typer.Argument(help="The studies here, or names that you can use in the files.")
    ] = "studies",
    home: Home = None,
    storage: Storage = None,
    wide: Wide = False,
    json: Json = False,
) -> None:
    """Lists studies, or the names that files may use.

    Without an argument it lists the studies. Datasets, models, schedules, samplers and pruners are names for the files.
    """
    from hpo.cli.json_output import print_json
    from hpo.cli.list_output import known_names, print_listing, print_studies, studies_json
    from hpo.text.console import console

    if what == "studies":
        from hpo.compare.study_list import study_lines

        lines = study_lines(home, storage)
        print_json(studies_json(lines)) if json else print_studies(console(), lines, wide)
    else:
        names = known_names(what)
        print_json(dict(names)) if json else print_listing(console(), what, names)


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

    For a trial it shows parameters, curves and scores, and why the trial failed.
    """
    from hpo.cli.json_output import print_json
    from hpo.cli.study_output import print_study, study_json
    from hpo.cli.trial_output import print_trial, trial_json
    from hpo.compare.compare import read_studies
    from hpo.export.export import chosen
    from hpo.text.console import console

    (view,) = read_studies([study], home, storage)
    if trial is None:
        print_json(study_json(view)) if json else print_study(console(), view, wide)
    else:
        record = chosen(view, trial)
        if json:
            print_json(trial_json(record, view.objective.metric))
        else:
            print_trial(console(), view, record, wide)


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
    from hpo.cli.json_output import print_json
    from hpo.compare.compare import chosen, read_studies, table
    from hpo.system.csv_files import write_csv
    from hpo.text.console import console

    views = read_studies(studies, home, storage)
    frame = chosen(table(views), where, top)
    if csv is not None:
        write_csv(frame, None if str(csv) == "-" else csv)
    elif json:
        print_json(comparison_json(views, frame))
    else:
        print_comparison(console(), views, frame, wide)


def confirm(  # noqa: PLR0913, PLR0917 - one argument, one option of the command
    study: StudyName,
    top: Annotated[int, typer.Option(help="Take the N best configurations.", metavar="N", min=1)] = 5,
    seeds: Annotated[
        int,
        typer.Option(
            help="Train each of them N times on average, each time with another random seed.", metavar="N", min=2
        ),
    ] = 5,
    trials: Annotated[
        str | None, typer.Option(help="Take these trials instead of the best: 3,7,12.", metavar="NUMBERS")
    ] = None,
    race: Annotated[
        bool,
        typer.Option(
            "--race/--no-race",
            help="Train the better half of the finalists over more seeds. Or give all the same number of seeds.",
        ),
    ] = True,
    margin: Annotated[
        float | None,
        typer.Option(
            help="Take the cheapest model whose mean is within this of the best one, in the unit of the score: 0.001 "
            "is a tenth of a percentage point of accuracy. [default: take the best mean]",
            min=0,
        ),
    ] = None,
    splits: Annotated[
        bool,
        typer.Option(
            "--splits", help="Draw another split into training and validation (or other folds) with each seed."
        ),
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
    from hpo.cli.json_output import print_json
    from hpo.confirm.confirm import confirm as confirm_study
    from hpo.confirm.confirm import numbers
    from hpo.text.console import console

    confirmed = confirm_study(
        study, numbers(trials) if trials else top, seeds, race=race, margin=margin, splits=splits,
        workers=workers, timeout=timeout, home=home, storage=storage, tracking_uri=uri, console=console(stderr=json),
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
            "--format", help="html is a page, md is Markdown for a pull request. [default: by the file's suffix]"
        ),
    ] = None,
    log: Annotated[bool, typer.Option(help="Also log the page to MLflow.")] = True,
    home: Home = None,
    storage: Storage = None,
    uri: TrackingUri = None,
    json: Json = False,
) -> None:
    """Writes a report: one HTML file with the results.

    It says which configuration to use, how sure that is and what it costs, and has charts of the search.
    """
    from hpo.cli.json_output import print_json
    from hpo.report.report import report_command
    from hpo.text.console import console

    done = report_command(studies, output, form, log, home, storage, console(stderr=True), uri)
    if json:
        print_json(done.as_json())
    else:
        for line in done.lines():
            console().print(line, soft_wrap=True, markup=False)


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
