"""A figure as the page carries it: plotly's JSON without title and colours, which the page sets for light and dark."""

import json
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    import plotly.graph_objects as go

BEST, COMPLETE, PRUNED, FAILED = "rgb(232,89,12)", "rgb(66,133,214)", "rgb(128,136,150)", "rgb(214,51,66)"
WEAK = "rgb(140,165,200)"
"""Colours that stand out against white and black alike."""

UNITS = ((3600.0, "hours"), (60.0, "minutes"), (1.0, "seconds"))

BAR = {"thickness": 10, "outlinewidth": 0, "title": {"side": "right"}}
"""A colour bar that leaves room for the figure."""

# Text that plotly takes for markup on purpose.
_MARKUP = ("hovertemplate", "texttemplate")


@dataclass(frozen=True)
class Drawing:
    """A figure and its words."""

    content: str
    """JSON of `data` and `layout`, safe within a script element."""
    alt: str
    """What the figure shows, for those who do not see it."""
    note: str = ""
    """What was left out."""
    height: int = 380
    """In pixels."""
    width: int = 0
    """Pixels below which it scrolls sideways."""
    trials: frozenset[int] = frozenset()
    """The trials of which it says more under the pointer: those of its traces' `customdata`."""


@dataclass(frozen=True)
class Missing:
    """Why a figure is not there."""

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
    """Lets the page's theme colour what is coloured by a scale."""
    for trace in figure.data:
        for part in (trace, getattr(trace, "marker", None)):
            if part is not None and "colorscale" in part and part.colorscale is not None:
                part.update(colorscale=None, autocolorscale=True, colorbar=BAR)


def _escaped(value: Any, key: str = "") -> Any:
    """Names and values of the user's are text: plotly would read tags in them."""
    if isinstance(value, dict):
        return {name: _escaped(part, name) for name, part in value.items()}
    if isinstance(value, list):
        return [_escaped(part, key) for part in value]
    if isinstance(value, str) and key not in _MARKUP:
        return value.replace("<", "&lt;").replace(">", "&gt;")
    return value
