"""Figures of how the score depends on the parameters, and which of them matter. They need enough trials."""

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from optuna.distributions import CategoricalDistribution, IntDistribution

from hpo.report.axes import labelled, log_ticks, parameter_axis, score_axis
from hpo.report.importance import Importances
from hpo.report.plotly_json import COMPLETE, Drawing, Missing, drawing, themed
from hpo.report.thinning import Sample, Source, comparable, thin_comparable
from hpo.report.trial_marks import points
from hpo.text.values import percent, setting

if TYPE_CHECKING:
    import plotly.graph_objects as go

    from hpo.study.record import TrialRecord

_POINTS, _CONTOUR = 600, 120
_GREY = "#bbb"
ENOUGH = 20
"""The number of trials with a score from which on scores are interpolated, and edges of ranges looked at."""


def importance(found: Importances) -> Drawing | Missing:
    """The importances as a bar chart with their intervals; parameters that may matter by chance alone are grey."""
    import plotly.graph_objects as go

    if not found.found:
        return Missing(found.basis)
    shown = found.found
    names, shares = [one.name for one in shown], [one.share for one in shown]
    figure = go.Figure(go.Bar(
        y=names, x=shares, orientation="h", marker_color=[COMPLETE if one.matters else _GREY for one in shown],
        error_x={"type": "data", "symmetric": False, "array": [one.high - one.share for one in shown],
                 "arrayminus": [one.share - one.low for one in shown], "color": "#444", "thickness": 1.2},
        hoverinfo="skip", showlegend=False,
    ))  # fmt: skip
    figure.update_layout(
        xaxis={"title": "share of the variance of the scores", "tickformat": ".0%", "minallowed": 0,
               "range": [0, 1.05 * max(one.high for one in shown)]},
        yaxis={"autorange": "reversed", "type": "category"}, showlegend=False,
    )  # fmt: skip
    listed = ", ".join(f"{one.name} {percent(one.share)} ({percent(one.low)} to {percent(one.high)})" for one in shown)
    return drawing(figure, f"Importance of the parameters, with 95% intervals: {listed}.", height=140 + 30 * len(shown))


def slices(source: Source, names: Sequence[str]) -> Drawing | Missing:
    """The score against each of some parameters."""
    from plotly.subplots import make_subplots

    if not names:
        return Missing("No parameter is known to matter.")
    thinned = thin_comparable(comparable(source), _POINTS, keep=source.chosen)
    trials = [trial for trial in source.drawn if trial.number in thinned.numbers]
    metric = source.view.objective.metric
    figure = make_subplots(1, len(names), shared_yaxes=True, horizontal_spacing=0.05)
    for column, name in enumerate(names, 1):
        some = [trial for trial in trials if name in trial.params]
        for trace in points(source, some, lambda t, name=name: (_at(source, t, name), t.value), legend=column == 1):  # type: ignore[misc]
            figure.add_trace(trace, row=1, col=column)
        values = [trial.params[name] for trial in some]
        figure.update_xaxes(parameter_axis(name, source.distributions[name], values), row=1, col=column)
    axis = score_axis(metric, [trial.value or 0.0 for trial in trials])
    figure.update_yaxes({**axis, "title": None})
    figure.update_yaxes(title=metric, row=1, col=1)
    figure.update_layout(showlegend=True, hovermode="closest")
    return drawing(figure, f"{metric} against {' and against '.join(names)}, a point for each trial.", thinned.note)


def _at(source: Source, trial: "TrialRecord", name: str) -> Any:
    """A parameter's value on its axis: a choice is a text."""
    value = trial.params[name]
    return setting(value) if isinstance(source.distributions[name], CategoricalDistribution) else value


def contour(source: Source, names: Sequence[str]) -> Drawing | Missing:
    """The score over two parameters."""
    from optuna.visualization import plot_contour

    if len(names) < 2:
        return Missing("Needs two parameters that vary.")
    # Optuna may lack some parameters of trials that come from another study.
    drawn = [trial for trial in comparable(source) if trial.number in source.sampled]
    both = [trial for trial in drawn if all(name in source.sampled[trial.number].params for name in names)]
    if len(both) < ENOUGH or any(len({str(trial.params[name]) for trial in both}) < 2 for name in names):
        kind = "complete " if all(trial.state == "complete" for trial in both) else ""
        return Missing(
            f"The score over both parameters together needs {ENOUGH} {kind}trials, since it is interpolated between "
            f"them: {len(both)} can be compared."
        )
    thinned = thin_comparable(both, _CONTOUR, keep=[trial for trial in source.chosen if trial in both])
    metric = source.view.objective.metric
    figure = plot_contour(Sample(source, thinned.numbers), list(names), target_name=metric)
    figure.update_traces(line_width=0, hoverinfo="skip", selector={"type": "contour"})
    _own_points(source, figure, [trial for trial in both if trial.number in thinned.numbers])
    _ticks(source, figure)
    themed(figure)
    figure.update_layout(showlegend=True, hovermode="closest")
    alt = f"{metric} over {' and '.join(names)}, interpolated between the trials, which are the points."
    return drawing(figure, alt, thinned.note, height=440)


def _own_points(source: Source, figure: "go.Figure", trials: "Sequence[TrialRecord]") -> None:
    """Replaces Optuna's points, which all look alike, by points marked by state, and marks the choice."""
    # The first trace has the trials that meet constraints: all, since there are none. Optuna orders them by number.
    drawn = next(figure.select_traces({"type": "scatter"}))
    places = dict(zip(sorted(trial.number for trial in trials), zip(drawn.x, drawn.y, strict=True), strict=True))
    marks = points(source, trials, lambda trial: places[trial.number])
    for mark in marks:
        if mark.legendgroup != "choice":
            mark.marker.update(size=7, opacity=1, color="white", line={"width": 1, "color": "#444"}, symbol="circle")
    figure.data = [trace for trace in figure.data if trace.type == "contour"]
    figure.add_traces(marks)


def _ticks(source: Source, figure: "go.Figure") -> None:
    """Gives the axes the ticks of other axes of the same parameters; whole numbers have whole ticks."""
    for axis in (figure.layout.xaxis, figure.layout.yaxis):
        whole = isinstance(source.distributions[axis.title.text], IntDistribution)
        if axis.type == "log":
            ends = [10.0**end for end in axis.range]
            axis.update(labelled([int(tick) if whole else tick for tick in log_ticks(*ends)[1:-1]]))
        elif axis.type is None and whole and axis.range and axis.range[1] - axis.range[0] <= ENOUGH // 2:
            axis.dtick = 1
