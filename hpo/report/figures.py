"""What Optuna draws of a study, and how it is thinned and coloured."""

from collections.abc import Sequence
from typing import TYPE_CHECKING

from hpo.record import FOLD
from hpo.report.drawing import BEST, COMPLETE, PRUNED, WEAK, Drawing, Missing, drawing, themed
from hpo.report.formats import percent, score
from hpo.report.thinning import Sample, Source, Thinned, thin

if TYPE_CHECKING:
    import plotly.graph_objects as go

    from hpo.record import TrialRecord

_POINTS, _CURVES, _LINES, _CONTOUR = 600, 400, 240, 120
_ENOUGH = 10
_TOO_FEW = Missing("Needs at least two trials with a score.")


def history(source: Source) -> Drawing | Missing:
    """The score of each trial and the best so far."""
    from optuna.visualization import plot_optimization_history

    if not source.scored:
        return Missing("No trial has a score yet.")
    metric = source.view.objective.metric
    thinned = thin(source.drawn, _POINTS, "points", keep=records(source))
    figure = plot_optimization_history(Sample(source, thinned.numbers), target_name=metric)
    points, best = figure.data[:2]
    states = {trial.number: trial.state for trial in source.scored}
    colors = [PRUNED if states.get(number) == "pruned" else COMPLETE for number in points.x]
    points.update(
        marker={"color": colors, "size": 6}, showlegend=False, hovertemplate="trial %{x}: %{y:.5g}<extra></extra>"
    )
    best.update(_steps(best), name="best so far", line={"shape": "hv", "color": BEST, "width": 2})
    figure.update_layout(xaxis_title="trial", showlegend=True)
    last = source.scored[0]
    alt = f"Score of each trial; the best, {metric} {score(last.value)}, came with trial {last.number}."
    return drawing(figure, alt, thinned.note)


def records(source: Source) -> "list[TrialRecord]":
    """The trials that were the best of all up to their number."""
    found: list[TrialRecord] = []
    for trial in sorted(source.scored, key=lambda trial: trial.number):
        if not found or source.view.objective.better(trial.value or 0.0, found[-1].value):
            found.append(trial)
    return found


def _steps(line: "go.Scatter") -> dict[str, list[float]]:
    """A line of steps by its corners alone: of 10,000 trials a few dozen."""
    points = [(x, y) for x, y in zip(line.x, line.y, strict=True) if abs(y) != float("inf")]
    corners = [point for place, point in enumerate(points) if place == 0 or point[1] != points[place - 1][1]]
    corners.append(points[-1])
    return {"x": [x for x, _ in corners], "y": [y for _, y in corners]}


def curves(source: Source) -> Drawing | Missing:
    """The objective after each epoch, or its mean after each fold: a line for each trial, dim for pruned ones."""
    from optuna.visualization import plot_intermediate_values

    if not source.scored:
        return Missing("No trial has finished an epoch and kept its score yet.")
    thinned = thin(source.drawn, _CURVES, "curves")
    figure = plot_intermediate_values(Sample(source, thinned.numbers))
    states = {trial.number: trial.state for trial in source.scored}
    best = source.scored[0].number
    step = "fold" if FOLD in source.scored[0].curves else "epoch"
    legend: set[str] = set()
    ranks = {}
    for trace in figure.data:
        number = int(trace.name.removeprefix("Trial"))
        kind = "best trial" if number == best else states[number]
        color = {"best trial": BEST, "complete": COMPLETE}.get(kind, PRUNED)
        ranks[f"{kind} {number}"] = (color == BEST, color == COMPLETE)
        trace.update(
            line={"color": color, "width": 3 if number == best else 1.2}, marker={"size": 4},
            mode="lines" if len(trace.x) > 1 else "markers", legendgroup=kind, showlegend=kind not in legend,
            hovertemplate=f"trial {number} ({states[number]}), {step} %{{x}}: %{{y:.5g}}<extra></extra>",
            name=kind, uid=f"{kind} {number}",
        )  # fmt: skip
        legend.add(kind)
    figure.data = sorted(figure.data, key=lambda trace: ranks[trace.uid])
    metric = source.view.objective.metric
    figure.update_xaxes(dtick=1 if max(len(trace.x) for trace in figure.data) <= 10 else None)
    figure.update_layout(xaxis_title=step, yaxis_title=metric, showlegend=True, yaxis_range=_span(source, figure))
    alt = f"{metric} after each {step} of {len(figure.data)} trials; pruned ones are dim, trial {best} is the best."
    return drawing(figure, alt, thinned.note, height=440)


def _span(source: Source, figure: "go.Figure") -> list[float | None] | None:
    """Where first epochs are far worse than any final score, the axis ends at what nine values in ten reach."""
    import numpy as np

    sign = source.view.objective.sign
    losses = np.array([-sign * value for trace in figure.data for value in trace.y if np.isfinite(value)])
    if not len(losses):
        return None
    usual, best = float(np.quantile(losses, 0.9)), float(losses.min())
    limit = usual + 2 * (usual - best)
    if losses.max() <= usual + 10 * (usual - best):
        return None
    return [None, limit] if sign < 0 else [-limit, None]


def parallel(source: Source) -> Drawing | Missing:
    """A line for each trial through its parameters, coloured by its score."""
    from optuna.visualization import plot_parallel_coordinate

    if len(source.scored) < 2 or not source.distributions:
        return _TOO_FEW
    thinned = _thinned(comparable(source), _LINES)
    metric = source.view.objective.metric
    figure = plot_parallel_coordinate(Sample(source, thinned.numbers), target_name=metric)
    _recolored(figure, source.view.objective.sign)
    figure.update_layout(plot_bgcolor=None, margin={"l": 30, "r": 30, "t": 20, "b": 40})
    names = ", ".join(source.distributions)
    alt = f"Parallel coordinates of {metric} and {names}; the redder, the better."
    return drawing(figure, alt, thinned.note, height=420, wide=True)


def _recolored(figure: "go.Figure", sign: int) -> None:
    """Optuna's lines by rank, for one bad score would leave all others the same colour; the best on top.

    In colours that read on white and on black alike.
    """
    from plotly.colors import sample_colorscale

    # The first axis is the score. The last trace is the colour bar, of scores.
    lines = sorted((trace for trace in figure.data if trace.mode == "lines"), key=lambda trace: sign * trace.y[0])
    colors = sample_colorscale([[0, WEAK], [1, BEST]], max(2, len(lines)))
    for place, trace in enumerate(lines):
        trace.update(line={"color": colors[place], "width": 1.3}, opacity=0.2 + 0.7 * place / len(lines))
    figure.data = lines
    figure.update_annotations(font={"size": 11, "color": None}, bgcolor=None)


def comparable(source: Source) -> "list[TrialRecord]":
    """The complete trials, best first; where there are fewer than ten, the pruned ones as well.

    What a pruned trial reached in one epoch says little beside what others reached in twenty.
    """
    complete = [trial for trial in source.drawn if trial.state == "complete"]
    return complete if len(complete) >= _ENOUGH else list(source.drawn)


def _thinned(trials: "Sequence[TrialRecord]", most: int) -> Thinned:
    complete = all(trial.state == "complete" for trial in trials)
    return thin(trials, most, "complete trials" if complete else "trials")


def _decades(figure: "go.Figure") -> None:
    """Labels whole powers of ten alone where an axis shows several."""
    import numpy as np

    for axis, letter in [(axis, "x") for axis in figure.select_xaxes()] + [
        (axis, "y") for axis in figure.select_yaxes()
    ]:
        values = [value for trace in figure.data for value in (trace[letter] if trace[letter] is not None else ())]
        numbers = [value for value in values if isinstance(value, int | float | np.number) and value > 0]
        if axis.type == "log" and numbers and max(numbers) >= 100 * min(numbers):
            axis.dtick = 1


def importances(source: Source) -> dict[str, float]:
    """Parameter -> its share of what decides whether a trial is among the best tenth, the most important first.

    Optuna's default, PED-ANOVA (Watanabe, Bansal and Hutter, IJCAI 2023); empty where there is too little to
    tell.
    """
    from optuna.importance import get_param_importances

    if len({trial.value for trial in source.scored}) < 2 or not source.distributions:
        return {}
    found = get_param_importances(Sample(source))
    return dict(found) if sum(found.values()) > 0 else {}


def importance(source: Source, found: dict[str, float]) -> Drawing | Missing:
    """The importances as bars."""
    from optuna.visualization import plot_param_importances

    if not found:
        return _TOO_FEW
    figure = plot_param_importances(Sample(source), target_name=source.view.objective.metric)
    # Room for the number at the end of the longest bar.
    span = [0, 1.2 * max(found.values())]
    figure.update_layout(xaxis_title="importance", xaxis_range=span, yaxis_title=None, showlegend=False)
    figure.update_traces(marker_color=COMPLETE)
    words = [f"{name} {percent(share)}" for name, share in found.items()]
    alt = f"Importance of the parameters: {', '.join(words)}."
    return drawing(figure, alt, height=110 + 30 * len(found))


def slices(source: Source, names: Sequence[str]) -> Drawing | Missing:
    """The score against each of some parameters."""
    from optuna.visualization import plot_slice

    if not names:
        return _TOO_FEW
    thinned = _thinned(comparable(source), _POINTS)
    metric = source.view.objective.metric
    figure = plot_slice(Sample(source, thinned.numbers), list(names), target_name=metric)
    for axis in figure.select_xaxes():
        if axis.categoryarray is not None:
            axis.categoryarray = [_bare(label) for label in axis.categoryarray]
    for trace in figure.data:
        if any(isinstance(value, str) for value in trace.x):
            trace.x = [_bare(value) for value in trace.x]
    _decades(figure)
    themed(figure)
    figure.update_traces(
        marker_line_width=0,
        marker_colorbar_x=1.02,
        marker_colorbar_xpad=0,
        hovertemplate="%{x}: %{y:.5g}<extra></extra>",
    )
    return drawing(figure, f"{metric} against {' and against '.join(names)}, a point for each trial.", thinned.note)


def _bare(label: str) -> str:
    """A text without the quotation marks that Optuna gives it."""
    return label[1:-1] if label[:1] in "'\"" and label[:1] == label[-1:] else label


def contour(source: Source, names: Sequence[str]) -> Drawing | Missing:
    """The score over two parameters."""
    from optuna.visualization import plot_contour

    if len(names) < 2:
        return Missing("Needs two parameters that vary.")
    both = [trial for trial in comparable(source) if all(name in trial.params for name in names)]
    if any(len({str(trial.params[name]) for trial in both}) < 2 for name in names):
        return Missing(f"Too few trials have both {' and '.join(names)}.")
    thinned = _thinned(both, _CONTOUR)
    metric = source.view.objective.metric
    figure = plot_contour(Sample(source, thinned.numbers), list(names), target_name=metric)
    points = {"size": 6, "color": "white", "line": {"width": 1, "color": "#444"}}
    figure.update_traces(marker=points, selector={"type": "scatter"})
    figure.update_traces(line_width=0, selector={"type": "contour"})
    _decades(figure)
    themed(figure)
    alt = f"{metric} over {' and '.join(names)}, interpolated between the trials, which are the points."
    return drawing(figure, alt, thinned.note, height=440)
