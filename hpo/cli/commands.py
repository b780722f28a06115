"""The table of subcommands, in the order in which `hpo --help` lists them."""

import sys
from typing import Annotated

import typer

from hpo.cli.experiment_commands import check, explain, init, run, schema, show_data
from hpo.cli.model_commands import export, predict, train
from hpo.cli.reuse_commands import copy, extend, log, warm_start
from hpo.cli.study_commands import compare, confirm, list_, report, show, ui

app = typer.Typer(
    no_args_is_help=True,
    pretty_exceptions_enable=False,
    # Rich takes as long to import as everything else together, and would take "[default: ...]" for markup.
    rich_markup_mode=None,
    context_settings={"help_option_names": ["-h", "--help"]},
    help="Tunes hyperparameters of Keras models: Optuna proposes, Keras trains, MLflow logs.",
)


@app.callback(invoke_without_command=True)
def options(
    version: Annotated[bool, typer.Option("--version", help="Print the version and exit.", is_eager=True)] = False,
) -> None:
    """Tunes hyperparameters of Keras models: Optuna proposes, Keras trains, MLflow logs."""
    if version:
        from hpo.system.versions import versions

        sys.stdout.write(f"hpo {versions()['hpo']}\n")
        raise typer.Exit


for name, function in (
    ("init", init), ("run", run), ("check", check), ("show-data", show_data),
    ("list", list_), ("show", show), ("compare", compare), ("confirm", confirm), ("report", report),
    ("export", export), ("train", train), ("predict", predict),
    ("log", log), ("copy", copy), ("extend", extend), ("warm-start", warm_start),
    ("ui", ui), ("explain", explain), ("schema", schema),
):  # fmt: skip
    app.command(name)(function)
