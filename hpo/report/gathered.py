"""The content of a report about one study, or several side by side, gathered before anything is written."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from hpo.compare.sentences import study_sentences
from hpo.compare.summary import differences, summaries
from hpo.report import charts, course, figures, gain_picture, schedule_picture
from hpo.report.answer import Answer, answer
from hpo.report.charts import Failures, Spent
from hpo.report.copied_commands import Stores
from hpo.report.hovers import hovers
from hpo.report.importance import Importances, importances
from hpo.report.mlflow_links import Links
from hpo.report.parallel import parallel
from hpo.report.plotly_json import Drawing, Missing
from hpo.report.predictions import Predictions, predictions
from hpo.report.range_edges import Alarm, alarms
from hpo.report.table import Table, trial_table
from hpo.report.thinning import Source, comparable
from hpo.study.read import StudyView
from hpo.study.record import TrialRecord, count_states
from hpo.text.values import NOTHING, duration, setting


@dataclass(frozen=True)
class StudyPart:
    """One study of the page."""

    view: StudyView
    answer: Answer
    states: Mapping[str, int]
    """State -> number of trials."""
    seconds: str
    """Time from the first trial's beginning to the last one's end, as text."""
    scored: Sequence[TrialRecord]
    """The trials that have a score, best first."""
    outliers: int
    """The number of trials whose score is too far off to be drawn."""
    unscored: int
    """The number of trials that were pruned before they had a score."""
    table: Table
    figures: Mapping[str, Drawing | Missing]
    hovers: Mapping[int, str]
    """Trial -> the text that figures show for it under the pointer."""
    compared: str
    """The trials that the figures of parameters show: `complete` or `all`."""
    important: Sequence[str]
    """The two most important parameters, of those that are known to matter."""
    importance_basis: str
    """The scores that the importances come from, in a sentence; or why there are none."""
    spent: Sequence[Spent]
    failures: Sequence[Failures]
    alarms: Sequence[Alarm]
    enough: int
    """The number of scores from which on parameters are ranked."""
    predictions: Predictions | Missing | None
    """None where the task is no classification."""
    links: Links
    all_trials: str
    """The command that writes all trials to a file."""


def study_part(source: Source, stores: Stores, links: Links) -> StudyPart:
    """Gathers the content about one study."""
    view = source.view
    spent, failed = charts.time_spent(view.trials), charts.failures(view.trials)
    found = importances(source)
    important = found.important[:2]
    drawn = _figures(source, found, important)
    drawn["time"] = charts.time_chart(spent)
    if failed:
        drawn["failures"] = charts.failure_chart(failed)
    found_answer = answer(view, stores)
    states = count_states(view.trials)
    preferred = [found_answer.trial] if found_answer.trial else []
    shown = {number for one in drawn.values() if isinstance(one, Drawing) for number in one.trials}
    return StudyPart(
        view=view,
        answer=found_answer,
        states=states,
        seconds=duration(charts.wall_time(view.trials)),
        scored=source.scored,
        outliers=len(source.scored) - len(source.drawn),
        unscored=sum(trial.state == "pruned" and trial.value is None for trial in view.trials),
        table=trial_table(source, links.trials),
        figures=drawn,
        hovers=hovers(source, shown),
        compared="complete" if {trial.state for trial in comparable(source)} == {"complete"} else "all",
        important=important,
        importance_basis=found.basis,
        spent=spent,
        failures=failed,
        alarms=alarms(source),
        enough=figures.ENOUGH,
        predictions=predictions(view, [*preferred, *source.scored]) if preferred else None,
        links=links,
        all_trials=stores.read(f"hpo compare {view.name} --csv trials.csv"),
    )


def _figures(source: Source, found: Importances, important: Sequence[str]) -> dict[str, Drawing | Missing]:
    """The figures of trials that have a score; none where none has."""
    if not source.scored:
        return {}
    over_both = {"slice": figures.slices(source, important), "contour": figures.contour(source, important)}
    return {
        "history": course.history(source),
        "over_time": course.over_time([source]),
        "curves": course.curves(source),
        **(
            {
                "schedule": schedule_picture.epochs_of_trials(source),
                "expected": schedule_picture.expected(source),
                "gains": gain_picture.gains(source),
            }
            if schedule_picture.pauses(source)
            else {}
        ),
        "parallel": parallel(source),
        "importance": figures.importance(found),
        **(over_both if important else {}),
    }


@dataclass(frozen=True)
class Overview:
    """Several studies side by side."""

    over_time: Drawing | Missing
    differences: Sequence[tuple[str, Sequence[str]]]
    """(key of the experiment or search space, its value in each study), where they differ."""
    sentences: Sequence[str]
    """Which study is better, and how sure that is."""


def overview(sources: Sequence[Source]) -> Overview:
    """Compares several studies."""
    views = [source.view for source in sources]
    rows = [
        (key, [setting(values[view.name]) if view.name in values else NOTHING for view in views])
        for key, values in differences(views).items()
    ]
    return Overview(course.over_time(sources), rows, list(study_sentences(summaries(views))))
