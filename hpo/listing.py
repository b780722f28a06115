"""The names that a file may use: datasets, models, samplers, pruners."""

from collections.abc import Mapping

from rich.console import Console
from rich.table import Table

from hpo.errors import UserError, nearest


def known_names(what: str) -> Mapping[str, str]:
    """Name -> what it is, in a line.

    Raises:
        UserError: hpo keeps no such list.
    """
    if what == "datasets":
        from hpo.data import KNOWN

        return KNOWN
    if what == "models":
        from hpo import models

        return models.KNOWN
    if what in ("samplers", "pruners"):
        from hpo.samplers import PRUNERS, SAMPLERS

        table = SAMPLERS if what == "samplers" else PRUNERS
        return {name: f"optuna {kind.__name__}" for name, kind in table.items()}
    lists = ("studies", "datasets", "models", "samplers", "pruners")
    raise UserError(f"no list of {what!r}; {nearest(what, lists)}")


def print_listing(out: Console, what: str, names: Mapping[str, str]) -> None:
    """A line for each name."""
    table = Table.grid(padding=(0, 2))
    for name, line in names.items():
        table.add_row(name, line)
    out.print(f"{what}:")
    out.print(table)
