"""Which parameters matter: fANOVA on comparable scores, with intervals, and nothing claimed that chance would give.

The share of the variance of the scores that a parameter explains by itself is Optuna's fANOVA (Hutter, Hoos &
Leyton-Brown, ICML 2014): a random forest predicts the scores, and its variance is taken apart. Scores and numbers count
by their ranks: otherwise a few very bad trials, or those far from all others, decide. The share of a conditional
parameter comes from the trials that have it, and counts by their part of the whole variance.

A forest finds a share for every parameter, also in noise. So a parameter matters only if two things hold. The mean
scores of its values (of numbers, of quarters of the trials) differ more than those of any parameter do in 95% of cases
where the scores are shuffled among the trials (Westfall & Young, Resampling-Based Multiple Testing, 1993). And the 95%
interval of its share, from resampled trials, is above what the forest gives it on average for shuffled scores. Without
any signal a parameter is named in at most 5% of studies.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np
import numpy.typing as npt
import optuna
from optuna.distributions import BaseDistribution, CategoricalDistribution, FloatDistribution
from optuna.storages import InMemoryStorage
from optuna.study import StudyDirection
from optuna.trial import FrozenTrial, TrialState, create_trial

from hpo.report.thinning import Source
from hpo.text.values import count, setting

FEWEST = 30
"""The number of comparable scores from which on parameters are ranked."""
_MOST = 200
"""The most trials that are used; from more, this number is drawn at random."""
_TREES, _DEPTH = 8, 4
_SHUFFLES, _RESAMPLES = 10, 30
_PERMUTATIONS, _BINS = 2000, 4
_LEVEL = 0.05

Floats = npt.NDArray[np.float64]


@dataclass(frozen=True)
class Importance:
    """How much a parameter matters."""

    name: str
    share: float
    """The share of the variance of the scores that it explains by itself."""
    low: float
    high: float
    """The 95% interval of the share, from resampled trials."""
    chance: float
    """The share that shuffled scores give it on average."""
    p_value: float
    """The p-value of the hypothesis that the scores do not depend on it, corrected for all parameters."""

    @property
    def matters(self) -> bool:
        """Whether it is known to matter."""
        return self.p_value < _LEVEL and self.low > self.chance


@dataclass(frozen=True)
class Importances:
    """The importances of the parameters of a study, the largest first."""

    found: Sequence[Importance]
    """Empty where there are too few comparable scores."""
    basis: str
    """The scores that they come from, or why there are none, in a sentence."""

    @property
    def important(self) -> list[str]:
        """The parameters that matter, the most important first."""
        return [one.name for one in self.found if one.matters]


@dataclass(frozen=True)
class Comparable:
    """Scores of trials that trained equally long."""

    values: Mapping[int, float]
    """Number of a trial -> its score."""
    what: str
    """Which scores these are, in words."""


def importances(source: Source) -> Importances:
    """The importances of a study's parameters, always the same for the same trials."""
    scores = comparable_scores(source)
    numbers = [number for number in scores.values if number in source.sampled]
    if len(numbers) < FEWEST:
        return Importances((), f"Which parameters matter is shown from {FEWEST} comparable scores on: {scores.what}.")
    basis = f"From {scores.what}"
    if len(numbers) > _MOST:
        numbers = sorted(np.random.default_rng(0).choice(numbers, _MOST, replace=False).tolist())
        basis += f", {count(_MOST)} of them drawn at random"
    groups = _groups(source, numbers, scores.values)
    if not groups or len({scores.values[number] for number in numbers}) < 2:
        return Importances((), "All comparable scores are the same, or no parameter varies: nothing can be ranked.")
    p_values = _p_values(groups, len(numbers))
    found = [one for place, group in enumerate(groups) for one in _measured(group, place, p_values)]
    return Importances(sorted(found, key=lambda one: (not one.matters, -one.share)), f"{basis}.")


def comparable_scores(source: Source) -> Comparable:
    """The scores of complete trials, if there are enough; else the scores that enough trials had after equally long.

    A score that pruning cut short cannot be compared with that of a finished trial. But all trials that were still
    running after some epoch can be compared at that epoch; the latest one with enough trials is taken. A trial that
    finished earlier has its final score. Outliers are left out.
    """
    complete = [trial for trial in source.drawn if trial.state == "complete"]
    finished = f"the scores of the {count(len(complete))} complete trials"
    finals = {trial.number: trial.value for trial in complete if trial.value is not None}
    if len(complete) >= FEWEST or any(trial.fold_lengths for trial in source.drawn):
        return Comparable(finals, finished)
    metric, sign = source.view.objective.metric, source.view.objective.merit(1)
    lengths = sorted((trial.epochs for trial in source.drawn if trial.state != "complete"), reverse=True)
    wanted = FEWEST - len(complete)
    if wanted > len(lengths) or lengths[wanted - 1] < 1:
        few = {0: "no trial has one", 1: "one trial has one"}.get(len(complete), f"{len(complete)} trials are complete")
        return Comparable(finals, few)
    epochs = lengths[wanted - 1]
    reached = [trial for trial in source.drawn if trial.state == "complete" or trial.epochs >= epochs]
    values = {
        trial.number: sign * max(sign * value for value in trial.curves[metric][:epochs])
        for trial in reached
        if trial.curves.get(metric)
    }
    within = "the first epoch" if epochs == 1 else f"the first {epochs} epochs"
    return Comparable(
        values,
        f"the best {metric} within {within} of the {count(len(values))} trials that trained so long or finished "
        f"earlier; only {count(len(complete))} trials are complete",
    )


@dataclass(frozen=True)
class _Group:
    """Parameters that exist in the same trials, with these trials."""

    names: Sequence[str]
    """The parameters whose shares are wanted."""
    trials: Sequence[FrozenTrial]
    """The trials, with all parameters that exist in each of them; numbered from 0."""
    scores: Floats
    part: float
    """The part of these trials in the sum of squares of all scores."""
    all_scores: Floats
    """The scores of all trials, also of those that are not in this group."""
    places: Sequence[int]
    """The places of this group's trials among all trials."""

    @cached_property
    def _study(self) -> "_Trials":
        return _Trials()

    def explained(self, name: str, scores: Floats) -> Floats:
        """The share of the variance that lies between the values of a parameter, or between quarters of the trials.

        `scores`: orders of all scores, shape (orders, all trials). Returns shape (orders,).
        """
        values = [trial.params[name] for trial in self.trials]
        if isinstance(values[0], float):
            values = np.minimum((np.array(values) * _BINS).astype(int), _BINS - 1).tolist()
        _, kinds = np.unique(np.array(values), return_inverse=True)
        members = scores[:, self.places]
        centred = members - members.mean(axis=1, keepdims=True)
        sums = centred @ np.eye(kinds.max() + 1)[kinds]
        total = (centred**2).sum(axis=1)
        between: Floats = (sums**2 / np.bincount(kinds)).sum(axis=1) / np.where(total > 0, total, 1.0)
        return between

    def shares(self, scores: Floats, seed: int, places: Sequence[int] | None = None) -> Floats:
        """The shares by given scores, or by resampled trials, shape (names,)."""
        from optuna.importance import FanovaImportanceEvaluator

        self._study.shown = self.trials if places is None else [self.trials[place] for place in places]
        evaluator = FanovaImportanceEvaluator(n_trees=_TREES, max_depth=_DEPTH, seed=seed)
        try:
            found = evaluator.evaluate(self._study, target=lambda trial: float(scores[trial.number]))
        except RuntimeError:
            # No tree found any variance.
            return np.zeros(len(self.names))
        return self.part * np.array([found[name] for name in self.names], float)


def _measured(group: _Group, place: int, p_values: Mapping[str, float]) -> list[Importance]:
    random, size = np.random.default_rng([1, place]), len(group.trials)
    shares = group.shares(group.scores, 0)
    shuffled = np.array([group.shares(random.permutation(group.scores), seed) for seed in range(_SHUFFLES)])
    drawn = random.integers(size, size=(_RESAMPLES, size))
    resampled = np.array([group.shares(group.scores, seed, places) for seed, places in enumerate(drawn)])
    low, high = np.quantile(resampled, [0.025, 0.975], axis=0)
    # The interval of a share holds the share itself, whatever resampling does to forests.
    low, high, chance = np.minimum(low, shares), np.maximum(high, shares), shuffled.mean(axis=0)
    return [
        Importance(name, float(shares[at]), float(low[at]), float(high[at]), float(chance[at]), p_values[name])
        for at, name in enumerate(group.names)
    ]


def _p_values(groups: Sequence[_Group], size: int) -> dict[str, float]:
    """Parameter -> the p-value of the hypothesis that the scores do not depend on it, corrected for all parameters."""
    order = np.random.default_rng(2).random((_PERMUTATIONS, size)).argsort(axis=1)
    scores = groups[0].all_scores
    drawn = np.concatenate([scores[None], scores[order]])
    names = [name for group in groups for name in group.names]
    explained = np.stack([group.explained(name, drawn) for group in groups for name in group.names], axis=1)
    # The share of all orders, the observed one included, that explain at least as much; shape (orders, names).
    ranks = np.stack([len(drawn) - np.searchsorted(np.sort(one), one - 1e-12) for one in explained.T], axis=1)
    least = ranks.min(axis=1)
    return {name: float(np.mean(least <= ranks[0, at])) for at, name in enumerate(names)}


def _groups(source: Source, numbers: Sequence[int], scores: Mapping[int, float]) -> list[_Group]:
    """The parameters that vary, by the trials in which they exist, where there are enough of those."""
    present = {
        name: tuple(number for number in numbers if name in source.sampled[number].params)
        for name in source.distributions
    }
    whole = _ranks([scores[number] for number in numbers])
    ranks = dict(zip(numbers, whole, strict=True))
    places = {number: place for place, number in enumerate(numbers)}
    total = float(((whole - whole.mean()) ** 2).sum())
    groups = []
    for members in dict.fromkeys(present.values()):
        if len(members) < FEWEST or not total:
            continue
        beside = [name for name, there in present.items() if set(members) <= set(there)]
        values = {name: [source.sampled[number].params[name] for number in members] for name in beside}
        every = {name: _coded(source.distributions[name], values[name]) for name in beside}
        coded = {name: one for name, one in every.items() if one is not None}
        own = [name for name in coded if present[name] == members]
        if own:
            part = np.array([ranks[number] for number in members])
            squares = float(((part - part.mean()) ** 2).sum())
            where = [places[number] for number in members]
            groups.append(_Group(own, _trials(coded, len(members)), part, squares / total, whole, where))
    return groups


def _ranks(values: Sequence[float]) -> Floats:
    """The ranks of values, from 0; equal ones share the mean of theirs."""
    _, place, counts = np.unique(np.array(values), return_inverse=True, return_counts=True)
    ranks: Floats = (np.cumsum(counts) - (counts + 1) / 2)[place]
    return ranks


_Coded = tuple[BaseDistribution, Sequence[Any]]


def _coded(distribution: BaseDistribution, values: Sequence[Any]) -> _Coded | None:
    """A parameter's values on a scale from 0 to 1, or as texts; None if all are the same."""
    if len({setting(value) for value in values}) < 2:
        return None
    if isinstance(distribution, CategoricalDistribution) or not all(isinstance(one, int | float) for one in values):
        texts = [setting(value) for value in values]
        return CategoricalDistribution(list(dict.fromkeys(texts))), texts
    return FloatDistribution(0.0, 1.0), (_ranks(values) / (len(values) - 1)).tolist()


def _trials(coded: Mapping[str, _Coded], size: int) -> list[FrozenTrial]:
    distributions = {name: distribution for name, (distribution, _) in coded.items()}
    trials = []
    for place in range(size):
        params = {name: values[place] for name, (_, values) in coded.items()}
        trial = create_trial(params=params, distributions=distributions, value=0.0)
        trial.number = place
        trials.append(trial)
    return trials


class _Trials(optuna.Study):
    """A study of given trials, for Optuna's evaluator."""

    def __init__(self) -> None:
        storage = InMemoryStorage()
        storage.create_new_study([StudyDirection.MINIMIZE], "importance")
        super().__init__("importance", storage)
        self.shown: Sequence[FrozenTrial] = ()

    def get_trials(self, deepcopy: bool = True, states: Any = None) -> list[FrozenTrial]:
        """The trials; all are complete."""
        return list(self.shown) if states is None or TrialState.COMPLETE in states else []
