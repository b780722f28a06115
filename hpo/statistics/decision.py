"""A confirmation in words: what to use, how sure that is, and why the other finalists were not chosen."""

from collections.abc import Iterator, Sequence

from hpo.config.experiment import Objective
from hpo.statistics.sampling import clause, tested
from hpo.study.confirmation import LEVEL, Confirmation, Estimate, Finalist
from hpo.text.cleaning import markdown as escaped
from hpo.text.values import NOTHING, count, duration, interval, listing, number, score

_FEW = 3


def overstated(finalist: Finalist, objective: Objective) -> float | None:
    """By how much the search showed a finalist better than its mean over seeds; negative: worse than that."""
    return _overstated(finalist, finalist.validation, objective)


def leader(confirmation: Confirmation) -> Finalist:
    """The finalist with the best mean among those still in the race; the others were compared with it."""
    return next(finalist for finalist in confirmation.finalists if finalist.tied)


def verdict(finalist: Finalist, confirmation: Confirmation) -> str:
    """What became of a finalist, in a few words."""
    if finalist.trial == confirmation.chosen:
        return "chosen"
    if finalist.tied:
        return "cannot be told apart"
    if finalist.p_value is not None and finalist.p_value < LEVEL:
        return "worse"
    return f"failed on {_seeds(len(finalist.failures))}" if finalist.failures else "too few runs"


def sentences(confirmation: Confirmation, objective: Objective) -> Iterator[str]:
    """The decision, most important first."""
    winner, expected = confirmation.winner, confirmation.estimate
    if expected is not None:
        expectation = f"{confirmation.metric} {with_interval(expected)}, {basis(confirmation)}"
        yield f"Use trial {winner.trial}: {with_clause(expectation, confirmation)}."
    yield from comparisons(confirmation)
    if confirmation.test:
        yield tests(confirmation)
    difference = _overstated(winner, expected, objective)
    if difference is not None:
        how = "overstated" if difference >= 0 else "understated"
        yield f"The search {how} it by {score(abs(difference))}: its score there was {score(winner.searched)}."
    between = "and split to the next" if confirmation.splits else "to seed"
    yield (
        f"Noise floor: {score(confirmation.noise_floor)}, the standard deviation from seed {between}; "
        "single trials differ by as much through luck alone."
    )
    yield from _reservations(confirmation)


def tests(confirmation: Confirmation) -> str:
    """The test scores of the chosen finalist, with intervals of its seeds and of the sampling of examples."""
    found = tested(confirmation)
    scores = listing(f"{name} {with_interval(value)}" for name, (value, _) in found.items())
    without = [name for name, (_, sampled) in found.items() if not sampled]
    covered = ""
    if len(without) < len(found):
        but = f", but for {listing(without)} the seeds alone" if without else ""
        covered = f"; seeds and the sampling of {count(confirmation.examples['test'])} examples together{but}"
    return f"On the test part, looked at after the choice: {scores}{covered}."


def with_clause(text: str, confirmation: Confirmation) -> str:
    """A text about the validation interval, with the clause that says what the interval leaves out."""
    part = clause(confirmation)
    return text if part is None else f"{text}; {part}"


def basis(confirmation: Confirmation) -> str:
    """The seeds that the interval of the chosen finalist is computed from, in words."""
    winner, expected = confirmation.winner, confirmation.expected
    splits = ", each with a split of its own" if confirmation.splits else ""
    if expected is None or len(confirmation.finalists) < 2:
        return f"{_seeds(len(winner.values))}{splits}"
    # The better of two is not flattered: see `Selected`.
    chosen = "" if len(confirmation.finalists) < 3 else ", the choice allowed for"
    if expected.seeds < len(winner.values):
        return f"the {_seeds(expected.seeds)} since the last look{splits}{chosen}"
    return f"{_seeds(expected.seeds)}{splits}{chosen}"


def comparisons(confirmation: Confirmation) -> Iterator[str]:
    """What became of the other finalists."""
    winner, first = confirmation.winner, leader(confirmation)
    if winner is not first and first.validation is not None:
        yield _cheaper(confirmation, first)
    others = [one for one in confirmation.finalists if one is not winner]
    same = [one for one in others if one is not first and verdict(one, confirmation) == "cannot be told apart"]
    worse = [one for one in others if verdict(one, confirmation) == "worse"]
    if same:
        yield f"Cannot be told apart from the best mean: {_trials(same)}."
    if worse:
        yield f"Worse than the best mean by more than chance (p < {LEVEL}): {_trials(worse)}."
    behind: dict[int, list[Finalist]] = {}
    for one in others:
        if one.stopped_early:
            behind.setdefault(len(one.values) + len(one.failures), []).append(one)
    for seeds in sorted(behind, reverse=True):
        yield f"Out of the race after {_seeds(seeds)}: {_trials(behind[seeds])}."


def _overstated(finalist: Finalist, expected: Estimate | None, objective: Objective) -> float | None:
    return None if expected is None else objective.score(finalist.searched).lead(objective.score(expected.mean))


def with_interval(estimate: Estimate | None) -> str:
    """A mean with its 95% interval."""
    if estimate is None:
        return NOTHING
    return f"{score(estimate.mean)} ({interval(estimate.low, estimate.high)} at 95%)"


def markdown(confirmation: Confirmation, objective: Objective) -> str:
    """The decision and the table of finalists."""
    rows = [
        f"| {one.trial} | {score(one.searched)} | {with_interval(one.validation)} | {verdict(one, confirmation)} |"
        for one in confirmation.finalists
    ]
    head = [f"| trial | searched | confirmed {escaped(confirmation.metric)} | |", "|---|---|---|---|"]
    return "\n".join([*(f"{escaped(line)}\n" for line in sentences(confirmation, objective)), *head, *rows])


def _cheaper(confirmation: Confirmation, first: Finalist) -> str:
    winner, mean = confirmation.winner, first.validation.mean if first.validation else None
    best = f"Trial {first.trial} has the best mean, {score(mean)}; trial {winner.trial}"
    if confirmation.margin is None:
        p_value = "" if winner.p_value is None else f" (p = {number(winner.p_value)})"
        return f"{best} cannot be told apart from it{p_value} and is cheaper: {_cost(winner, first)}."
    most = (
        "" if confirmation.may_cost is None else f" It may be worse by up to {score(confirmation.may_cost)} (at 95%)."
    )
    return f"{best} is within {number(confirmation.margin)} of it and cheaper: {_cost(winner, first)}.{most}"


def _cost(winner: Finalist, other: Finalist) -> str:
    if winner.model_parameters != other.model_parameters:
        return f"{count(winner.model_parameters or 0)} model parameters against {count(other.model_parameters or 0)}"
    return f"{duration(winner.seconds or 0.0)} of training against {duration(other.seconds or 0.0)}"


def _reservations(confirmation: Confirmation) -> Iterator[str]:
    for one in confirmation.finalists:
        if one.failures:
            reasons = listing(dict.fromkeys(one.failures.values()))
            yield f"Trial {one.trial} failed on {_seeds(len(one.failures))} ({reasons}): see its runs in MLflow."
    seeds = len(confirmation.winner.values)
    if seeds < _FEW:
        hint = "the same command with more --seeds adds to them"
        yield f"{_seeds(seeds).capitalize()} cannot show small differences; {hint}."
    looks = len(confirmation.looks or ())
    if looks > 1:
        yield (
            f"Seeds were added after a look at the results, so this is look {looks}. The interval stays valid, since "
            "it comes from the seeds that were added after the last one. Equal finalists are called worse in up to "
            f"{LEVEL:.0%} of studies at each look."
        )


def _seeds(count: int) -> str:
    return f"{count} seed{'' if count == 1 else 's'}"


def _trials(finalists: Sequence[Finalist]) -> str:
    return f"trial{'' if len(finalists) == 1 else 's'} {listing(one.trial for one in finalists)}"
