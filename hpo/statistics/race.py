"""The race of the finalists: few seeds for all, the rest for those still in it.

Sequential halving (Karnin, Koren & Somekh, "Almost optimal exploration in multi-armed bandits", 2013), from half of the
seeds for all down to two finalists: 5 finalists and 5 seeds make 5 x 3 runs, then 2 x 5 of the best two, 25 in all. The
best mean of the last two wins.

The seeds of the last round had no part in deciding who reached it, and a choice between two does not bias the interval.
Proof: let z1, z2 be the errors of the two means, exchangeable and symmetric, and let the first be chosen if
z1 - z2 > c. Swapping them, then changing both signs, shows that E[(1{|z1| < q} - 1{|z2| < q}) 1{z1 - z2 > c}] is its
own negative, for any c. So the interval of the chosen mean covers the true mean exactly as often as that of a mean that
was not chosen.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from statistics import mean

LAST = 2
"""The number of finalists in the last round."""


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


def used(rule: Rule, looked: int = 0) -> int:
    """How many of the first seeds had a part in deciding who reached the last round; the seeds after them are fresh.

    Args:
        rule: the rule of the race; with a single round all seeds are fresh.
        looked: the number of seeds whose results were looked at before more seeds were added. Whether more were added
            may depend on them, so they are not fresh either.
    """
    return max(looked, rule.rounds[-2].seeds if len(rule.rounds) > 1 else 0)


def rounds(finalists: int, seeds: int, race: bool = True) -> tuple[Round, ...]:
    """The rounds of a race with at most `finalists` x `seeds` runs; without a race, one round with all seeds.

    In the first round all finalists get half of the seeds, at least two. In each further round the better half of the
    finalists, at least two, share an equal part of the remaining runs.
    """
    given = max(2, (seeds + 1) // 2)
    if not race or finalists <= LAST or given >= seeds:
        return (Round(finalists, seeds),)
    places = [finalists]
    while places[-1] > LAST:
        places.append(max(LAST, places[-1] // 2))
    part = finalists * (seeds - given) // (len(places) - 1)
    if part < 2 * LAST:
        # One fresh seed each would say too little of the winner.
        return (Round(finalists, seeds),)
    found = [Round(finalists, given)]
    for count in places[1:]:
        given += part // count
        found.append(Round(count, given))
    return tuple(found)


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
