"""The output of `hpo list`: the studies of a store, or the names that a file may use."""

from collections.abc import Mapping, Sequence
from dataclasses import asdict
from typing import TYPE_CHECKING, Any, Literal

from rich.console import Console

from hpo.text.tables import Column, print_facts, print_table
from hpo.text.values import NOTHING, counts, score

if TYPE_CHECKING:
    from hpo.compare.study_list import StudyLine


def print_studies(out: Console, lines: "Sequence[StudyLine]", wide: bool = False) -> None:
    """Prints a line for each study."""
    if not lines:
        out.print("no studies yet; start one with hpo run EXPERIMENT")
        return
    columns = [
        Column("study", [line.study for line in lines], text=True),
        Column("objective", [line.objective for line in lines], 1, text=True),
        Column("best", [score(line.best) for line in lines]),
        Column("trial", [NOTHING if line.trial is None else str(line.trial) for line in lines], 3),
        Column("trials", [counts(line.states) for line in lines], 2, text=True),
        Column("dataset", [line.dataset for line in lines], 4, text=True),
        Column("model", [line.model for line in lines], 5, text=True),
    ]
    print_table(out, columns, wide=wide, more="hpo list --wide shows them")


def studies_json(lines: "Sequence[StudyLine]") -> dict[str, Any]:
    """The studies of a store for programs."""
    return {"studies": [asdict(line) for line in lines]}


def known_names(what: Literal["datasets", "models", "schedules", "samplers", "pruners"]) -> Mapping[str, str]:
    """Name -> its description in a line."""
    if what == "datasets":
        from hpo.data import KNOWN

        return KNOWN
    if what == "models":
        from hpo import models

        return models.KNOWN
    if what == "schedules":
        from hpo.project.keys import find

        return find("study.schedule.name").text.values
    from hpo.study.samplers import PRUNERS, SAMPLERS

    table: Mapping[str, type] = SAMPLERS if what == "samplers" else PRUNERS
    return {name: f"Optuna's {kind.__name__}" for name, kind in table.items()}


def print_listing(out: Console, what: str, names: Mapping[str, str]) -> None:
    """Prints a line for each name."""
    out.print(f"{what}:")
    print_facts(out, list(names.items()))
