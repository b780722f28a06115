"""Several studies side by side: their best scores, how soon they reached them, and how their definitions differ."""

import json
from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from hpo.compare.best_so_far import Ended, Floats, ahead, averages
from hpo.config.resolved import flat
from hpo.statistics.between_studies import compared_studies
from hpo.study.record import TrialRecord, best_trial

if TYPE_CHECKING:
    from hpo.config.experiment import Objective
    from hpo.study.read import StudyView


@dataclass(frozen=True)
class StudySummary:
    """The results of a study, next to others."""

    study: str
    metric: str
    data: str
    """Digest of the data and their split."""
    best: float | None
    """The best validation score of a single run."""
    trial: int | None
    """The trial that has it."""
    trials: int
    """The number of trials that have ended."""
    seconds: float
    """Wall time in which at least one trial ran."""
    by_trials: float | None
    """The best score so far, averaged over trials: from the one by which every study has a score to the last one of the
    shortest study."""
    by_trials_ahead: float | None
    """The share of resampled orders of the trials in which `by_trials` is the best of all studies; see
    `hpo.compare.best_so_far`. None with no other study of the same objective."""
    by_time: float | None
    """The same averaged over seconds in which at least one trial ran."""
    by_time_ahead: float | None
    """The share of resampled orders in which `by_time` is the best."""
    confirmed: float | None
    """The score to expect of the chosen finalist, from its confirming runs."""
    confirmed_behind: float | None
    """By how much that is worse than the best of the studies; None unless at least two are confirmed."""
    confirmed_p_value: float | None
    """The p-value of the hypothesis that the choices of both are equally good, corrected for all pairs of studies."""
    verdict: str | None
    """best, worse or cannot be told apart, by confirmed means; None unless at least two studies are confirmed."""
    noise_floor: float | None
    """Standard deviation of the objective from seed to seed, from the confirming runs."""
    behind: float | None
    """By how much `best` is worse than that of the best study. Both are single runs, so this is no verdict."""
    noise_floors_behind: float | None
    """`behind` in noise floors, the larger one of the two studies; None unless both are known."""


def summaries(views: "Sequence[StudyView]") -> list[StudySummary]:
    """One line for each study, compared with the studies that have the same objective."""
    lines: dict[str, StudySummary] = {}
    for view in views:
        if view.name not in lines:
            lines |= _lines([other for other in views if other.objective == view.objective])
    return [lines[view.name] for view in views]


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


def _lines(rivals: "Sequence[StudyView]") -> dict[str, StudySummary]:
    """Study -> its line, for all studies with the same objective."""
    objective = rivals[0].objective
    sign = objective.merit(1)
    by_trials = {view.name: _over_trials(view) for view in rivals}
    by_time = {view.name: _over_time(view) for view in rivals}
    trial_means, time_means = averages(by_trials, whole=True), averages(by_time)
    trials_ahead, time_ahead = ahead(by_trials), ahead(by_time)
    confirmed = {view.name: view.confirmation for view in rivals if view.confirmation is not None}
    beside = compared_studies(confirmed, sign)
    leader = max(rivals, key=_merit)
    found = {}
    for view in rivals:
        best, top = best_trial(view.trials, objective), best_trial(leader.trials, objective)
        behind = None if best is None or top is None else _lead(top, best, objective)
        floors = [_floor(one) for one in (view, leader)]
        chosen = view.confirmation.estimate if view.confirmation is not None else None
        compared = beside.get(view.name)
        found[view.name] = StudySummary(
            study=view.name,
            metric=objective.metric,
            data=view.identity["dataset"]["digest"],
            best=best.value if best is not None else None,
            trial=best.number if best is not None else None,
            trials=len(by_trials[view.name].merits),
            seconds=by_time[view.name].length,
            by_trials=_signed(sign, trial_means.get(view.name)),
            by_trials_ahead=trials_ahead.get(view.name),
            by_time=_signed(sign, time_means.get(view.name)),
            by_time_ahead=time_ahead.get(view.name),
            confirmed=chosen.mean if chosen is not None else None,
            confirmed_behind=compared.behind if compared is not None else None,
            confirmed_p_value=compared.p_value if compared is not None else None,
            verdict=compared.verdict if compared is not None else None,
            noise_floor=_floor(view),
            behind=behind,
            noise_floors_behind=in_floors(behind, *floors),
        )
    return found


def in_floors(behind: float | None, *floors: float | None) -> float | None:
    """A difference in noise floors, the largest one; None where one of them is unknown or all are 0."""
    known = [floor for floor in floors if floor is not None]
    if behind is None or len(known) < len(floors) or not max(known):
        return None
    return behind / max(known)


def _floor(view: "StudyView") -> float | None:
    return None if view.confirmation is None else view.confirmation.noise_floor


def _lead(top: TrialRecord, best: TrialRecord, objective: "Objective") -> float | None:
    one, other = top.score(objective), best.score(objective)
    return None if one is None or other is None else one.lead(other)


def _signed(sign: int, merit: float | None) -> float | None:
    """A merit as a score."""
    return None if merit is None else sign * merit


def _merit(view: "StudyView") -> float:
    best = best_trial(view.trials, view.objective)
    score = None if best is None else best.score(view.objective)
    return float("-inf") if score is None else score.merit


def _ended(view: "StudyView") -> list[TrialRecord]:
    ended = [trial for trial in view.trials if trial.state != "running" and trial.started and trial.ended]
    return sorted(ended, key=lambda trial: (trial.ended, trial.number))


def _over_trials(view: "StudyView") -> Ended:
    ended = _ended(view)
    return Ended(_merits(view, ended), np.arange(1.0, len(ended) + 1))


def _over_time(view: "StudyView") -> Ended:
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
    return Ended(_merits(view, ended), np.array([clock[trial.number] for trial in ended]))


def _merits(view: "StudyView", ended: Sequence[TrialRecord]) -> Floats:
    scores = [trial.score(view.objective) for trial in ended]
    return np.array([-np.inf if score is None else score.merit for score in scores])


def _definition(view: "StudyView") -> dict[str, Any]:
    """The experiment with all defaults, the digest of its data, and the versions; without the name."""
    identity = {key: value for key, value in view.identity.items() if key != "seed"}
    dataset = {**view.experiment.get("dataset", {}), **view.identity["dataset"]}
    experiment = {key: value for key, value in view.experiment.items() if key != "name"}
    return {**identity, **experiment, "dataset": dataset, "versions": dict(view.versions)}
