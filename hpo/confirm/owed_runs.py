"""The runs of a confirmation: which are owed, which have ended, and how far the race of the finalists has come."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property

from hpo.config.experiment import Objective
from hpo.statistics.finalists import Basis, Runs
from hpo.statistics.race import Rule, entrants, rounds, used
from hpo.study.confirmation import Confirmation
from hpo.study.failure import RETRIED, runs_again
from hpo.study.record import Confirms, TrialRecord


@dataclass(frozen=True)
class Wanted:
    """What is to be confirmed, and how."""

    finalists: Sequence[TrialRecord]
    """Trials of the study, each with a score."""
    seeds: int
    """Runs of each finalist; in a race, of all finalists on average."""
    retries: int
    """How often a run is tried again whose worker died."""
    race: bool = True
    """Whether only those still in the race are given more than the first seeds."""
    margin: float | None = None
    """Within so much of the best mean the cheapest is chosen; None: the best mean."""

    def joined(self, earlier: Sequence[TrialRecord], objective: Objective) -> "Wanted":
        """With the finalists of earlier calls, against which those of this call race; best score in the search first.

        Without a race they are given no more runs.
        """
        if not self.race:
            return self
        known = {one.number: one for one in (*self.finalists, *earlier)}
        order = sorted(known.values(), key=lambda one: (-objective.merit(one.value or 0.0), one.number))
        return Wanted(order, self.seeds, self.retries, self.race, self.margin)

    def rule(self, objective: Objective) -> Rule:
        """The rounds, and who comes to the next."""
        infinite = float("inf")
        costs = {one.number: (one.model_parameters or infinite, one.seconds or infinite) for one in self.finalists}
        return Rule(rounds(len(self.finalists), self.seeds, self.race), objective.merit(1), self.margin, costs)


@dataclass(frozen=True)
class ConfirmingRuns:
    """The runs that there are, and those that are wanted."""

    wanted: Wanted
    rule: Rule
    runs: Sequence[TrialRecord]
    """All confirming runs, in the order in which they began."""

    @cached_property
    def attempts(self) -> Mapping[Confirms, Sequence[TrialRecord]]:
        """Finalist and seed -> its runs, more than one where it was tried again."""
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
        """The finalists of each round that is known by now."""
        outcomes: dict[int, dict[int, float | None]] = {one.number: {} for one in self.wanted.finalists}
        for pair, run in self.ended.items():
            outcomes.setdefault(pair.trial, {})[pair.ordinal] = run.value if run.state == "complete" else None
        return entrants(self.rule, [one.number for one in self.wanted.finalists], outcomes)

    def owed(self) -> Iterator[Confirms]:
        """What is to be trained now, seed by seed over all that are in the round."""
        for pair in self._pairs():
            if is_owed(self.attempts.get(pair, ()), self.wanted.retries):
                yield pair

    @property
    def left(self) -> int:
        """How many runs are to be trained yet, those of later rounds included."""
        return sum(1 for _ in self.owed()) + self._later

    @property
    def total(self) -> int:
        """Runs that there are and are to be: of each finalist and seed one."""
        return len({*self._pairs(), *self.attempts}) + self._later

    def of(self, trials: Sequence[TrialRecord]) -> list[Runs]:
        """The runs of trials of the study, those that count."""
        out = {*self.entered[0]} - {*self.entered[-1]}
        return [self._of(trial, trial.number in out) for trial in trials]

    def basis(self, earlier: Confirmation | None) -> Basis:
        """What a choice by these runs rests on, where results were kept before or not.

        A look is counted once all that was wanted has ended: who goes on after a time limit does not add to it.
        """
        seeds = {pair.ordinal: run.seed for pair, run in self.ended.items()}
        now = max(seeds, default=0)
        looks: tuple[int, ...] = ()
        if earlier is not None:
            before = max((len(one.values) + len(one.failures) for one in earlier.finalists), default=0)
            looks = (before,) if earlier.looks is None else earlier.looks
        if not self.left and now > max(looks, default=0):
            looks = (*looks, now)
        looked = [one for one in looks if one < now]
        first = used(self.rule, looked[-1] if looked else 0)
        return Basis({seed for ordinal, seed in seeds.items() if ordinal > first}, self.wanted.margin, looks)

    def _pairs(self) -> Iterator[Confirms]:
        for members, given in zip(self.entered, self.rule.rounds, strict=False):
            for ordinal in range(1, given.seeds + 1):
                for trial in members:
                    yield Confirms(trial, ordinal)

    @property
    def _later(self) -> int:
        """Runs of the rounds whose finalists are not known yet, at most."""
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
    """Whether a finalist and seed is to be run: never begun, cut short, or failed by no fault of its own."""
    if not attempts:
        return True
    last, deaths = attempts[-1], sum(run.reason in RETRIED for run in attempts)
    if last.state == "failed":
        return runs_again(last.reason, deaths, retries)
    return last.state == "pruned"
