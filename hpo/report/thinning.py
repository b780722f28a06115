"""Selects some of many trials for figures, at random where possible, with a note that says so."""

from collections.abc import Container, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import cached_property

import numpy as np
import optuna
from optuna.distributions import BaseDistribution
from optuna.storages import InMemoryStorage
from optuna.study import StudyDirection
from optuna.trial import FrozenTrial, TrialState

from hpo.config.experiment import Objective
from hpo.report.choice import Choice, choice_of
from hpo.storage.read_trials import Sampled
from hpo.study.read import StudyView, read_sampled, read_study
from hpo.study.record import TrialRecord, ranked
from hpo.text.values import count

_ENOUGH = 10
"""From this number of complete trials on, pruned ones are left out of comparisons."""


@dataclass(frozen=True)
class Source:
    """A study with the trials that figures draw."""

    view: StudyView
    scored: Sequence[TrialRecord]
    """Complete and pruned trials that have a score, best first."""
    drawn: Sequence[TrialRecord]
    """The scored trials without outliers, whose scores are so bad that the others would look the same."""
    sampled: Mapping[int, Sampled]
    """Number of a trial -> its sampled parameters."""

    @cached_property
    def distributions(self) -> dict[str, BaseDistribution]:
        """Parameter -> its range or choices in the last trial that has it."""
        return {name: one for trial in self.sampled.values() for name, one in trial.distributions.items()}

    @cached_property
    def choice(self) -> Choice | None:
        """The trial that the study recommends; None while no trial has a score."""
        return choice_of(self.view)

    @property
    def chosen(self) -> list[TrialRecord]:
        """The trial of the choice, where it can be drawn."""
        choice = self.choice
        return [trial for trial in self.drawn if choice and trial.number == choice.trial.number]


def read_source(url: str, name: str) -> Source:
    """Reads a study from the store at `url`.

    Raises:
        NotFound: there is no such study.
    """
    view = read_study(url, name)
    # A paused trial is drawn as one that its pruner stopped.
    found = ranked(view.trials, view.objective)
    scored = [replace(trial, state="pruned") if trial.paused else trial for trial in found]
    return Source(view, scored, _without_outliers(scored, view.objective), read_sampled(url, name))


def _without_outliers(scored: Sequence[TrialRecord], objective: Objective) -> list[TrialRecord]:
    """Leaves out exploded losses: scores 10 times as far from the 90% quantile as that is from the best."""
    if not scored:
        return []
    losses = -objective.merit(np.array([trial.value for trial in scored]))
    usual = float(np.quantile(losses, 0.9))
    limit = usual + 10 * (usual - losses[0]) if usual > losses[0] else np.inf
    return [trial for trial, loss in zip(scored, losses, strict=True) if loss <= limit]


@dataclass(frozen=True)
class Thinned:
    """Some of many trials."""

    numbers: frozenset[int]
    note: str
    """How many trials are shown, and which; empty where all are."""


def thin(trials: Sequence[TrialRecord], most: int, what: str, keep: Sequence[TrialRecord] = ()) -> Thinned:
    """At most `most` trials: the best quarter of that number, the others drawn at random, always the same ones.

    Args:
        trials: best first.
        most: the number of trials to select.
        what: the word for trials in the note: curves, points.
        keep: trials that are shown in any case, in addition.
    """
    if len(trials) <= most:
        return Thinned(frozenset(trial.number for trial in [*trials, *keep]), "")
    best, drawn = most // 4, most - most // 4
    rest = np.random.default_rng(0).choice(np.arange(best, len(trials)), drawn, replace=False)
    kept = {trial.number for trial in trials[:best]} | {trials[int(place)].number for place in rest}
    more = {trial.number for trial in keep} - kept
    note = f"{count(len(kept) + len(more))} of {count(len(trials))} {what}: the best {best} and {drawn} drawn at random"
    others = f", and the {len(more)} other{'s' if len(more) > 1 else ''} that must be shown" if more else ""
    return Thinned(frozenset(kept | more), note + others)


def comparable(source: Source) -> list[TrialRecord]:
    """The complete trials, best first; where there are fewer than ten, the pruned ones as well.

    The score of a pruned trial after one epoch cannot be compared well with scores of others after twenty.
    """
    complete = [trial for trial in source.drawn if trial.state == "complete"]
    return complete if len(complete) >= _ENOUGH else list(source.drawn)


def thin_comparable(trials: Sequence[TrialRecord], most: int, keep: Sequence[TrialRecord] = ()) -> Thinned:
    """At most `most` comparable trials, which the note calls complete if all are; see `thin`."""
    complete = all(trial.state == "complete" for trial in trials)
    return thin(trials, most, "complete trials" if complete else "trials", keep)


class Sample(optuna.Study):
    """A study with only some trials, under their own numbers, for Optuna's figures.

    Pruned trials appear as complete ones, with their best score before they were stopped, as hpo ranks them. Without
    them most trials of a study with a good pruner would be missing. All other trials appear as failed, since Optuna
    needs trial numbers without gaps.
    """

    def __init__(self, source: Source, numbers: frozenset[int] | None = None) -> None:
        """If `numbers` is None, every trial that has a score is drawn."""
        objective, name = source.view.objective, source.view.name
        storage = InMemoryStorage()
        storage.create_new_study([StudyDirection[str(objective.direction).upper()]], name)
        super().__init__(name, storage)
        records = {trial.number: trial for trial in source.scored if numbers is None or trial.number in numbers}
        last = max((trial.number for trial in source.view.trials), default=-1)
        self._shown = [
            _drawn(number, records.get(number), source.sampled.get(number, Sampled()), objective.metric)
            for number in range(last + 1)
        ]

    def get_trials(self, deepcopy: bool = True, states: Container[TrialState] | None = None) -> list[FrozenTrial]:
        """All trials in the order of their numbers."""
        return [trial for trial in self._shown if states is None or trial.state in states]


def _drawn(number: int, record: TrialRecord | None, sampled: Sampled, metric: str) -> FrozenTrial:
    reported = record.reports(metric) if record else {}
    return FrozenTrial(
        number=number,
        trial_id=number,
        state=TrialState.COMPLETE if record else TrialState.FAIL,
        value=record.value if record else None,
        params=sampled.params,
        distributions=sampled.distributions,
        intermediate_values={step: value for step, value in reported.items() if np.isfinite(value)},
        datetime_start=record.started if record else None,
        datetime_complete=record.ended if record else None,
        user_attrs={},
        system_attrs={},
    )
