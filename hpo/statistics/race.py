"""The race of the finalists: most seeds for all, the others for those still in it.

Successive rejects (Audibert, Bubeck & Munos, "Best arm identification in multi-armed bandits", 2010), half of the
finalists at a time: 5 finalists and 5 seeds make 5 x 4 runs, then one more of the best three, and one more of the best
two, 25 in all. The best mean of the last two wins.

The shares were chosen by `benchmarks.decisions_hold`. Fewer seeds in the first round (5 x 3, then 2 x 5) do not lose
less of the best configuration, but what drops out after three seeds is hard to prove worse: a finalist a whole point
behind was recognized in 35% of studies, here in 56%.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from statistics import mean

LAST = 2
"""The number of finalists in the last round."""
_FEWEST = 3
"""The fewest seeds by which a finalist drops out."""


@dataclass(frozen=True)
class Round:
    """A round of the race: every finalist that is still in it gets the same number of runs."""

    places: int
    """The number of finalists in the round."""
    seeds: int
    """The number of seeds that each of them has by the end of the round, earlier rounds included."""


@dataclass(frozen=True)
class Rule:
    """How a race is run."""

    rounds: tuple[Round, ...]
    sign: int
    """1 where higher is better, else -1."""
    margin: float | None = None
    """The cheapest finalist whose mean is at most this much worse than the best mean keeps the last place of a round;
    None: the finalists with the best means have all places."""
    costs: Mapping[int, tuple[float, ...]] = field(default_factory=dict)
    """Finalist -> its costs, compared in order; needed only with a margin."""


Outcomes = Mapping[int, Mapping[int, float | None]]
"""Finalist -> number of the seed, from 1 -> its score; None if that run failed for good."""


def entrants(rule: Rule, finalists: Sequence[int], outcomes: Outcomes) -> list[tuple[int, ...]]:
    """The finalists of each round whose entrants are known: the first round, and each one after a finished round."""
    found = [tuple(finalists)]
    for before, after in zip(rule.rounds, rule.rounds[1:], strict=False):
        seeds = range(1, before.seeds + 1)
        if any(seed not in outcomes[one] for one in found[-1] for seed in seeds):
            break
        runs = {one: [outcomes[one][seed] for seed in seeds] for one in found[-1]}
        found.append(_cut(rule, after.places, runs))
    return found


def rounds(finalists: int, seeds: int, race: bool = True) -> tuple[Round, ...]:
    """The rounds of a race of about `finalists` x `seeds` runs; without a race, one round with all seeds.

    In the first round all finalists get four fifths of the seeds, at least three. In each further round the better half
    of the finalists, rounded up and at least two, get as many seeds more as the first round was kept short of. What is
    left goes to the last round.
    """
    more = max(1, round(seeds / 5))
    given = seeds - more
    if not race or finalists <= LAST or given < _FEWEST:
        return (Round(finalists, seeds),)
    found = [Round(finalists, given)]
    while found[-1].places > LAST:
        found.append(Round((found[-1].places + 1) // 2, found[-1].seeds + more))
    before = [0, *(one.seeds for one in found)]
    spent = sum(one.places * (one.seeds - seen) for one, seen in zip(found, before, strict=False))
    last = found.pop()
    return (*found, Round(last.places, last.seeds + max(0, finalists * seeds - spent) // LAST))


def _cut(rule: Rule, places: int, runs: Mapping[int, Sequence[float | None]]) -> tuple[int, ...]:
    """The finalists that go on: those with the fewest failures, then those with the best means. Their order is kept."""
    scores = {one: [value for value in values if value is not None] for one, values in runs.items()}
    means = {one: rule.sign * mean(values) if values else float("-inf") for one, values in scores.items()}
    failures = {one: len(runs[one]) - len(values) for one, values in scores.items()}
    ranked = sorted(runs, key=lambda one: (failures[one], -means[one]))
    on = ranked[:places]
    if rule.margin is not None:
        sound = [one for one in ranked if failures[one] == failures[ranked[0]]]
        near = [one for one in sound if means[ranked[0]] - means[one] <= rule.margin]
        cheapest = min(near, key=lambda one: rule.costs[one])
        on = on if cheapest in on else [*on[:-1], cheapest]
    return tuple(one for one in runs if one in on)
