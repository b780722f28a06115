"""What more of the budget was expected to gain, beside what it gained: for studies that end once it is too little."""

from itertools import accumulate
from typing import Any

from hpo.report.axes import whole_axis
from hpo.report.plotly_json import BEST, COMPLETE, WEAK, Drawing, Missing, drawing
from hpo.report.thinning import Source
from hpo.study.record import TrialRecord
from hpo.text.values import number

_POINTS = 600


def gains(source: Source) -> Drawing | Missing:
    """The expected gain of another tenth of the budget before each trial, what came of it, and the least that counts.

    Both gains are rises of the best score, in the unit of the objective.
    """
    import plotly.graph_objects as go

    study = source.view.experiment["study"]
    trials = [trial for trial in source.view.trials if trial.expected is not None]
    if study.get("until") is None or not trials:
        return Missing("The study does not end by what more of it would gain.")
    trials = trials[:: 1 + len(trials) // _POINTS]
    numbers = [trial.number for trial in trials]
    tenth = max(1, round((study.get("trials") or len(source.view.trials)) / 10))
    least = [study.get("min_gain") or trial.expected["floor"] for trial in trials if trial.expected is not None]
    expected = [trial.expected["gain"] for trial in trials if trial.expected is not None]
    came = _came(source, tenth)
    figure = go.Figure()
    lines: list[tuple[str, list[Any], str, str]] = [
        ("expected", expected, COMPLETE, "solid"),
        ("came", [came.get(one) for one in numbers], BEST, "solid"),
        ("least that counts", least, WEAK, "dash"),
    ]
    for name, values, color, dash in lines:
        line = {"color": color, "dash": dash}
        figure.add_trace(go.Scatter(x=numbers, y=values, mode="lines", name=name, line=line, customdata=numbers))
    figure.update_layout(
        xaxis={"title": "trial", **whole_axis(0, max(trial.number for trial in source.view.trials))},
        yaxis={"title": f"rise of the best {source.view.objective.metric}", "rangemode": "tozero"},
        showlegend=True, hovermode="closest",
    )  # fmt: skip
    alt = (
        f"The gain expected of the next {tenth} trials, before each trial; last {number(expected[-1])}, where the "
        f"least that counts was {number(least[-1])}."
    )
    return drawing(figure, alt)


def _came(source: Source, tenth: int) -> dict[int, float]:
    """Trial -> by how much the `tenth` trials from it on raised the best score; trials with too few after them lack."""
    merit = source.view.objective.merit

    def best(so_far: float, trial: TrialRecord) -> float:
        return so_far if trial.value is None else max(so_far, float(merit(trial.value)))

    trials = sorted(source.view.trials, key=lambda trial: trial.number)
    until = list(accumulate(trials, best, initial=float("-inf")))
    return {
        trial.number: until[place + tenth] - until[place]
        for place, trial in enumerate(trials)
        if place + tenth < len(until) and until[place] > float("-inf")
    }
