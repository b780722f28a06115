"""The figures of the report as figures of plotly, for a notebook."""

import json
from typing import TYPE_CHECKING, Any, final

if TYPE_CHECKING:
    from collections.abc import Callable

    import plotly.graph_objects as go

    from hpo.report.importance import Importances
    from hpo.report.plotly_json import Drawing, Missing
    from hpo.report.thinning import Source


@final
class Plots:
    """The figures of one study; each call reads the study anew. A figure that needs more trials says so."""

    def __init__(self, url: str, study: str) -> None:
        self._url = url
        self._study = study

    def history(self) -> "go.Figure":
        """The score of each trial, and the best so far."""
        from hpo.report.course import history

        return self._drawn(history)

    def over_time(self) -> "go.Figure":
        """The best score so far against the time that was spent."""
        from hpo.report.course import over_time

        return self._drawn(lambda source: over_time([source]))

    def curves(self) -> "go.Figure":
        """The learning curves of the trials."""
        from hpo.report.course import curves

        return self._drawn(curves)

    def parallel(self) -> "go.Figure":
        """Parallel coordinates: a line for each trial, an axis for each parameter."""
        from hpo.report.parallel import parallel

        return self._drawn(parallel)

    def importance(self) -> "go.Figure":
        """Which parameters matter, with intervals."""
        from hpo.report.figures import importance

        return self._drawn(lambda source: importance(_importances(source)))

    def slice(self, *parameters: str) -> "go.Figure":
        """The score against each of some parameters; by default against the two most important ones."""
        from hpo.report.figures import slices

        return self._drawn(lambda source: slices(source, parameters or _importances(source).important[:2]))

    def contour(self, *parameters: str) -> "go.Figure":
        """The score over two parameters; by default over the two most important ones."""
        from hpo.report.figures import contour

        return self._drawn(lambda source: contour(source, parameters or _importances(source).important[:2]))

    def _drawn(self, draw: "Callable[[Source], Drawing | Missing]") -> "go.Figure":
        from hpo.report.thinning import read_source

        source = read_source(self._url, self._study)
        return _figure(draw(source), source)

    def __repr__(self) -> str:
        names = ", ".join(f"{name}()" for name in vars(type(self)) if not name.startswith("_"))
        return f"figures of {self._study}: {names}"


def _importances(source: "Source") -> "Importances":
    from hpo.report.importance import importances

    return importances(source)


def _figure(drawn: "Drawing | Missing", source: "Source") -> "go.Figure":
    """A drawing as a figure with colours and texts under the pointer, which the page of the report adds by itself."""
    import plotly.graph_objects as go

    from hpo.report.hovers import hovers
    from hpo.report.plotly_json import Missing

    if isinstance(drawn, Missing):
        figure = go.Figure()
        note = {"text": drawn.reason, "showarrow": False, "x": 0.5, "y": 0.5, "xref": "paper", "yref": "paper"}
        figure.update_layout(template="plotly_white", height=160, annotations=[note])
        figure.update_xaxes(visible=False)
        figure.update_yaxes(visible=False)
        return figure
    content: dict[str, Any] = json.loads(drawn.content)
    figure = go.Figure(data=content["data"], layout=content["layout"])
    texts = hovers(source, drawn.trials)
    for trace in figure.data:
        numbers = getattr(trace, "customdata", None)
        if numbers is not None and "hovertext" in trace:
            trace.update(hovertext=[texts.get(number, "") for number in numbers], hoverinfo="text")
    figure.update_layout(template="plotly_white", height=drawn.height, width=drawn.width or None)
    return figure
