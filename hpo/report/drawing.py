"""A figure as the page carries it: plotly's JSON without title and colours, which the page sets for light and dark."""

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    import plotly.graph_objects as go

BEST, COMPLETE, PRUNED = "rgb(232,89,12)", "rgba(66,133,214,0.6)", "rgba(128,136,150,0.3)"
WEAK = "rgb(140,165,200)"
"""Colours that stand out against white and black alike."""

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
    wide: bool = False
    """Whether it scrolls sideways on a narrow screen."""


@dataclass(frozen=True)
class Missing:
    """Why a figure is not there."""

    reason: str


def drawing(figure: "go.Figure", alt: str, note: str = "", height: int = 380, wide: bool = False) -> Drawing:
    """A plotly figure for the page."""
    import json

    figure.layout.template = None
    figure.update_layout(title=None, width=None, height=None)
    content = json.dumps(_escaped(json.loads(figure.to_json())), allow_nan=False, separators=(",", ":"))
    return Drawing(content.replace("<", "\\u003c"), alt, note, height, wide)


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
