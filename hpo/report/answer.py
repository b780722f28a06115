"""The answer that a study gives: what to use, how sure that is, what it costs."""

from collections.abc import Sequence
from dataclasses import dataclass

from hpo.record import TrialRecord, ranked
from hpo.report.formats import count, duration, listing, score, setting
from hpo.store import StudyView


@dataclass(frozen=True)
class Answer:
    """What to use; `trial` is None while no trial has a score."""

    trial: TrialRecord | None
    confirmed: bool
    headline: str
    sure: Sequence[str]
    """How sure, in sentences."""
    cost: Sequence[tuple[str, str]]
    """Model parameters, seconds, epochs."""
    params: Sequence[tuple[str, str]]
    next: Sequence[tuple[str, str]]
    """(command, what it does)."""


def answer(view: StudyView) -> Answer:
    """The confirmed winner, or the best trial."""
    confirmed = view.confirmation
    if confirmed is not None:
        trial = next((trial for trial in view.trials if trial.number == confirmed.chosen), None)
    else:
        trial = next(iter(ranked(view.trials, view.objective)), None)
    if trial is None:
        what = "no trial has a score" if view.trials else "no trial has begun"
        return Answer(None, False, f"Nothing to use yet: {what}.", (), (), (), ())
    return Answer(
        trial,
        confirmed is not None,
        f"Use trial {trial.number}.",
        _confirmed(view) if confirmed is not None else _single(view, trial),
        _cost(view, trial),
        [(name, setting(value)) for name, value in trial.params.items()],
        _next(view, trial),
    )


def _confirmed(view: StudyView) -> list[str]:
    found, metric = view.confirmation, view.objective.metric
    assert found is not None
    winner, estimate = found.winner, found.winner.validation
    lines = []
    if estimate is not None:
        interval = f", 95% interval {score(estimate.low)} to {score(estimate.high)}" if estimate.seeds > 1 else ""
        lines.append(
            f"Trained again over {estimate.seeds} seeds, {metric} is {score(estimate.mean)} on average{interval}."
        )
        lines.append(f"As a single run of the search it had {score(winner.searched)}.")
    ties = [finalist.trial for finalist in found.finalists if finalist.tied and finalist.trial != found.chosen]
    rivals = len(found.finalists) - 1
    if ties:
        other = "trial" if len(ties) == 1 else "trials"
        why = "it is the cheapest of them"
        lines.append(f"It cannot be told apart from {other} {listing(ties)}; {why}.")
    elif rivals:
        lines.append(f"It is better than each of the {rivals} other finalists, corrected for multiple comparison.")
    lines.append(f"From seed to seed the score varies by {score(found.noise_floor)} (standard deviation, pooled).")
    if found.test:
        tests = [f"{name} {score(e.mean)} ({score(e.low)} to {score(e.high)})" for name, e in found.test.items()]
        lines.append(f"On the test part, looked at after the choice: {listing(tests)}.")
    best = next(iter(ranked(view.trials, view.objective)), None)
    if best is not None and best.number not in {finalist.trial for finalist in found.finalists}:
        lines.append(f"Trial {best.number} scored {score(best.value)} in the search and was not among the finalists.")
    return lines


def _single(view: StudyView, trial: TrialRecord) -> list[str]:
    metric, scored = view.objective.metric, len(ranked(view.trials, view.objective))
    extreme = "highest" if view.objective.sign > 0 else "lowest"
    lines = [f"{metric} was {score(trial.value)}, {trial.reached(metric)}, in one run."]
    if trial.state == "pruned":
        ended = "stopped at the deadline" if trial.ended_by == "deadline" else "stopped by the pruner"
        lines.append(f"The trial was {ended}, and might have gone further.")
    if scored > 1:
        lines.append(
            f"It is the {extreme} of {scored:,} single runs, and such a score overstates what the configuration "
            "does: some of it is the luck of the seed. How much is not known before the finalists are confirmed."
        )
    else:
        lines.append("How much of it is the luck of the seed is not known before it is confirmed.")
    return lines


def _cost(view: StudyView, trial: TrialRecord) -> list[tuple[str, str]]:
    winner = view.confirmation.winner if view.confirmation else None
    size = winner.model_parameters if winner and winner.model_parameters else trial.model_parameters
    seconds = winner.seconds if winner and winner.seconds else trial.seconds
    return [
        ("model parameters", count(size)),
        ("to train", duration(seconds)),
        ("epochs", f"{trial.epochs}, best at {trial.best_epoch}" if trial.best_epoch else str(trial.epochs)),
    ]


def _next(view: StudyView, trial: TrialRecord) -> list[tuple[str, str]]:
    confirm = (f"hpo confirm {view.name} --top 5 --seeds 5", "trains the five best again over five seeds")
    export = (f"hpo export {view.name} --to best.yaml --model best.keras", "takes it home")
    return [export] if view.confirmation else [confirm, export]
