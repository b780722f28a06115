"""Parallel coordinates: a line for each trial through its score and its parameters, coloured by its rank."""

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from optuna.distributions import BaseDistribution, CategoricalDistribution, IntDistribution

from hpo.report.axes import is_log, log_ticks, reach, words
from hpo.report.plotly_json import BEST, WEAK, Drawing, Missing, drawing
from hpo.report.thinning import Source, comparable, thin_comparable
from hpo.report.trial_marks import STAR
from hpo.text.cleaning import cut
from hpo.text.values import NOTHING, score, setting

if TYPE_CHECKING:
    import plotly.graph_objects as go

    from hpo.study.record import TrialRecord

_LINES = 240
_FEWEST = 2
_WIDTH, _LEAST = 92, 620
"""Pixels for each axis, and the least pixels of a figure."""
_ABSENT = -0.11
"""The height of a line where its configuration does not have the parameter."""
_LETTERS = 16


@dataclass(frozen=True)
class _Axis:
    """An upright axis from 0 to 1."""

    name: str
    place: Callable[["TrialRecord"], float | None]
    """The place of a trial on the axis; None where the trial has no such value."""
    ticks: Sequence[tuple[float, str]]


def parallel(source: Source) -> Drawing | Missing:
    """A line for each trial through its parameters; equal scores have equal colours."""
    import plotly.graph_objects as go

    if len(source.scored) < _FEWEST or not source.distributions:
        return Missing("Fewer than two trials have a score: there is nothing to compare.")
    thinned = thin_comparable(comparable(source), _LINES, keep=source.chosen)
    trials = [trial for trial in source.drawn if trial.number in thinned.numbers]
    metric = source.view.objective.metric
    axes = [_scores(metric, trials), *(_axis(name, one, trials) for name, one in source.distributions.items())]
    figure = go.Figure(_lines(source, trials, axes))
    figure.update_layout(
        xaxis={"tickmode": "array", "tickvals": list(range(len(axes))), "range": [-0.5, len(axes) - 0.8],
               "ticktext": [cut(axis.name, 2 * _LETTERS) for axis in axes], "showgrid": False, "zeroline": False,
               "automargin": True},
        yaxis={"range": [_ABSENT - 0.06, 1.06], "visible": False, "fixedrange": True},
        annotations=[note for x, axis in enumerate(axes) for note in _labels(x, axis, trials)],
        shapes=[_upright(x) for x in range(len(axes))],
        margin={"l": 16, "r": 16, "t": 20, "b": 40}, hovermode="closest", showlegend=True,
    )  # fmt: skip
    alt = f"Parallel coordinates of {', '.join(axis.name for axis in axes)}; the redder, the better."
    return drawing(figure, alt, thinned.note, height=420, width=max(_LEAST, _WIDTH * len(axes)))


def _lines(source: Source, trials: "Sequence[TrialRecord]", axes: Sequence[_Axis]) -> "list[go.Scatter]":
    """The lines, better ones on top and the choice above all, in colours for white and black backgrounds."""
    import plotly.graph_objects as go
    from plotly.colors import sample_colorscale

    # Coloured by rank, since one bad score would give all others the same colour.
    ranks = {value: place for place, value in enumerate(sorted({trial.value for trial in trials}, key=_merit(source)))}
    colors = sample_colorscale([[0, WEAK], [1, BEST]], max(2, len(ranks)))
    last = max(1, len(ranks) - 1)
    chosen = {trial.number for trial in source.chosen}
    traces = []
    for trial in sorted(trials, key=lambda trial: (trial.number in chosen, ranks[trial.value])):
        places = [axis.place(trial) for axis in axes]
        share = ranks[trial.value] / last if len(ranks) > 1 else 1.0
        # If there are few lines, none is dim.
        strength = 0.9 if len(trials) <= 40 else 0.2 + 0.7 * share
        line = {"color": colors[round(share * (len(colors) - 1))], "width": 1.3 if len(trials) > 40 else 2}
        trace = go.Scatter(
            x=list(range(len(axes))), y=[_ABSENT if place is None else place for place in places], mode="lines",
            line=line, opacity=strength, showlegend=False, customdata=[trial.number] * len(axes),
        )  # fmt: skip
        if trial.number in chosen and source.choice:
            trace.update(name=source.choice.name, mode="lines+markers", line_width=4, opacity=1, showlegend=True)
            trace.update(marker={**STAR, "size": 12}, cliponaxis=False)
        traces.append(trace)
    return traces


def _merit(source: Source) -> Callable[[float | None], float]:
    """Orders scores from the worst to the best."""
    return lambda value: source.view.objective.merit(value or 0.0)


def _scores(metric: str, trials: "Sequence[TrialRecord]") -> _Axis:
    values = [trial.value or 0.0 for trial in trials]
    low, high = min(values), max(values)
    ticks = [low + share * (high - low) for share in (0, 0.25, 0.5, 0.75, 1)] if high > low else [low]
    place = _linear(low, high)
    return _Axis(metric, lambda trial: place(trial.value or 0.0), [(place(tick), score(tick)) for tick in ticks])


def _axis(name: str, distribution: BaseDistribution, trials: "Sequence[TrialRecord]") -> _Axis:
    """The axis of a parameter over its whole range."""
    values = [trial.params[name] for trial in trials if name in trial.params]
    if isinstance(distribution, CategoricalDistribution):
        known = words(distribution, values)
        at = _linear(0, len(known) - 1)
        return _Axis(
            name,
            lambda trial: at(known.index(setting(trial.params[name]))) if name in trial.params else None,
            [(at(place), cut(word, _LETTERS)) for place, word in enumerate(known)],
        )
    log, whole = is_log(distribution), isinstance(distribution, IntDistribution)
    low, high = reach(distribution, values)
    place = _logarithmic(low, high) if log else _linear(low, high)
    ticks = log_ticks(low, high) if log else _linear_ticks(low, high, whole)

    def found(trial: "TrialRecord") -> float | None:
        value = trial.params.get(name)
        # A value from an earlier range may be no number, or have no logarithm.
        return place(value) if isinstance(value, int | float) and (value > 0 or not log) else None

    return _Axis(name, found, [(place(tick), setting(tick)) for tick in ticks])


def _linear(low: float, high: float) -> Callable[[float], float]:
    return lambda value: (value - low) / (high - low) if high > low else 0.5


def _logarithmic(low: float, high: float) -> Callable[[float], float]:
    place = _linear(math.log(low), math.log(high))
    return lambda value: place(math.log(value))


def _linear_ticks(low: float, high: float, whole: bool) -> list[float]:
    """Both ends and values between them in equal steps; whole numbers for an axis of whole numbers."""
    if high == low:
        return [low]
    if not whole:
        return [low + share * (high - low) for share in (0, 0.25, 0.5, 0.75, 1)]
    if high - low <= 8:
        return list(range(int(low), int(high) + 1))
    return list(dict.fromkeys(round(low + share * (high - low)) for share in (0, 0.25, 0.5, 0.75, 1)))


def _labels(x: int, axis: _Axis, trials: "Sequence[TrialRecord]") -> list[dict[str, Any]]:
    ticks = [*axis.ticks, *([(_ABSENT, NOTHING)] if any(axis.place(trial) is None for trial in trials) else [])]
    return [
        {"x": x, "y": place, "text": text, "showarrow": False, "xanchor": "right", "xshift": -8, "font": {"size": 11}}
        for place, text in ticks
    ]


def _upright(x: int) -> dict[str, Any]:
    line = {"color": "#888", "width": 1}
    return {"type": "line", "x0": x, "x1": x, "y0": 0, "y1": 1, "line": line, "layer": "below"}
