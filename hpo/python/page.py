"""What a notebook shows of a study: the answer first, then the best trials, and a small picture of their curves."""

import html
import math
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from hpo.study.read import StudyView
    from hpo.study.record import TrialRecord

_ROWS, _LINES = 8, 40
_WIDTH, _HEIGHT, _MARGIN = 360, 110, 8


def study_page(view: "StudyView") -> str:
    """A study as a piece of HTML without scripts."""
    from hpo.report.answer import answer
    from hpo.study.record import count_states, ranked
    from hpo.text.values import counts

    found = answer(view)
    scored = ranked(view.trials, view.objective)
    states = counts(count_states(view.trials)) or "no trial yet"
    sure = " ".join(html.escape(sentence) for sentence in found.sure)
    parts = [
        f"<b>{html.escape(view.name)}</b>: {html.escape(states)}",
        f'<div style="font-size: 1.1em; margin: 4px 0"><b>{html.escape(found.headline)}</b></div><div>{sure}</div>',
    ]
    if scored:
        parts += [_table(view, scored[:_ROWS]), _curves(view, scored[:_LINES])]
        if len(scored) > _ROWS:
            parts.append(f"<small>{len(scored) - _ROWS} more trials have a score: study.trials</small>")
    return f'<div style="max-width: 900px">{"".join(parts)}</div>'


def _table(view: "StudyView", trials: "list[TrialRecord]") -> str:
    from hpo.text.cleaning import cut
    from hpo.text.values import score, setting

    names = list(dict.fromkeys(name for trial in trials for name in trial.params))
    head = ["trial", view.objective.metric, "epochs", *names]
    rows = [
        [
            str(trial.number),
            score(trial.value),
            str(trial.epochs),
            *(cut(setting(trial.params[name]), 40) if name in trial.params else "" for name in names),
        ]
        for trial in trials
    ]
    heads = "".join(f"<th>{html.escape(one)}</th>" for one in head)
    body = "".join("<tr>" + "".join(f"<td>{html.escape(one)}</td>" for one in row) + "</tr>" for row in rows)
    return f"<table><thead><tr>{heads}</tr></thead><tbody>{body}</tbody></table>"


def _curves(view: "StudyView", trials: "list[TrialRecord]") -> str:
    """The curves of the objective, the best one on top."""
    metric = view.objective.metric
    curves = [[value for value in trial.curves.get(metric, ()) if math.isfinite(value)] for trial in trials]
    curves = [curve for curve in curves if curve]
    if not curves:
        return ""
    values = sorted(value for curve in curves for value in curve)
    # The worst tenth may be far off, as the first epochs are.
    low, high = (values[0], values[int(0.9 * (len(values) - 1))])
    if view.objective.direction == "maximize":
        low, high = values[int(0.1 * (len(values) - 1))], values[-1]
    longest, span = max(map(len, curves)), (high - low) or 1.0

    def point(epoch: int, value: float) -> str:
        x = _MARGIN + (_WIDTH - 2 * _MARGIN) * (epoch / max(1, longest - 1))
        share = min(1.0, max(0.0, (value - low) / span))
        return f"{x:.1f},{_HEIGHT - _MARGIN - (_HEIGHT - 2 * _MARGIN) * share:.1f}"

    lines = []
    for place, curve in reversed(list(enumerate(curves))):
        color, width = ("#e8590c", 2.5) if place == 0 else ("#8ca5c8", 1)
        points = " ".join(point(epoch, value) for epoch, value in enumerate(curve))
        if len(curve) == 1:
            x, y = points.split(",")
            lines.append(f'<circle cx="{x}" cy="{y}" r="2.5" fill="{color}"/>')
        lines.append(f'<polyline points="{points}" fill="none" stroke="{color}" stroke-width="{width}"/>')
    title = html.escape(f"{metric} by epoch; the best trial is orange")
    box = f'width="{_WIDTH}" height="{_HEIGHT}" role="img" aria-label="{title}"'
    return f"<div><small>{title}</small><br><svg {box}>{''.join(lines)}</svg></div>"
