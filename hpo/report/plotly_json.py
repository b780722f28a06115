"""Figures as plotly's JSON, without title and colours; the page sets colours for its light and dark theme."""

import json
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    import plotly.graph_objects as go

BEST, COMPLETE, PRUNED, FAILED = "rgb(232,89,12)", "rgb(66,133,214)", "rgb(128,136,150)", "rgb(214,51,66)"
WEAK = "rgb(140,165,200)"
"""Colours that stand out against white and black alike."""

_UNITS = ((3600.0, "hours"), (60.0, "minutes"), (1.0, "seconds"))

BAR = {"thickness": 10, "outlinewidth": 0, "title": {"side": "right"}}
"""A colour bar that leaves room for the figure."""

# Keys whose texts are meant as markup for plotly.
_MARKUP = ("hovertemplate", "texttemplate")


def unit_of(seconds: float) -> tuple[float, str]:
    """The unit of an axis that is so many seconds long: its seconds and its name."""
    return next((size, unit) for size, unit in _UNITS if seconds >= 2 * size or size == 1)


@dataclass(frozen=True)
class Drawing:
    """A figure with its description."""

    content: str
    """JSON of `data` and `layout`, safe within a script element."""
    alt: str
    """A description of the figure for screen readers."""
    note: str = ""
    """A note on trials that were left out."""
    height: int = 380
    """The height in pixels."""
    width: int = 0
    """The least width in pixels; a narrower window scrolls the figure sideways."""
    trials: frozenset[int] = frozenset()
    """The trials with a text under the pointer: those in its traces' `customdata`."""


@dataclass(frozen=True)
class Missing:
    """A figure that is missing, with the reason."""

    reason: str


def drawing(figure: "go.Figure", alt: str, note: str = "", height: int = 380, width: int = 0) -> Drawing:
    """A plotly figure for the page."""
    figure.layout.template = None
    figure.update_layout(title=None, width=None, height=None)
    content = for_script(_escaped(json.loads(figure.to_json())))
    numbers = [number for trace in figure.data for number in getattr(trace, "customdata", None) or ()]
    trials = frozenset(number for number in numbers if number is not None)
    return Drawing(content, alt, note, height, width, trials)


def for_script(value: Any) -> str:
    """JSON that may stand within a script element."""
    return json.dumps(value, allow_nan=False, separators=(",", ":")).replace("<", "\\u003c")


def themed(figure: "go.Figure") -> None:
    """Lets the page's theme set the colours of color scales."""
    for trace in figure.data:
        for part in (trace, getattr(trace, "marker", None)):
            if part is not None and "colorscale" in part and part.colorscale is not None:
                part.update(colorscale=None, autocolorscale=True, colorbar=BAR)


def _escaped(value: Any, key: str = "") -> Any:
    """Escapes users' names and values, in which plotly would interpret tags."""
    if isinstance(value, dict):
        return {name: _escaped(part, name) for name, part in value.items()}
    if isinstance(value, list):
        return [_escaped(part, key) for part in value]
    if isinstance(value, str) and key not in _MARKUP:
        return value.replace("<", "&lt;").replace(">", "&gt;")
    return value
