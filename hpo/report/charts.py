"""Charts of the time spent, of failures, and of a confusion matrix."""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from hpo.report.axes import whole_axis
from hpo.report.course import began
from hpo.report.plotly_json import COMPLETE, FAILED, PRUNED, Drawing, Missing, drawing, unit_of
from hpo.text.values import count, duration, percent

if TYPE_CHECKING:
    from hpo.study.failure import Failure
    from hpo.study.record import TrialRecord


@dataclass(frozen=True)
class Spent:
    """The time that some trials spent, in seconds."""

    kind: str
    """complete, pruned, or the reason of their failure."""
    trials: int
    total: float
    training: float
    """Time in epochs, including validation."""

    @property
    def rest(self) -> float:
        """Time for building, compiling, testing, saving and waiting."""
        return max(0.0, self.total - self.training)


def time_spent(trials: "Sequence[TrialRecord]") -> list[Spent]:
    """The time that ended trials spent, by how they ended."""
    kinds: dict[str, list[TrialRecord]] = {}
    for trial in trials:
        if trial.seconds is not None:
            kinds.setdefault(_kind(trial), []).append(trial)
    rows = [
        Spent(kind, len(some), sum(trial.seconds or 0.0 for trial in some), sum(map(_training, some)))
        for kind, some in kinds.items()
    ]
    return sorted(rows, key=lambda row: -row.total)


def _kind(trial: "TrialRecord") -> str:
    return f"failed: {trial.reason}" if trial.state == "failed" else trial.status


def _training(trial: "TrialRecord") -> float:
    seconds = sum(value for value in trial.curves.get("seconds", ()) if math.isfinite(value))
    return min(seconds, trial.seconds or 0.0)


def wall_time(trials: "Sequence[TrialRecord]") -> float | None:
    """Seconds from the first trial's beginning to the last one's end, including pauses between runs."""
    begun, ended = began(trials), max((trial.ended for trial in trials if trial.ended), default=None)
    return (ended - begun).total_seconds() if begun and ended else None


def time_chart(rows: Sequence[Spent]) -> Drawing | Missing:
    """The time spent as a bar chart."""
    import plotly.graph_objects as go

    if not rows:
        return Missing("No trial has ended yet.")
    kinds = [f"{row.kind} ({count(row.trials)})" for row in rows]
    size, unit = unit_of(rows[0].total)
    figure = go.Figure()
    for name, color, values in (
        ("training", COMPLETE, [row.training for row in rows]),
        ("building, compiling, testing, saving, waiting", PRUNED, [row.rest for row in rows]),
    ):
        hover = [f"{name}: {duration(value)}" for value in values]
        x = [value / size for value in values]
        figure.add_bar(y=kinds, x=x, name=name, orientation="h", marker_color=color, hovertext=hover, hoverinfo="text")
    figure.update_layout(
        barmode="stack", xaxis_title=unit, yaxis_autorange="reversed", showlegend=True, legend_traceorder="normal"
    )
    total = sum(row.total for row in rows)
    parts = ", ".join(f"{row.kind} {percent(row.total / total if total else 0.0)}" for row in rows)
    return drawing(figure, f"Time of all trials, {duration(total)}: {parts}.", height=150 + 34 * len(rows))


@dataclass(frozen=True)
class Failures:
    """Trials that failed for the same reason."""

    reason: str
    numbers: tuple[int, ...]
    example: "Failure | None"
    """The failure of the last of them."""


def failures(trials: "Sequence[TrialRecord]") -> list[Failures]:
    """The failed trials by reason, the most frequent first."""
    reasons: dict[str, list[TrialRecord]] = {}
    for trial in trials:
        if trial.state == "failed":
            reasons.setdefault(trial.reason or "unknown", []).append(trial)
    rows = [
        Failures(reason, tuple(trial.number for trial in some), some[-1].failure) for reason, some in reasons.items()
    ]
    return sorted(rows, key=lambda row: -len(row.numbers))


def failure_chart(rows: Sequence[Failures]) -> Drawing:
    """The failures as a bar chart."""
    import plotly.graph_objects as go

    counts = [len(row.numbers) for row in rows]
    names = [row.reason for row in rows]
    figure = go.Figure(go.Bar(y=names, x=counts, text=counts, orientation="h", marker_color=FAILED))
    figure.update_layout(xaxis_title="trials", yaxis_autorange="reversed")
    # Room for the number at the end of the longest bar.
    figure.update_xaxes(**{**whole_axis(0, max(counts)), "range": [0, 1.08 * max(counts)]})
    words = ", ".join(f"{row.reason} {len(row.numbers)}" for row in rows)
    return drawing(figure, f"Failed trials by reason: {words}.", height=110 + 34 * len(rows))


def confusion_chart(matrix: Sequence[Sequence[int]], names: Sequence[str]) -> Drawing:
    """A confusion matrix: a row for each true class, coloured by the share of its samples."""
    import plotly.graph_objects as go

    shares = [[value / (sum(row) or 1) for value in row] for row in matrix]
    hover = [
        [
            f"{true}, predicted {predicted}: {count(value)} of {count(sum(row))}"
            for predicted, value in zip(names, row, strict=True)
        ]
        for true, row in zip(names, matrix, strict=True)
    ]
    heat = go.Heatmap(z=shares, x=list(names), y=list(names), hovertext=hover, hoverinfo="text", zmin=0, zmax=1,
                      autocolorscale=True, showscale=False, xgap=1, ygap=1)  # fmt: skip
    if len(names) <= 20:
        heat.update(text=[[value or "" for value in row] for row in matrix], texttemplate="%{text}")
    figure = go.Figure(heat)
    axis: Mapping[str, object] = {
        "type": "category",
        "showgrid": False,
        "tickmode": "linear" if len(names) <= 40 else "auto",
    }
    figure.update_layout(xaxis={**axis, "title": "predicted"}, yaxis={**axis, "title": "true", "autorange": "reversed"})
    hits, total = sum(row[place] for place, row in enumerate(matrix)), sum(map(sum, matrix))
    alt = f"Confusion matrix of {len(names)} classes: {count(hits)} of {count(total)} predictions are right."
    return drawing(figure, alt, height=min(760, 180 + 34 * len(names)), width=620 if len(names) > 12 else 0)
