"""The text that a figure shows for a trial under the pointer: its state, scores and configuration."""

from collections.abc import Iterable, Mapping
from html import escape
from typing import TYPE_CHECKING

from hpo.text.cleaning import cut
from hpo.text.values import score, setting

if TYPE_CHECKING:
    from hpo.report.thinning import Source
    from hpo.study.record import TrialRecord

_LINES = 24
_LETTERS = 60


def hovers(source: "Source", numbers: Iterable[int]) -> dict[int, str]:
    """Number of a trial -> its lines in plotly's markup, stored once for all figures of a page."""
    wanted = set(numbers)
    return {trial.number: _hover(source, trial) for trial in source.view.trials if trial.number in wanted}


def _hover(source: "Source", trial: "TrialRecord") -> str:
    choice = source.choice
    chosen = f", {choice.title}" if choice and choice.trial.number == trial.number else ""
    head = f"<b>trial {trial.number}</b> {trial.status}{chosen}"
    lines = [*_scores(source.view.objective.metric, trial), *_settings(source, trial)]
    return "<br>".join([head, *(_text(line) for line in lines)])


def _scores(metric: str, trial: "TrialRecord") -> list[str]:
    """The objective and the other scores on the validation part; test scores are not shown."""
    if trial.state == "failed":
        return [str(trial.failure)]
    if trial.value is None:
        return []
    others: Mapping[str, float] = {name: value for name, value in trial.best.items() if name.startswith("val_")}
    lines = [f"{metric} {score(trial.value)} {trial.reached(metric)}"]
    return lines + [f"{name} {score(value)}" for name, value in others.items() if name != metric]


def _settings(source: "Source", trial: "TrialRecord") -> list[str]:
    lines = [f"{name}: {setting(trial.params[name])}" for name in source.distributions if name in trial.params]
    more = len(lines) - _LINES
    return [*lines[:_LINES], f"and {more} more"] if more > 0 else lines


def _text(line: str) -> str:
    return escape(cut(" ".join(line.split()), _LETTERS), quote=False)
