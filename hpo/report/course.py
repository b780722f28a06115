"""The course of a search: the score of each trial, the best so far, and the learning curves."""

from collections.abc import Sequence
from datetime import datetime
from typing import TYPE_CHECKING, Any

from hpo.config.score import Score
from hpo.report.axes import limits, score_axis, whole_axis
from hpo.report.plotly_json import BEST, Drawing, Missing, drawing, unit_of
from hpo.report.thinning import Source, thin
from hpo.report.trial_marks import COLORS, STAR, marker, points, star
from hpo.text.values import count, duration, score

if TYPE_CHECKING:
    import plotly.graph_objects as go

    from hpo.study.record import TrialRecord

_POINTS, _CURVES, _FAILURES = 600, 400, 300
_CORNERS = 60
"""On a line of at most this many improvements each is marked by a point."""


def history(source: Source) -> Drawing | Missing:
    """The score of each trial, the best so far, and failed trials at the bottom."""
    import plotly.graph_objects as go

    if not source.scored:
        return Missing("No trial has a score yet.")
    metric = source.view.objective.metric
    thinned = thin(source.drawn, _POINTS, "points", keep=[*records(source), *source.chosen])
    shown = [trial for trial in source.drawn if trial.number in thinned.numbers]
    figure = go.Figure()
    last = max(trial.number for trial in source.view.trials)
    figure.add_traces([*_best_line(source, last), *points(source, shown, lambda t: (t.number, t.value))])
    failed, note = _failed(source)
    if failed is not None:
        figure.add_trace(failed)
        figure.update_layout(yaxis2={"overlaying": "y", "range": [0, 1], "visible": False, "fixedrange": True})
    figure.update_layout(
        xaxis={"title": "trial", **whole_axis(0, last)},
        yaxis=score_axis(metric, [trial.value or 0.0 for trial in shown]),
        showlegend=True, hovermode="closest",
    )  # fmt: skip
    best = source.scored[0]
    chosen = f" {source.choice.name}." if source.choice else ""
    alt = f"Score of each trial; the best, {metric} {score(best.value)}, came with trial {best.number}.{chosen}"
    return drawing(figure, alt, "; ".join(text for text in (thinned.note, note) if text))


def records(source: Source) -> "list[TrialRecord]":
    """The trials that were better than all with smaller numbers."""
    return _improvements(source, sorted(source.scored, key=lambda trial: trial.number))


def _improvements(source: Source, trials: "Sequence[TrialRecord]") -> "list[TrialRecord]":
    """The trials that were better than all before them, in the order of `trials`."""
    found: list[TrialRecord] = []
    best: Score | None = None
    for trial in trials:
        score = trial.score(source.view.objective)
        if score is not None and score.better_than(best):
            best = score
            found.append(trial)
    return found


def _best_line(source: Source, last: int) -> "list[go.Scatter]":
    """The line of the best so far, given by its corners: 10,000 trials have a few dozen. Empty if it has no length."""
    import plotly.graph_objects as go

    drawn = {trial.number for trial in source.drawn}
    corners = [(trial.number, trial.value) for trial in records(source) if trial.number in drawn]
    corners.append((last, corners[-1][1]))
    if corners[0][0] == last:
        return []
    x, y = zip(*corners, strict=True)
    line = {"shape": "hv", "color": BEST, "width": 2}
    return [go.Scatter(x=x, y=y, mode="lines", name="best so far", line=line, hoverinfo="skip")]


def _failed(source: Source) -> "tuple[go.Scatter | None, str]":
    """Marks of failed trials at the bottom, since they have no score; and a note where only some are shown."""
    import plotly.graph_objects as go

    numbers = [trial.number for trial in source.view.trials if trial.state == "failed"]
    if not numbers:
        return None, ""
    step = -(-len(numbers) // _FAILURES)
    shown = numbers[::step]
    note = f"of the {count(len(numbers))} failed trials, at the bottom, one in {step} is shown" if step > 1 else ""
    trace = go.Scatter(
        x=shown, y=[0.025] * len(shown), yaxis="y2", mode="markers", name="failed",
        marker=marker("failed", len(source.view.trials)), customdata=shown, cliponaxis=False,
    )  # fmt: skip
    return trace, note


def over_time(sources: Sequence[Source]) -> Drawing | Missing:
    """The best score so far against the time since a study's first trial began; a line for each study."""
    import plotly.graph_objects as go

    lines = {source.view.name: best_so_far(source) for source in sources}
    lines = {name: line for name, line in lines.items() if line}
    single = len(sources) == 1
    if not lines or (single and len(sources[0].scored) < 2):
        return Missing("Fewer than two trials have a score: there is nothing to compare over time.")
    longest = max(line[-1][0] for line in lines.values())
    size, unit = unit_of(longest)
    figure = go.Figure()
    for name, line in lines.items():
        figure.add_trace(_time_line(name, line, size))
    if single:
        figure.update_traces(line_color=BEST, name="best so far")
        chosen = star(sources[0], sources[0].chosen, lambda trial: (_seconds(sources[0], trial) / size, trial.value))
        if chosen is not None:
            figure.add_trace(chosen)
    metrics = ", ".join(dict.fromkeys(source.view.objective.metric for source in sources))
    values = [value for trace in figure.data for value in trace.y]
    figure.update_layout(
        xaxis={"title": unit, "range": [0, 1.03 * longest / size or 1.0], "minallowed": 0},
        yaxis={**score_axis(metrics, values), "title": metrics}, showlegend=True, hovermode="closest",
    )  # fmt: skip
    ends = "; ".join(f"{name} reached {score(line[-1][1])}" for name, line in lines.items())
    return drawing(figure, f"Best score so far against time: {ends}.")


def _time_line(name: str, line: Sequence[tuple[float, float]], size: float) -> "go.Scatter":
    import plotly.graph_objects as go

    texts = [f"{name}: {score(value)} after {duration(seconds)}" for seconds, value in line]
    return go.Scatter(
        x=[seconds / size for seconds, _ in line], y=[value for _, value in line], name=name,
        mode="lines+markers" if len(line) <= _CORNERS else "lines", line={"shape": "hv", "width": 2},
        marker={"size": 6}, hovertext=texts, hoverinfo="text", cliponaxis=False,
    )  # fmt: skip


def best_so_far(source: Source) -> list[tuple[float, float]]:
    """(seconds since the first trial began, best score) at each improvement and when the last trial ended."""
    ended = sorted((trial for trial in source.scored if trial.ended), key=lambda trial: _seconds(source, trial))
    line = [(_seconds(source, trial), trial.value or 0.0) for trial in _improvements(source, ended)]
    return [*line, (_seconds(source, ended[-1]), line[-1][1])] if line else []


def _seconds(source: Source, trial: "TrialRecord") -> float:
    """From the beginning of the study's first trial to the end of this one."""
    begun = began(source.view.trials)
    return (trial.ended - begun).total_seconds() if begun and trial.ended else 0.0


def began(trials: "Sequence[TrialRecord]") -> datetime | None:
    """When the first trial began."""
    return min((trial.started for trial in trials if trial.started), default=None)


def curves(source: Source) -> Drawing | Missing:
    """Learning curves: the objective after each epoch, or its mean after each fold, a line for each trial."""
    import plotly.graph_objects as go

    metric = source.view.objective.metric
    thinned = thin(source.drawn, _CURVES, "curves", keep=source.chosen)
    drawn = [(t, _curve(t, metric)) for t in reversed(source.drawn) if t.number in thinned.numbers]
    lines = [(trial, line) for trial, line in drawn if line]
    if not lines:
        return Missing("No trial has a score after an epoch yet.")
    step = "fold" if source.scored[0].fold_lengths else "epoch"
    chosen = {trial.number for trial in source.chosen}
    figure = go.Figure()
    for state in ("pruned", "complete"):
        some = [(t, line) for t, line in lines if t.state == state and t.number not in chosen]
        if some:
            figure.add_trace(_joined(some, state, step, len(lines)))
    for trial, line in lines:
        if source.choice and trial.number in chosen:
            trace = _joined([(trial, line)], trial.state, step, 1)
            dots = {**STAR, "size": 7, "symbol": "circle"} if len(line) > 1 else STAR
            trace.update(name=source.choice.name, line={"color": BEST, "width": 3, "dash": "solid"}, marker=dots)
            figure.add_trace(trace)
    longest = max(max(line) for _, line in lines)
    values = [value for _, line in lines for value in line.values()]
    figure.update_layout(
        xaxis={"title": step, **whole_axis(1, longest)}, yaxis=_curve_axis(source, values), showlegend=True,
        hovermode="closest", legend_traceorder="reversed",
    )  # fmt: skip
    chosen_one = f"; {source.choice.name}" if source.choice else ""
    alt = f"{metric} after each {step} of {len(lines)} trials; pruned ones are dim{chosen_one}."
    return drawing(figure, alt, thinned.note, height=440)


def _curve(trial: "TrialRecord", metric: str) -> dict[int, float]:
    import math

    return {step: value for step, value in trial.reports(metric).items() if math.isfinite(value)}


def _joined(
    lines: "Sequence[tuple[TrialRecord, dict[int, float]]]", state: str, step: str, trials: int
) -> "go.Scatter":
    """Many curves as one trace with gaps, since hundreds of traces are slow to draw. A single point is a marker."""
    import plotly.graph_objects as go

    x: list[int | None] = []
    y: list[float | None] = []
    numbers: list[int | None] = []
    texts: list[str] = []
    sizes: list[int] = []
    crowd = trials > 40
    for trial, line in lines:
        x += [*line, None]
        y += [*line.values(), None]
        numbers += [trial.number] * len(line) + [None]
        texts += [*(f"{step} {place}: {score(value)}" for place, value in line.items()), ""]
        size = (4 if crowd else 8) if len(line) == 1 else 0 if crowd else 5
        sizes += [size] * (len(line) + 1)
    line_of = {"color": COLORS[state], "width": 1.2 if crowd else 2, "dash": "dot" if state == "pruned" else "solid"}
    return go.Scatter(
        x=x, y=y, mode="lines+markers", name=state, line=line_of, connectgaps=False, customdata=numbers,
        opacity=(0.6 if state == "complete" else 0.4) if crowd else 0.9,
        hovertext=texts, cliponaxis=False, marker={"size": sizes, "color": COLORS[state], "line": {"width": 0}},
    )  # fmt: skip


def _curve_axis(source: Source, values: list[float]) -> dict[str, Any]:
    """The axis of scores. If the first epochs are far worse than others, it ends near the 90% quantile of values."""
    import numpy as np

    objective = source.view.objective
    axis = score_axis(objective.metric, values)
    losses = -objective.merit(np.array(values))
    usual, best = float(np.quantile(losses, 0.9)), float(losses.min())
    if losses.max() <= usual + 10 * (usual - best):
        return axis
    near = [value for value, loss in zip(values, losses, strict=True) if loss <= usual + 2 * (usual - best)]
    # The limits are those of all values, so that the reader can zoom out to the others.
    low, high = limits(objective.metric, values)
    return {**score_axis(objective.metric, near), "minallowed": low, "maxallowed": high}
