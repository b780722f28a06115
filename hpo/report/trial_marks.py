"""Marks of trials, the same in every figure: by state, with the choice on top."""

from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Any

from hpo.report.plotly_json import BEST, COMPLETE, FAILED, PRUNED

if TYPE_CHECKING:
    import plotly.graph_objects as go

    from hpo.report.thinning import Source
    from hpo.study.record import TrialRecord

COLORS = {"complete": COMPLETE, "pruned": PRUNED, "failed": FAILED}
_SYMBOLS = {"complete": "circle", "pruned": "circle-open", "failed": "x-thin-open"}
_CROWD = 80
"""Above this number of trials marks are small and translucent."""

STAR: dict[str, Any] = {"symbol": "star", "size": 15, "color": BEST, "opacity": 1, "line": {"width": 0}}
"""The mark of the choice."""

Place = Callable[["TrialRecord"], tuple[Any, Any]]


def points(source: "Source", trials: "Sequence[TrialRecord]", place: Place, legend: bool = True) -> "list[go.Scatter]":
    """A trace for each state, then the choice where it is among the trials.

    Args:
        source: the study.
        trials: those that are drawn.
        place: the coordinates of a trial in the figure.
        legend: whether the traces appear in the legend; true in one of several figures side by side.
    """
    import plotly.graph_objects as go

    traces = []
    for state in COLORS:
        some = [trial for trial in trials if trial.state == state]
        if not some:
            continue
        places = [place(trial) for trial in some]
        trace = go.Scatter(
            x=[x for x, _ in places], y=[y for _, y in places], mode="markers", name=state, legendgroup=state,
            showlegend=legend, marker=marker(state, len(trials)), customdata=[trial.number for trial in some],
            cliponaxis=False,
        )  # fmt: skip
        traces.append(trace)
    chosen = star(source, trials, place, legend)
    return traces if chosen is None else [*traces, chosen]


def star(source: "Source", trials: "Sequence[TrialRecord]", place: Place, legend: bool = True) -> "go.Scatter | None":
    """The mark of the choice; None where it is not among the trials."""
    import plotly.graph_objects as go

    choice = source.choice
    found = [trial for trial in trials if choice and trial.number == choice.trial.number]
    if choice is None or not found:
        return None
    x, y = place(found[0])
    return go.Scatter(
        x=[x], y=[y], mode="markers", name=choice.name, legendgroup="choice", showlegend=legend, marker=STAR,
        customdata=[choice.trial.number], cliponaxis=False,
    )  # fmt: skip


def marker(state: str, trials: int) -> dict[str, Any]:
    """The mark of a state, in a figure with this number of trials."""
    crowd = trials > _CROWD
    strength = {"complete": 0.6, "pruned": 0.4, "failed": 0.8}[state] if crowd else 0.9
    line = {"width": 0 if state == "complete" else 1 if crowd else 2}
    look = {"color": COLORS[state], "symbol": _SYMBOLS[state], "line": line}
    return {**look, "size": 6 if crowd else 9, "opacity": strength}
