"""Whether the decisions of `hpo confirm` hold: simulated studies. `python -m benchmarks.decisions_hold`.

A score is the true mean of its configuration plus normal noise from seed to seed. What decides is hpo's own code.
"""

import argparse
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace
from functools import partial

import numpy as np
import numpy.typing as npt

from benchmarks import decisions_real
from hpo.statistics.choice import Candidates, Choice, choose, compared
from hpo.statistics.race import Rule, entrants, rounds
from hpo.statistics.two_way import Floats

DEVIATION = 0.6
"""The deviation from seed to seed, in percentage points, about as on digits and Fashion-MNIST."""
TRIALS = 40
"""The number of trials of a study whose best are confirmed."""
LEVEL = 0.05


@dataclass(frozen=True)
class Confirm:
    """How finalists are confirmed, and how their scores vary."""

    finalists: int = 5
    seeds: int = 5
    race: bool = True
    shared: float = 0.0
    """Part of the variance from seed to seed that is the same for all finalists."""
    unlike: float = 1.0
    """The largest deviation from seed to seed over the smallest; those of the finalists lie between, at random."""

    @property
    def rule(self) -> Rule:
        """The rounds; higher is better."""
        return Rule(rounds(self.finalists, self.seeds, self.race), sign=1)

    def drawn(self, random: np.random.Generator, truth: Floats) -> Floats:
        """Finalists x seeds: the scores that there would be, of more seeds than any race takes."""
        seeds = self.rule.rounds[-1].seeds
        own = self.unlike ** random.uniform(-0.5, 0.5, (len(truth), 1))
        luck = random.normal(0, self.shared**0.5, seeds)
        rest = random.normal(0, (1 - self.shared) ** 0.5, (len(truth), seeds))
        return truth[:, None] + DEVIATION * own * (luck + rest)


@dataclass(frozen=True)
class Confirmed:
    """One simulated confirmation."""

    truth: Floats
    choice: Choice
    scores: dict[int, dict[int, float]]

    @property
    def covered(self) -> bool:
        """Whether the interval contains the true mean of the chosen one."""
        estimate = self.choice.estimate
        return estimate.low <= float(self.truth[self.choice.chosen]) <= estimate.high

    @property
    def behind(self) -> Floats:
        """By how much each finalist is truly worse than the best that was found."""
        behind: Floats = self.truth[self.choice.best] - self.truth
        return behind

    def called_worse(self) -> npt.NDArray[np.bool_]:
        """For each finalist, whether it is called worse."""
        found = compared(self.scores, 1, self.choice.best)
        p_values = [found[one].p_value if one in found else None for one in range(len(self.truth))]
        return np.array([value is not None and value < LEVEL for value in p_values])


def confirmed(truth: Floats, drawn: Floats, how: Confirm, looked: int = 0) -> Confirmed:
    """Decides by drawn scores as `hpo confirm` does."""
    rule = how.rule
    outcomes = {one: dict(enumerate(map(float, row), 1)) for one, row in enumerate(drawn)}
    members = entrants(rule, range(len(truth)), outcomes)
    scores: dict[int, dict[int, float]] = {}
    for entered, given in zip(members, rule.rounds, strict=True):
        scores |= {one: {seed: outcomes[one][seed] for seed in range(1, given.seeds + 1)} for one in entered}
    fresh = range(looked + 1, rule.rounds[-1].seeds + 1)
    choice = choose(scores, 1, Candidates(members[-1], fresh))
    assert choice is not None
    return Confirmed(truth, choice, scores)


def lost(random: np.random.Generator, how: Confirm, spread: float) -> float:
    """True points that the choice is behind the best of 40 trials; the finalists had the best single scores."""
    truth = random.normal(0, spread, TRIALS)
    searched = truth + random.normal(0, DEVIATION, TRIALS)
    finalists = truth[np.argsort(-searched)[: how.finalists]]
    found = confirmed(finalists, how.drawn(random, finalists), how)
    return float(truth.max() - finalists[found.choice.chosen])


def covers(random: np.random.Generator, how: Confirm, apart: float) -> float:
    """Whether the interval contains the true mean, for finalists whose true means are spread evenly."""
    truth = np.linspace(0, -apart, how.finalists)
    return float(confirmed(truth, how.drawn(random, truth), how).covered)


def wrongly_worse(random: np.random.Generator, how: Confirm, truth: Sequence[float]) -> float:
    """Whether any finalist is called worse that is as good as the best that was found."""
    means = np.array(truth)
    found = confirmed(means, how.drawn(random, means), how)
    return float((found.called_worse() & (found.behind <= 0)).any())


def found_worse(random: np.random.Generator, how: Confirm, truth: Sequence[float]) -> float:
    """The share called worse among the finalists that are a point or more behind the best that was found."""
    means = np.array(truth)
    found = confirmed(means, how.drawn(random, means), how)
    behind = found.behind >= 1
    return float(found.called_worse()[behind].mean()) if behind.any() else np.nan


def looked_twice(random: np.random.Generator, how: Confirm, claim: bool) -> float:
    """Of equal finalists, where as many seeds again are added after a look, if that calls nothing worse.

    Args:
        random: draws the scores.
        how: the first look.
        claim: asked is whether at any look a finalist is called worse; else whether the last interval holds.
    """
    truth, more = np.zeros(how.finalists), replace(how, seeds=2 * how.seeds)
    drawn = more.drawn(random, truth)
    found = confirmed(truth, drawn, how)
    if not found.called_worse().any():
        found = confirmed(truth, drawn, more, looked=how.rule.rounds[-1].seeds)
    return float(found.called_worse().any() if claim else found.covered)


@dataclass(frozen=True)
class Figure:
    """A line of the table: a mean over simulated studies."""

    name: str
    wanted: str
    one: Callable[[np.random.Generator, Confirm], float]
    """The figure of one study; NaN if that study does not have it."""
    how: Confirm = Confirm()

    def mean(self, repeats: int, race: bool) -> float:
        """The mean over some studies, by the race or with all seeds for each finalist."""
        random, how = np.random.default_rng(0), replace(self.how, race=race)
        return float(np.nanmean([self.one(random, how) for _ in range(repeats)]))


BETTER, WORSE, TWO_BETTER = (1, 0, 0, 0, 0), (0, 0, 0, 0, -1), (1, 1, 0, 0, 0)
HOLDS = "94 to 96.5%"

FIGURES = (
    Figure("points lost, trials spread by 0.25", "<= 0.21", partial(lost, spread=0.25)),
    Figure("points lost, trials spread by 0.5", "<= 0.17", partial(lost, spread=0.5)),
    Figure("points lost, trials spread by 1", "<= 0.09", partial(lost, spread=1.0)),
    Figure("interval holds, finalists equal", HOLDS, partial(covers, apart=0.0)),
    Figure("interval holds, 0.25 points apart", HOLDS, partial(covers, apart=0.25)),
    Figure("interval holds, 0.5 points apart", HOLDS, partial(covers, apart=0.5)),
    Figure("interval holds, 2 points apart", HOLDS, partial(covers, apart=2.0)),
    Figure("interval holds, 0.25 apart, half of the luck shared", "", partial(covers, apart=0.25), Confirm(shared=0.5)),
    Figure("interval holds, 0.25 apart, deviations up to 2 to 1", "", partial(covers, apart=0.25), Confirm(unlike=2)),
    Figure("interval holds, equal, seeds added", HOLDS, partial(looked_twice, claim=False)),
    Figure("equal, any called worse", "<= 5%", partial(wrongly_worse, truth=(0,) * 5)),
    Figure("equal, half of the luck shared, any called worse", "<= 5%", partial(wrongly_worse, truth=(0,) * 5),
           Confirm(shared=0.5)),
    Figure("one a point worse, any of the equal called worse", "<= 5%", partial(wrongly_worse, truth=WORSE)),
    Figure("equal, seeds added, any called worse", "", partial(looked_twice, claim=True)),
    Figure("found: one a point better than the rest", ">= 55%", partial(found_worse, truth=BETTER)),
    Figure("found: one a point worse than the rest", ">= 55%", partial(found_worse, truth=WORSE)),
    Figure("found: two a point better than the rest", ">= 55%", partial(found_worse, truth=TWO_BETTER)),
)  # fmt: skip


def table(repeats: int, chosen: str = "") -> Iterator[dict[str, str]]:
    """A row for each figure whose name has these words, as it is known."""
    for figure in FIGURES:
        if chosen in figure.name:
            measured = [figure.mean(repeats, race) for race in (True, False)]
            race, each = [f"{one:.3f}" if "lost" in figure.name else f"{100 * one:.1f}%" for one in measured]
            yield {"figure": figure.name, "wanted": figure.wanted, "the race": race, "all seeds for each": each}


def main() -> None:
    parser = argparse.ArgumentParser(prog="python -m benchmarks.decisions_hold", description=__doc__)
    parser.add_argument("--repeats", type=int, default=8_000, help="simulated studies for each figure: %(default)s")
    parser.add_argument("--only", default="", help="figures whose name has these words")
    decisions_real.add_options(parser)
    options = parser.parse_args()
    if options.real is not None:
        decisions_real.measure(options)
        return
    began = time.monotonic()
    for row in table(options.repeats, options.only):
        print("| " + " | ".join(row.values()) + " |", flush=True)
    print(f"{time.monotonic() - began:.0f} s")


if __name__ == "__main__":
    main()
