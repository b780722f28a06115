"""A confirmation in words: what to use, how sure that is, what was set aside and why."""

from collections.abc import Iterator

from hpo.config.experiment import Objective
from hpo.study.confirmation import Confirmation, Estimate, Finalist
from hpo.text.cleaning import markdown as escaped
from hpo.text.values import NOTHING, count, duration, interval, listing, number, score

_FEW = 3


def overstated(finalist: Finalist, objective: Objective) -> float | None:
    """By how much the search showed a finalist better than its mean over seeds; negative: worse than that."""
    if finalist.validation is None:
        return None
    return objective.score(finalist.searched).lead(objective.score(finalist.validation.mean))


def leader(confirmation: Confirmation) -> Finalist:
    """The finalist with the best mean, with which the others were compared."""
    return next(finalist for finalist in confirmation.finalists if finalist.tied)


def verdict(finalist: Finalist, confirmation: Confirmation) -> str:
    """What became of a finalist, in a few words."""
    if finalist.trial == confirmation.chosen:
        return "chosen"
    if finalist.stopped_early:
        return f"out after {_seeds(len(finalist.values))}"
    if finalist.tied:
        return "tied"
    if finalist.failures:
        return f"failed on {_seeds(len(finalist.failures))}"
    return "too few runs" if finalist.p_value is None else "worse"


def sentences(confirmation: Confirmation, objective: Objective) -> Iterator[str]:
    """The decision, most important first."""
    winner, metric = confirmation.winner, confirmation.metric
    if winner.validation is not None:
        reached = f"{metric} {with_interval(winner.validation)}"
        yield f"Use trial {winner.trial}: {reached}, {_seeds(winner.validation.seeds)}."
    yield from _why(confirmation)
    if confirmation.test:
        scores = listing(f"{name} {with_interval(value)}" for name, value in confirmation.test.items())
        yield f"On the test part, looked at after the choice: {scores}."
    difference = overstated(winner, objective)
    if difference is not None:
        how = "overstated" if difference >= 0 else "understated"
        yield f"The search {how} it by {score(abs(difference))}: its score there was {score(winner.searched)}."
    yield (
        f"Noise floor: {score(confirmation.noise_floor)}, the standard deviation from seed to seed; "
        "differences of single trials below it say nothing."
    )
    yield from _reservations(confirmation)


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


def _why(confirmation: Confirmation) -> Iterator[str]:
    winner, first = confirmation.winner, leader(confirmation)
    others = [one for one in confirmation.finalists if one.tied and one is not winner]
    if winner is not first and first.validation is not None and winner.p_value is not None:
        yield (
            f"Trial {first.trial} has the best mean, {score(first.validation.mean)}; trial {winner.trial} cannot be "
            f"told apart from it (p = {number(winner.p_value)}) and is cheaper: {_cost(winner, first)}."
        )
        others.remove(first)
    if others:
        named = listing(one.trial for one in others)
        yield f"Cannot be told apart from the best mean either, and cost no less: {_trials(len(others))} {named}."
    worse = [one for one in confirmation.finalists if verdict(one, confirmation) == "worse"]
    if worse:
        named = listing(one.trial for one in worse)
        yield f"Worse than the best mean by more than chance (p < 0.05): {_trials(len(worse))} {named}."


def _cost(winner: Finalist, other: Finalist) -> str:
    if winner.model_parameters != other.model_parameters:
        return f"{count(winner.model_parameters or 0)} model parameters against {count(other.model_parameters or 0)}"
    return f"{duration(winner.seconds or 0.0)} of training against {duration(other.seconds or 0.0)}"


def _reservations(confirmation: Confirmation) -> Iterator[str]:
    for one in confirmation.finalists:
        if one.stopped_early:
            after = _seeds(len(one.values))
            yield f"Trial {one.trial} was clearly worse after {after}, and was not trained with more seeds."
        if one.failures:
            reasons = listing(dict.fromkeys(one.failures.values()))
            yield f"Trial {one.trial} failed on {_seeds(len(one.failures))} ({reasons}): see its runs in MLflow."
    seeds = len(confirmation.winner.values)
    if seeds < _FEW:
        hint = "the same command with more --seeds adds to them"
        yield f"{_seeds(seeds).capitalize()} cannot show small differences; {hint}."


def _seeds(count: int) -> str:
    return f"{count} seed{'' if count == 1 else 's'}"


def _trials(count: int) -> str:
    return "trial" if count == 1 else "trials"
