"""The runs of a confirmation: which are owed, which have ended, and how far the race of the finalists has come."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import cached_property

from hpo.config.experiment import Objective
from hpo.statistics.finalists import Basis, Runs, cost_of
from hpo.statistics.race import Rule, entrants, rounds
from hpo.study.confirmation import Confirmation
from hpo.study.failure import RETRIED, runs_again
from hpo.study.record import Confirms, TrialRecord


@dataclass(frozen=True)
class Wanted:
    """The finalists to confirm, and how."""

    finalists: Sequence[TrialRecord]
    """Trials of the study, each with a score."""
    seeds: int
    """Runs of each finalist; in a race, the average over all finalists."""
    retries: int
    """How often a run whose worker died is tried again."""
    race: bool = True
    """Whether only finalists still in the race get more than the first seeds."""
    margin: float | None = None
    """The cheapest finalist whose mean is at most this much worse than the best is chosen; None: the best mean."""
    splits: bool = False
    """Whether each seed has a split into training and validation of its own."""

    def joined(self, earlier: Sequence[TrialRecord], objective: Objective) -> "Wanted":
        """Adds the finalists of earlier calls, which race against those of this call; the best searched score is first.

        Without a race nothing is added, so earlier finalists get no more runs.
        """
        if not self.race:
            return self
        known = {one.number: one for one in (*self.finalists, *earlier)}
        order = sorted(known.values(), key=lambda one: (-objective.merit(one.value or 0.0), one.number))
        return replace(self, finalists=order)

    def rule(self, objective: Objective) -> Rule:
        """The rule of the race: its rounds, and which finalists enter the next round."""
        costs = {one.number: cost_of(one.model_parameters, one.seconds) for one in self.finalists}
        return Rule(rounds(len(self.finalists), self.seeds, self.race), objective.merit(1), self.margin, costs)


@dataclass(frozen=True)
class ConfirmingRuns:
    """The runs so far, and the runs that are still to be trained."""

    wanted: Wanted
    rule: Rule
    runs: Sequence[TrialRecord]
    """The confirming runs with the study's split, or those with splits of their own, in the order in which they
    began."""
    splits: Mapping[int, int] = field(default_factory=dict)
    """Ordinal -> the seed of its own split; empty: all runs have the study's split."""

    @cached_property
    def attempts(self) -> Mapping[Confirms, Sequence[TrialRecord]]:
        """Finalist and seed -> its runs; more than one if it was tried again."""
        found: dict[Confirms, list[TrialRecord]] = {}
        for run in self.runs:
            if run.confirms is not None:
                found.setdefault(run.confirms, []).append(run)
        return found

    @cached_property
    def ended(self) -> Mapping[Confirms, TrialRecord]:
        """Finalist and seed -> the run that counts: with a score, or failed for good."""
        last = {pair: tries[-1] for pair, tries in self.attempts.items() if not is_owed(tries, self.wanted.retries)}
        return {
            pair: run
            for pair, run in last.items()
            if run.state == "failed" or (run.state == "complete" and run.value is not None)
        }

    @cached_property
    def entered(self) -> Sequence[tuple[int, ...]]:
        """The finalists of each round, as far as the rounds are known by now."""
        outcomes: dict[int, dict[int, float | None]] = {one.number: {} for one in self.wanted.finalists}
        for pair, run in self.ended.items():
            outcomes.setdefault(pair.trial, {})[pair.ordinal] = run.value if run.state == "complete" else None
        return entrants(self.rule, [one.number for one in self.wanted.finalists], outcomes)

    def owed(self) -> Iterator[Confirms]:
        """The runs to train now: seed by seed, for all finalists of the round, those first that train longest.

        So no worker is left with a long run when the others have nothing left to train.
        """
        for pair in self._pairs():
            if is_owed(self.attempts.get(pair, ()), self.wanted.retries):
                yield pair

    @property
    def left(self) -> int:
        """The number of runs that are still to be trained, including those of later rounds."""
        return sum(1 for _ in self.owed()) + self._later

    @property
    def total(self) -> int:
        """The number of runs, done and still to be trained: one for each finalist and seed."""
        return len({*self._pairs(), *self.attempts}) + self._later

    def of(self, trials: Sequence[TrialRecord]) -> list[Runs]:
        """The runs that count, for each of these trials of the study."""
        out = {*self.entered[0]} - {*self.entered[-1]}
        return [self._of(trial, trial.number in out) for trial in trials]

    def basis(self, earlier: Confirmation | None) -> Basis:
        """What a choice by these runs rests on; `earlier`: the result that was stored before, if any.

        A look at the results is counted when all wanted runs have ended. Continuing after a time limit adds none.
        """
        seeds = {pair.ordinal: run.seed for pair, run in self.ended.items()}
        now = max(seeds, default=0)
        looks: tuple[int, ...] = ()
        other: tuple[int, ...] = ()
        if earlier is not None:
            before = max((len(one.values) + len(one.failures) for one in earlier.finalists), default=0)
            shown = (before,) if earlier.looks is None else earlier.looks
            looks, other = shown, earlier.other_looks
            if earlier.splits != self.wanted.splits:
                looks, other = other, looks
        if not self.left and now > max(looks, default=0):
            looks = (*looks, now)
        looked = [one for one in looks if one < now]
        first = looked[-1] if looked else 0
        fresh = {seed for ordinal, seed in seeds.items() if ordinal > first}
        return Basis(fresh, self.wanted.margin, looks, other, self.wanted.splits)

    def _pairs(self) -> Iterator[Confirms]:
        seconds = {one.number: one.seconds or float("inf") for one in self.wanted.finalists}
        for members, given in zip(self.entered, self.rule.rounds, strict=False):
            longest_first = sorted(members, key=lambda trial: -seconds[trial])
            for ordinal in range(1, given.seeds + 1):
                for trial in longest_first:
                    yield Confirms(trial, ordinal, self.splits.get(ordinal))

    @property
    def _later(self) -> int:
        """The largest number of runs in rounds whose finalists are not known yet."""
        given = [one.seeds for one in self.rule.rounds]
        unknown = range(len(self.entered), len(given))
        return sum(self.rule.rounds[at].places * (given[at] - given[at - 1]) for at in unknown)

    def _of(self, trial: TrialRecord, out: bool) -> Runs:
        own = [run for pair, run in self.ended.items() if pair.trial == trial.number]
        return Runs(
            trial,
            scored=[run for run in own if run.state == "complete"],
            failed=[run for run in own if run.state == "failed"],
            out=out,
        )


def is_owed(attempts: Sequence[TrialRecord], retries: int) -> bool:
    """Whether a finalist is to be run with a seed: it never was, was cut short, or its failure is retried."""
    if not attempts:
        return True
    last, deaths = attempts[-1], sum(run.reason in RETRIED for run in attempts)
    if last.state == "failed":
        return runs_again(last.reason, deaths, retries)
    return last.state == "pruned"
