"""What a report says of one study, gathered before anything is written; and of several side by side."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from hpo.compare.summary import differences
from hpo.record import TrialRecord
from hpo.report import charts, figures
from hpo.report.answer import Answer, answer
from hpo.report.charts import Failures, Spent
from hpo.report.drawing import Drawing, Missing
from hpo.report.edges import Alarm, alarms
from hpo.report.formats import NOTHING, duration, setting
from hpo.report.predictions import Predictions, predictions
from hpo.report.thinning import Source
from hpo.store import StudyView

_TOP = 10


@dataclass(frozen=True)
class StudyPart:
    """One study of the page."""

    view: StudyView
    answer: Answer
    states: Mapping[str, int]
    """State -> how many trials."""
    seconds: str
    """From the first trial's beginning to the last one's end."""
    top: Sequence[TrialRecord]
    varied: Sequence[str]
    """The parameters that were sampled."""
    outliers: int
    """Trials whose score is too far off to be drawn."""
    figures: Mapping[str, Drawing | Missing]
    compared: str
    """Which trials the figures of parameters show: complete, or all."""
    important: Sequence[str]
    """The two most important parameters."""
    spent: Sequence[Spent]
    failures: Sequence[Failures]
    alarms: Sequence[Alarm]
    predictions: Predictions | Missing | None
    """None where the task is no classification."""


def study_part(source: Source) -> StudyPart:
    """Gathers what is said of one study."""
    view = source.view
    found = figures.importances(source)
    important = [name for name, share in found.items() if share > 0][:2]
    spent, failed = charts.time_spent(view.trials), charts.failures(view.trials)
    drawn: dict[str, Drawing | Missing] = {
        "history": figures.history(source),
        "over_time": charts.over_time([source]),
        "curves": figures.curves(source),
        "parallel": figures.parallel(source),
        "importance": figures.importance(source, found),
        "slice": figures.slices(source, important),
        "contour": figures.contour(source, important),
        "time": charts.time_chart(spent),
    }
    if failed:
        drawn["failures"] = charts.failure_chart(failed)
    said = answer(view)
    preferred = [said.trial] if said.trial else []
    states = [trial.state for trial in view.trials]
    return StudyPart(
        view=view,
        answer=said,
        states={state: states.count(state) for state in dict.fromkeys(states)},
        seconds=duration(charts.wall_time(view.trials)),
        top=source.scored[:_TOP],
        varied=list(source.distributions),
        outliers=len(source.scored) - len(source.drawn),
        figures=drawn,
        compared="complete" if {trial.state for trial in figures.comparable(source)} == {"complete"} else "all",
        important=important,
        spent=spent,
        failures=failed,
        alarms=alarms(source),
        predictions=predictions(view, [*preferred, *source.scored]) if preferred else Missing("No trial has a score."),
    )


@dataclass(frozen=True)
class Overview:
    """Several studies side by side."""

    over_time: Drawing | Missing
    differences: Sequence[tuple[str, Sequence[str]]]
    """(key of the experiment or search space, its value in each study), where they differ."""


def overview(sources: Sequence[Source]) -> Overview:
    """Compares several studies."""
    views = [source.view for source in sources]
    rows = [
        (key, [setting(values[view.name]) if view.name in values else NOTHING for view in views])
        for key, values in differences(views).items()
    ]
    return Overview(charts.over_time(sources), rows)
