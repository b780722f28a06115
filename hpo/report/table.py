"""The trials as a table that can be sorted: all of a small study, the best of a large one."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from hpo.text.values import NOTHING, count, duration, score, setting

if TYPE_CHECKING:
    from hpo.report.thinning import Source
    from hpo.study.record import TrialRecord

_MOST = 100


@dataclass(frozen=True)
class Cell:
    """A cell."""

    text: str
    key: float | None = None
    """The number by which the cell is sorted, where it is one."""
    link: str | None = None


@dataclass(frozen=True)
class Row:
    """A row: a trial."""

    cells: Sequence[Cell]
    chosen: bool


@dataclass(frozen=True)
class Column:
    """A column."""

    name: str
    number: bool = False


@dataclass(frozen=True)
class Table:
    """Trials, best first; those without a score last."""

    columns: Sequence[Column]
    rows: Sequence[Row]
    of: int
    """How many trials the study has."""
    links: Mapping[int, str] = field(default_factory=dict)


def listed(source: "Source") -> "list[TrialRecord]":
    """The trials of the table, at most 100; the choice is among them."""
    scored = {trial.number for trial in source.scored}
    others = sorted((t for t in source.view.trials if t.number not in scored), key=lambda trial: trial.number)
    trials = [*source.scored, *others][:_MOST]
    choice = source.choice
    if choice and all(trial.number != choice.trial.number for trial in trials):
        trials.append(choice.trial)
    return trials


def trial_table(source: "Source", links: Mapping[int, str]) -> Table:
    """The table of a study's trials; a number with a link leads to the trial's run in MLflow."""
    names = list(source.distributions)
    trials = listed(source)
    # Columns of numbers are aligned right, other columns of parameters left.
    numeric = [all(_number(t.params[name]) is not None for t in trials if name in t.params) for name in names]
    columns = [
        Column("trial", True), Column("state"), Column(source.view.objective.metric, True), Column("epochs", True),
        Column("time", True), Column("model parameters", True),
        *(Column(name, number) for name, number in zip(names, numeric, strict=True)),
    ]  # fmt: skip
    chosen = source.choice.trial.number if source.choice else None
    rows = [Row(_cells(trial, names, links), trial.number == chosen) for trial in trials]
    return Table(columns, rows, len(source.view.trials), links)


def _cells(trial: "TrialRecord", names: Sequence[str], links: Mapping[int, str]) -> list[Cell]:
    state = f"{trial.state}: {trial.reason}" if trial.failure else trial.status
    return [
        Cell(str(trial.number), trial.number, links.get(trial.number)),
        Cell(state),
        Cell(score(trial.value), trial.value),
        Cell(str(trial.epochs), trial.epochs),
        Cell(duration(trial.seconds), trial.seconds),
        Cell(count(trial.model_parameters), trial.model_parameters),
        *(Cell(setting(trial.params[n]), _number(trial.params[n])) if n in trial.params else Cell(NOTHING)
          for n in names),
    ]  # fmt: skip


def _number(value: Any) -> float | None:
    return value if isinstance(value, int | float) and not isinstance(value, bool) else None
