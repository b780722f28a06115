"""How a schedule spent its epochs, and what its model of curves expects of the trials that it did not finish."""

import math
from collections.abc import Mapping, Sequence
from typing import Any

from hpo.config.space import SearchSpace
from hpo.report.axes import score_axis, whole_axis
from hpo.report.plotly_json import COMPLETE, PRUNED, WEAK, Drawing, Missing, drawing, unit_of
from hpo.report.thinning import Source, thin
from hpo.report.trial_marks import COLORS, star
from hpo.schedule.table import schedule_class
from hpo.study.record import TrialRecord
from hpo.text.values import score

_POINTS, _EXPECTED = 600, 40


def pauses(source: Source) -> bool:
    """Whether the study's schedule pauses trials."""
    named = source.view.experiment["study"].get("schedule", {"name": "one_pass"})
    return schedule_class(named["name"]).pauses


def epochs_of_trials(source: Source) -> Drawing | Missing:
    """When each trial was trained, and how far: a line for each time that a worker had it, with its pauses between."""
    import plotly.graph_objects as go

    trials = [trial for trial in source.view.trials if _legs(trial)]
    if not trials:
        return Missing("No trial has been trained yet.")
    thinned = thin(trials, _POINTS, "trials", keep=source.chosen)
    shown = [trial for trial in trials if trial.number in thinned.numbers]
    step, legs = _step(source), {trial.number: _legs(trial) for trial in shown}
    begun, ended = min(one[0][0] for one in legs.values()), max(one[-1][1] for one in legs.values())
    size, unit = unit_of(ended - begun)
    figure = go.Figure()
    for width, color, spans in (
        (1, WEAK, [(number, one[0][0], one[-1][1]) for number, one in legs.items()]),
        (5, COMPLETE, [(number, start, end) for number, one in legs.items() for start, end, _ in one]),
    ):
        x = [place for _, start, end in spans for place in ((start - begun) / size, (end - begun) / size, None)]
        y = [place for number, _, _ in spans for place in (number, number, None)]
        name = "trained" if width > 1 else "paused between"
        figure.add_trace(go.Scatter(x=x, y=y, mode="lines", line={"color": color, "width": width}, name=name,
                                    hoverinfo="skip"))  # fmt: skip
    ends = [(trial.number, (end - begun) / size, epochs) for trial in shown for _, end, epochs in legs[trial.number]]
    figure.add_trace(
        go.Scatter(
            x=[x for _, x, _ in ends], y=[number for number, _, _ in ends], mode="markers", name=f"{step}s by then",
            marker={"size": 7, "color": [epochs for _, _, epochs in ends], "colorscale": "Blues", "cmin": 0,
                    "line": {"width": 1, "color": WEAK}},
            text=[f"{epochs} {step}s" for _, _, epochs in ends], customdata=[number for number, _, _ in ends],
            cliponaxis=False,
        )
    )  # fmt: skip
    chosen = star(source, [one for one in source.chosen if one.number in legs],
                  lambda trial: ((legs[trial.number][-1][1] - begun) / size, trial.number))  # fmt: skip
    if chosen is not None:
        figure.add_trace(chosen)
    last = max(trial.number for trial in source.view.trials)
    figure.update_layout(
        xaxis={"title": f"{unit} since the first trial began", "rangemode": "tozero"},
        yaxis={"title": "trial", **whole_axis(0, last)}, showlegend=True, hovermode="closest",
    )  # fmt: skip
    total = sum(_units(trial) for trial in source.view.trials)
    several = sum(len(one) > 1 for one in legs.values())
    alt = f"When each trial was trained, {total} {step}s in all; {several} trials went on after a pause."
    return drawing(figure, alt, thinned.note)


def _legs(trial: TrialRecord) -> Sequence[tuple[float, float, int]]:
    """From when to when workers had a trial, and its epochs by then; of trials without pauses its whole time."""
    if trial.legs or trial.started is None or not trial.epochs:
        return trial.legs
    start = trial.started.timestamp()
    return [(start, start + (trial.seconds or sum(trial.curves.get("seconds", ()))), trial.epochs)]


def expected(source: Source) -> Drawing | Missing:
    """The score that the model of curves expects of unfinished trials at their last epoch; the best ones."""
    import plotly.graph_objects as go

    ends = _expected_ends(source)
    by_number = {trial.number: trial for trial in source.drawn if trial.state != "complete"}
    by_number |= {trial.number: trial for trial in source.view.trials if trial.paused}
    sign = source.view.objective.merit(1.0)
    found = sorted((number for number in ends if number in by_number), key=lambda number: -ends[number][0])[:_EXPECTED]
    if not found:
        return Missing("No trial was left unfinished that the model of curves could say something of.")
    middle, low, high = ([sign * ends[number][place] for number in found] for place in range(3))
    figure = go.Figure(
        go.Scatter(
            x=list(map(str, found)), y=middle, mode="markers", name="expected at the last epoch", customdata=found,
            marker={"size": 7, "color": COLORS["complete"]}, cliponaxis=False,
            error_y={"type": "data", "symmetric": False, "array": _apart(middle, high),
                     "arrayminus": _apart(middle, low), "color": WEAK, "width": 2},
        )
    )  # fmt: skip
    reached = [_reached(by_number[number], source) for number in found]
    figure.add_trace(
        go.Scatter(
            x=list(map(str, found)), y=reached, mode="markers", name="reached so far", customdata=found,
            marker={"size": 7, "color": PRUNED, "symbol": "circle-open"}, cliponaxis=False,
        )
    )  # fmt: skip
    metric = source.view.objective.metric
    values = [value for value in (*middle, *low, *high, *reached) if value is not None]
    figure.update_layout(
        xaxis={"title": "trial", "type": "category"}, yaxis=score_axis(metric, values), showlegend=True,
        hovermode="closest",
    )  # fmt: skip
    best = source.scored[0].value
    alt = f"{metric} expected of unfinished trials at their last epoch, with 95% intervals; the best has {score(best)}."
    note = f"the {len(found)} of which most is expected" if len(found) == _EXPECTED else ""
    return drawing(figure, alt, note)


def _apart(values: list[float], others: list[float]) -> list[float]:
    return [abs(value - other) for value, other in zip(values, others, strict=True)]


def _expected_ends(source: Source) -> Mapping[int, tuple[float, float, float]]:
    from hpo.schedule.cube import Cube
    from hpo.schedule.expectation import expected_ends
    from hpo.schedule.history import History

    view = source.view
    space = SearchSpace.model_validate(view.identity["search_space"])
    folds = any(trial.fold_lengths for trial in view.trials)
    units = max([view.identity["training"]["epochs"], 1])
    if folds:
        units = max(len(trial.fold_lengths) for trial in view.trials)
    history = History(Cube(space), units, folds)
    for trial in view.trials:
        reports = trial.reports(view.objective.metric)
        whole = all(name in trial.params for name in space.order if space.active(name, trial.params))
        if reports and whole and all(map(math.isfinite, reports.values())):
            _add(history, trial, reports, source)
    return expected_ends(history, view.identity["seed"])


def _add(history: Any, trial: TrialRecord, reports: Mapping[int, float], source: Source) -> None:
    history.begin(trial.number, trial.params, history.units)
    for value in reports.values():
        history.unit_done(trial.number, float(source.view.objective.merit(value)), 1.0)
    if trial.paused:
        history.pause(trial.number)
    else:
        shorter = (trial.allowed_epochs or history.units) < history.units
        history.end(trial.number, "final" if trial.state == "complete" and not shorter else "stopped")


def _reached(trial: TrialRecord, source: Source) -> float | None:
    if trial.value is not None:
        return trial.value
    reports = trial.reports(source.view.objective.metric).values()
    return max(reports, key=source.view.objective.merit, default=None)


def _units(trial: TrialRecord) -> int:
    return len(trial.fold_lengths) or trial.epochs


def _step(source: Source) -> str:
    return "fold" if any(trial.fold_lengths for trial in source.scored) else "epoch"
