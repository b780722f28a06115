"""What a comparison of studies says, in sentences: for terminals, reports and programs."""

from collections.abc import Iterator, Sequence
from statistics import NormalDist
from typing import TYPE_CHECKING

from hpo.compare.best_so_far import SURE
from hpo.compare.summary import StudySummary
from hpo.text.values import count, listing, number, percent, score

if TYPE_CHECKING:
    from hpo.study.read import StudyView


def noise_floor_sentence(view: "StudyView") -> str | None:
    """Where the noise floor of a study comes from, and how far behind equal configurations would be by luck alone.

    None for a study that was not confirmed, whose noise floor is unknown.
    """
    confirmation = view.confirmation
    if confirmation is None:
        return None
    finalists = confirmation.finalists
    runs = sum(len(one.values) for one in finalists)
    several = f"{len(finalists)} finalists" if len(finalists) > 1 else "one finalist"
    text = (
        f"Noise floor of {view.name}: {score(confirmation.noise_floor)}, the standard deviation from seed "
        f"{'and split to the next' if confirmation.splits else 'to seed'}, from {count(runs)} confirming runs of "
        f"{several}."
    )
    scored = sum(trial.score(view.objective) is not None for trial in view.trials)
    if scored < 2:
        return text
    # The expected largest of as many normal numbers (Blom, Statistical Estimates and Transformed Beta-Variables, 1958).
    lead = NormalDist().inv_cdf((scored - 0.375) / (scored + 0.25))
    return (
        f"{text} Single runs have no verdict: of {count(scored)} equal configurations, the average one would be "
        f"{lead:.1f} noise floors behind the best, and the last one {2 * lead:.1f}."
    )


def study_sentences(lines: Sequence[StudySummary]) -> Iterator[str]:
    """Which study is better, and how sure that is: by confirmed means, then by how soon the best scores came."""
    for metric in dict.fromkeys(line.metric for line in lines):
        rivals = [line for line in lines if line.metric == metric]
        if len(rivals) > 1:
            if len({line.data for line in rivals}) > 1:
                yield (
                    f"The data of {listing(line.study for line in rivals)}, or their split, are not the same: a "
                    f"difference in {metric} may come from that alone."
                )
            yield from _confirmed(rivals)
            yield from _ahead(rivals)


def _confirmed(rivals: Sequence[StudySummary]) -> Iterator[str]:
    best = next((line for line in rivals if line.verdict == "best"), None)
    if best is None:
        names = [line.study for line in rivals if line.confirmed is None]
        yield (
            f"Single runs do not show which study has the better choice by {rivals[0].metric}. hpo confirm compares "
            f"studies by means over seeds: {_named(names)} not confirmed."
        )
        return
    others = [line for line in rivals if line.verdict not in (None, "best")]
    compared = listing(
        f"{line.study} {'is worse' if line.verdict == 'worse' else 'cannot be told apart from it'}"
        f", {score(abs(line.confirmed_behind or 0.0))} behind{_p(line.confirmed_p_value)}"
        for line in others
    )
    yield f"By confirmed means, {best.study} has the best {best.metric}, {score(best.confirmed)}; {compared}."
    if left_out := [line.study for line in rivals if line.verdict is None]:
        yield f"Not compared: {_named(left_out)} not confirmed."


def _ahead(rivals: Sequence[StudySummary]) -> Iterator[str]:
    known = [line for line in rivals if line.by_trials_ahead is not None]
    if not known:
        return
    by_trials = {line.study: line.by_trials_ahead or 0.0 for line in known}
    by_time = {line.study: line.by_time_ahead or 0.0 for line in known}
    sooner = {"by trials": _first(by_trials), "by time": _first(by_time)}
    yield (
        f"Ahead with the best {known[0].metric} so far, in resampled orders of the trials: by trials "
        f"{_shares(by_trials)}; by time {_shares(by_time)}."
    )
    for how, name in sooner.items():
        if name is not None:
            yield f"{name} was better {how} by more than luck."
    if untold := listing(how for how, name in sooner.items() if name is None):
        yield f"Which study was better {untold} cannot be told: one would have to be ahead in {percent(SURE)}."


def _first(shares: dict[str, float]) -> str | None:
    """The study that is surely ahead, if any."""
    return next((name for name, share in shares.items() if share >= SURE), None)


def _shares(shares: dict[str, float]) -> str:
    return listing(f"{name} {percent(share)}" for name, share in shares.items())


def _named(names: Sequence[str]) -> str:
    return f"{listing(names)} {'is' if len(names) == 1 else 'are'}"


def _p(value: float | None) -> str:
    return "" if value is None else f" (p = {number(value)})"
