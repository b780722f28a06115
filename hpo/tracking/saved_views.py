"""The views of a study that MLflow's UI opens: its trials and its confirming runs, each as a tag of the experiment.

The names and the structure are those of the UI of MLflow 3.17, which lists them as saved views. Nothing here accesses
a store.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

from hpo.config.experiment import Objective
from hpo.tracking import entities
from hpo.tracking.mlflow_compat import MAX_VIEW_LENGTH, MLFLOW_PARENT_RUN_ID, VIEW_PREFIX, packed_view

_MOST_COLUMNS = 60

_FIRST, _SECOND, _REST = "first", "second", "rest"
"""The sections of a view."""

OTHERS = "Model metrics"
"""The section where the UI adds charts of all other metrics."""


@dataclass(frozen=True)
class Shown:
    """What the views of a study show."""

    study: str
    run_id: str
    """Id of the study's run."""
    began: int
    """When the study's run began, in milliseconds since 1970."""
    objective: Objective
    columns: Sequence[str]
    """The parameters that vary, as MLflow names them."""
    axes: Sequence[str]
    """The axes of the parallel coordinates."""
    tested: bool = False
    """Whether trials have the objective's metric on the test part."""
    folded: bool = False
    """Whether its trials are cross-validated. Then the curves are those of the first fold."""

    @property
    def score(self) -> str:
        """The column of the objective."""
        return entities.key(f"best_{self.objective.metric}")


def trials_key(study: str) -> str:
    """The key of the view of a study's trials in a link."""
    return f"hpo-trials-{study}"


def confirmation_key(study: str) -> str:
    """The key of the view of a study's confirming runs in a link."""
    return f"hpo-confirmation-{study}"


def trials_tag(shown: Shown) -> tuple[str, str]:
    """The view of the trials, best first: the varying parameters, parallel coordinates, curves and bars."""
    return VIEW_PREFIX + trials_key(shown.study), _fitting(shown, _trials)


def confirmation_tag(shown: Shown) -> tuple[str, str]:
    """The view of the confirming runs, grouped by finalist: their seeds, scores and curves."""
    return VIEW_PREFIX + confirmation_key(shown.study), _fitting(shown, _confirmation)


def _fitting(shown: Shown, view: Callable[..., str]) -> str:
    """A view with as many of the columns as fit into the tag; the axes have priority."""
    columns = [*shown.axes, *(name for name in shown.columns if name not in shown.axes)][:_MOST_COLUMNS]
    for count in range(len(columns), -1, -1):
        kept = set(columns[:count])
        value = view(shown, *([name for name in names if name in kept] for names in (shown.columns, shown.axes)))
        if len(value) <= MAX_VIEW_LENGTH:
            break
    return value


def _trials(shown: Shown, columns: Sequence[str], axes: Sequence[str]) -> str:
    metric, score = entities.key(shown.objective.metric), shown.score
    named = {"selectedParams": axes, "selectedMetrics": [score], "showAllRuns": True}
    parallel = [_card("PARALLEL", "parallel", _FIRST, **named)] if axes else []
    shown_columns = [
        _metric(score),
        *(_param(name) for name in columns),
        *_tested(shown),
        _tag("state"),
    ]
    state = {
        **_search(shown, "trial"),
        **_columns(score, shown_columns),
        "compareRunCharts": [*parallel, *_charts(shown, _SECOND)],
        "compareRunSections": [
            _section(_FIRST, f"Parameters and {metric}", columns=1, cardHeight=400),
            _section(_SECOND, "The best of them", columns=2),
            _section(_REST, OTHERS, display=False),
        ],
    }
    return packed_view(f"Trials of {shown.study}", shown.began, state)


def _confirmation(shown: Shown, columns: Sequence[str], axes: Sequence[str]) -> str:
    score = shown.score
    shown_columns = [
        _metric(score),
        _tag("seed"),
        *_tested(shown),
        *(_param(name) for name in columns),
        _tag("state"),
    ]
    state = {
        **_search(shown, "confirm"),
        **_columns(score, shown_columns),
        "compareRunCharts": _charts(shown, _FIRST),
        "compareRunSections": [
            _section(_FIRST, "Means over the seeds", columns=2),
            _section(_REST, OTHERS, display=False),
        ],
        # Grouped by finalist, so that the UI draws means.
        "groupBy": {"aggregateFunction": "average", "groupByKeys": [{"mode": "tag", "groupByData": "hpo.trial"}]},
    }
    return packed_view(f"Confirmation of {shown.study}", shown.began, state)


def _search(shown: Shown, role: str) -> dict[str, Any]:
    """Which runs the view shows, best first; curves and bars are those of the first runs only."""
    return {
        "searchFilter": f"tags.hpo.role = '{role}' AND tags.{MLFLOW_PARENT_RUN_ID} = '{shown.run_id}'",
        "orderByKey": _metric(shown.score),
        "orderByAsc": shown.objective.direction == "minimize",
        "runsHiddenMode": "FIRST_20_RUNS",
    }


def _columns(score: str, columns: Sequence[str]) -> dict[str, Any]:
    return {"selectedColumns": columns, "columnOrder": columns, "columnWidths": {_metric(score): 150}}


def _charts(shown: Shown, section: str) -> list[dict[str, Any]]:
    """The scores as bars, the curves of the objective and of the losses, and the scores over the models' sizes."""
    fold = "fold_1_" if shown.folded else ""
    metric = entities.key(fold + shown.objective.metric)
    losses = [f"{fold}loss", f"{fold}val_loss"]
    line = {"xAxisKey": "step", "lineSmoothness": 0, "useGlobalXaxisKey": True}
    size = {"xaxis": _axis("model_parameters"), "yaxis": _axis(shown.score)}
    return [
        _card("BAR", "bars", section, metricKey=shown.score, runsCountToCompare=20),
        _card("LINE", "curves", section, metricKey=metric, selectedMetricKeys=[metric], **line),
        _card("LINE", "losses", section, metricKey=losses[0], selectedMetricKeys=losses, scaleType="log", **line),
        _card("SCATTER", "size", section, runsCountToCompare=100, **size),
    ]


def _card(kind: str, uuid: str, section: str, **more: Any) -> dict[str, Any]:
    return {"type": kind, "uuid": uuid, "metricSectionId": section, "deleted": False, "isGenerated": False, **more}


def _axis(metric: str) -> dict[str, str]:
    return {"key": metric, "type": "METRIC"}


def _section(uuid: str, name: str, **more: Any) -> dict[str, Any]:
    kept = {"display": True, "isReordered": False, "deleted": False, "isGenerated": False}
    return {"uuid": uuid, "name": name, **kept, **more}


def _metric(name: str) -> str:
    return f"metrics.`{name}`"


def _param(name: str) -> str:
    return f"params.`{name}`"


def _tag(name: str) -> str:
    return f"tags.`hpo.{name}`"


def _tested(shown: Shown) -> list[str]:
    # If no run has one of the columns, the UI loses the order of the others.
    return [_metric(entities.key(f"test_{shown.objective.metric.removeprefix('val_')}"))] if shown.tested else []
