"""The names that a file may use: datasets, models, samplers, pruners."""

from collections.abc import Mapping
from typing import Literal

from rich.console import Console
from rich.table import Table


def known_names(what: Literal["datasets", "models", "samplers", "pruners"]) -> Mapping[str, str]:
    """Name -> what it is, in a line."""
    if what == "datasets":
        from hpo.data import KNOWN

        return KNOWN
    if what == "models":
        from hpo import models

        return models.KNOWN
    from hpo.samplers import PRUNERS, SAMPLERS

    table: Mapping[str, type] = SAMPLERS if what == "samplers" else PRUNERS
    return {name: f"Optuna's {kind.__name__}" for name, kind in table.items()}


def print_listing(out: Console, what: str, names: Mapping[str, str]) -> None:
    """A line for each name."""
    table = Table.grid(padding=(0, 2))
    for name, line in names.items():
        table.add_row(name, line)
    out.print(f"{what}:")
    out.print(table)
