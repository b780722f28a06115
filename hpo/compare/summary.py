"""Several studies side by side: their best scores, how soon they reached them, and how their definitions differ."""

import json
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from hpo.config.resolved import flat
from hpo.config.score import Score
from hpo.study.record import TrialRecord, best_trial

if TYPE_CHECKING:
    from hpo.study.read import StudyView


@dataclass(frozen=True)
class StudySummary:
    """The results of a study, next to others."""

    study: str
    metric: str
    best: float | None
    """The best validation score of a single run."""
    trial: int | None
    """The trial that has it."""
    trials: int
    """The number of trials that have ended."""
    seconds: float
    """Wall time in which at least one trial ran."""
    by_trials: float | None
    """The best score so far, averaged over the first n trials; n is the number of trials of the shortest study."""
    by_time: float | None
    """The best score so far, averaged over the first t seconds; t is the time that the shortest study ran."""
    confirmed: float | None
    """Validation mean of the chosen finalist over its seeds."""
    noise_floor: float | None
    """Standard deviation of the objective from seed to seed."""
    behind: float | None
    """By how much `best` is worse than that of the best study with the same objective."""
    beyond_noise: bool | None
    """Whether `behind` exceeds the larger noise floor of the two studies; None where neither is known."""


@dataclass(frozen=True)
class _Steps:
    """A best-so-far curve: from `moments[i]` on the best score is `best[i]`."""

    moments: Sequence[float]
    best: Sequence[float]
    length: float

    def mean(self, horizon: float, before: float) -> float:
        """The curve's average from 0 to `horizon`; its value is `before` until the first moment."""
        ends = [*(min(moment, horizon) for moment in self.moments), horizon]
        area = before * ends[0]
        area += sum(best * (end - start) for start, end, best in zip(ends, ends[1:], self.best, strict=False))
        return area / horizon


def summaries(views: "Sequence[StudyView]") -> list[StudySummary]:
    """One line for each study.

    The best-so-far curve is averaged over the same width for all studies with the same objective: that of the shortest
    study, so that no study gains by running longer. The average has the units of the objective. Until a study has its
    first score, its curve has the worst of the studies' first scores.
    """
    by_trials = {view.name: _over_trials(view) for view in views}
    by_time = {view.name: _over_time(view) for view in views}
    return [_summary(view, _rivals(view, views), by_trials, by_time) for view in views]


def differences(views: "Sequence[StudyView]") -> dict[str, dict[str, Any]]:
    """Differences in the definitions of studies: dotted key -> study -> value. Studies without the key are left out."""
    settings = {view.name: dict(flat(_definition(view))) for view in views}
    keys = dict.fromkeys(key for values in settings.values() for key in values)
    found = {key: {name: values[key] for name, values in settings.items() if key in values} for key in keys}
    return {
        key: values
        for key, values in found.items()
        if len(values) < len(views) or len({json.dumps(value) for value in values.values()}) > 1
    }


def _rivals(view: "StudyView", views: "Sequence[StudyView]") -> "list[StudyView]":
    return [other for other in views if other.objective == view.objective]


def _summary(
    view: "StudyView",
    rivals: "Sequence[StudyView]",
    by_trials: Mapping[str, _Steps],
    by_time: Mapping[str, _Steps],
) -> StudySummary:
    confirmation, best = view.confirmation, best_trial(view.trials, view.objective)
    leader = max(rivals, key=_merit)
    score, top = _best(view), _best(leader)
    behind = top.lead(score) if score is not None and top is not None else None
    floors = [one.confirmation.noise_floor for one in (view, leader) if one.confirmation is not None]
    chosen = confirmation.estimate if confirmation is not None else None
    names = [one.name for one in rivals]
    return StudySummary(
        study=view.name,
        metric=view.objective.metric,
        best=best.value if best is not None else None,
        trial=best.number if best is not None else None,
        trials=int(by_trials[view.name].length),
        seconds=by_time[view.name].length,
        by_trials=_mean(view, by_trials, names),
        by_time=_mean(view, by_time, names),
        confirmed=chosen.mean if chosen is not None else None,
        noise_floor=confirmation.noise_floor if confirmation is not None else None,
        behind=behind,
        beyond_noise=behind > max(floors) if floors and behind is not None else None,
    )


def _mean(view: "StudyView", curves: Mapping[str, _Steps], rivals: Sequence[str]) -> float | None:
    begun = [curves[name] for name in rivals if curves[name].best]
    if not curves[view.name].best:
        return None
    worst = min(begun, key=lambda curve: view.objective.merit(curve.best[0])).best[0]
    horizon = min(curve.length for curve in begun)
    return curves[view.name].mean(horizon, worst) if horizon > 0 else None


def _best(view: "StudyView") -> Score | None:
    best = best_trial(view.trials, view.objective)
    return None if best is None else best.score(view.objective)


def _merit(view: "StudyView") -> float:
    best = _best(view)
    return float("-inf") if best is None else best.merit


def _ended(view: "StudyView") -> list[TrialRecord]:
    ended = [trial for trial in view.trials if trial.state != "running" and trial.started and trial.ended]
    return sorted(ended, key=lambda trial: (trial.ended, trial.number))


def _over_trials(view: "StudyView") -> _Steps:
    ended = _ended(view)
    return _steps(view, zip(range(1, len(ended) + 1), ended, strict=True), len(ended))


def _over_time(view: "StudyView") -> _Steps:
    """The curve over seconds in which at least one trial ran; pauses between runs of a study do not count."""
    ended = _ended(view)
    spans = sorted((trial.started.timestamp(), trial.ended.timestamp()) for trial in ended)  # type: ignore[union-attr]
    busy: list[list[float]] = []
    for start, end in spans:
        if busy and start <= busy[-1][1]:
            busy[-1][1] = max(busy[-1][1], end)
        else:
            busy.append([start, end])
    clock: dict[int, float] = {}
    elapsed, span = 0.0, 0
    for trial in ended:
        moment = trial.ended.timestamp()  # type: ignore[union-attr]
        while moment > busy[span][1]:
            elapsed += busy[span][1] - busy[span][0]
            span += 1
        clock[trial.number] = elapsed + moment - busy[span][0]
    total = sum(end - start for start, end in busy)
    return _steps(view, ((clock[trial.number], trial) for trial in ended), total)


def _steps(view: "StudyView", ended: "Iterator[tuple[float, TrialRecord]]", length: float) -> _Steps:
    moments: list[float] = []
    best: list[Score] = []
    for moment, trial in ended:
        score = trial.score(view.objective)
        if score is not None and score.better_than(best[-1] if best else None):
            moments.append(moment)
            best.append(score)
    return _Steps(moments, [score.value for score in best], length)


def _definition(view: "StudyView") -> dict[str, Any]:
    """The experiment with all defaults, the digest of its data, and the versions; without the name."""
    identity = {key: value for key, value in view.identity.items() if key != "seed"}
    dataset = {**view.experiment.get("dataset", {}), **view.identity["dataset"]}
    experiment = {key: value for key, value in view.experiment.items() if key != "name"}
    return {**identity, **experiment, "dataset": dataset, "versions": dict(view.versions)}
