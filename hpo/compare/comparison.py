"""How a comparison is shown: tables for people, JSON and CSV for programs."""

import json
from collections.abc import Mapping, Sequence
from dataclasses import asdict
from typing import TYPE_CHECKING, Any

from rich.console import Console
from rich.table import Table

from hpo.compare.compare import parameter_columns
from hpo.compare.summary import StudySummary, differences, summaries
from hpo.terminal import cell, finite

if TYPE_CHECKING:
    import pandas as pd

    from hpo.store import StudyView

# More lines than this nobody reads in a window; files have them all.
_LINES = 100


def print_comparison(out: Console, views: "Sequence[StudyView]", frame: "pd.DataFrame") -> None:
    """The trials, ranked; of several studies first the studies themselves and what differs in them."""
    if len(views) > 1:
        _print_studies(out, summaries(views))
        _print_differences(out, differences(views), [view.name for view in views])
    _print_trials(out, frame, parameter_columns(views))
    for view in views:
        if view.confirmation is not None:
            out.print(
                f"Noise floor of {view.name}: {cell(view.confirmation.noise_floor)} from seed to seed; "
                "a single run that is behind by less cannot be told apart from the best."
            )


def comparison_json(views: "Sequence[StudyView]", frame: "pd.DataFrame") -> dict[str, Any]:
    """The same for programs: `trials`, `studies`, and `differences` in their definitions."""
    rows = frame.astype(object).to_dict(orient="records")
    return {
        "trials": [{str(name): finite(value) for name, value in row.items()} for row in rows],
        "studies": [asdict(line) for line in summaries(views)],
        "differences": differences(views),
    }


def _print_studies(out: Console, lines: Sequence[StudySummary]) -> None:
    table = Table(
        "study", "objective", "best", "trial", "trials", "seconds", "mean by trials", "mean by time", "confirmed",
        "behind", title="Studies", title_justify="left",
    )  # fmt: skip
    for line in lines:
        noise = {True: "beyond noise", False: "within noise", None: ""}[line.beyond_noise]
        table.add_row(
            line.study, line.metric, cell(line.best), cell(line.trial), str(line.trials), cell(line.seconds, ".0f"),
            cell(line.by_trials), cell(line.by_time), cell(line.confirmed), f"{cell(line.behind)} {noise}".strip(),
        )  # fmt: skip
    out.print(table)
    out.print("mean by trials, by time: the best score so far, averaged over the length of the shortest study.\n")


def _print_differences(out: Console, found: Mapping[str, Mapping[str, Any]], names: Sequence[str]) -> None:
    if not found:
        out.print("The studies were defined alike.\n")
        return
    table = Table("differs in", title="Definitions", title_justify="left")
    for name in names:
        table.add_column(name, overflow="fold")
    for key, values in found.items():
        table.add_row(key, *(_value(values[name]) if name in values else "-" for name in names))
    out.print(table)


def _value(value: Any) -> str:
    return value if isinstance(value, str) else json.dumps(value)


def _print_trials(out: Console, frame: "pd.DataFrame", parameters: Sequence[str]) -> None:
    """The table; parameters that never vary are named below it."""
    if frame.empty:
        out.print("no trials: none has begun, or --where leaves none")
        return
    present = [name for name in parameters if name in frame.columns]
    same = {name: frame[name].iloc[0] for name in present if len(frame) > 1 and frame[name].map(repr).nunique() == 1}
    shown = [name for name in frame.columns if name not in same]
    if len(frame) and frame["study"].nunique() == 1:
        shown.remove("study")
    if "failure" in shown and frame["failure"].isna().all():
        shown.remove("failure")
    table = Table(*shown, title="Trials, by validation score", title_justify="left")
    for values in frame[shown].head(_LINES).itertuples(index=False, name=None):
        table.add_row(*(_cell(value) for value in values))
    out.print(table)
    if len(frame) > _LINES:
        out.print(f"and {len(frame) - _LINES:,} more: narrow them with --where, or write all with --csv FILE")
    same = {name: value for name, value in same.items() if finite(value) is not None}
    if same:
        out.print("the same in all: " + ", ".join(f"{name} {cell(value, '.4g')}" for name, value in same.items()))


def _cell(value: Any) -> str:
    if isinstance(value, bool):
        return "yes" if value else "no"
    value = finite(value)
    # Whole numbers become floats in a column where some are missing.
    return str(int(value)) if isinstance(value, float) and value.is_integer() else cell(value, ".4g")
