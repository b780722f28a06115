"""The answer of a study: what to use, how sure that is, and what it costs; or why there is nothing to use."""

from collections.abc import Sequence
from dataclasses import dataclass

from hpo.report.charts import failures
from hpo.report.choice import choice_of
from hpo.report.copied_commands import USUAL, Stores
from hpo.statistics.decision import basis, comparisons, tests, with_clause
from hpo.study.read import StudyView
from hpo.study.record import TrialRecord, best_trial, count_states, ranked
from hpo.text.cleaning import cut
from hpo.text.values import count, counts, duration, interval, score, setting

_LETTERS = 160
"""The most characters of an error's message in a headline."""


@dataclass(frozen=True)
class Answer:
    """The answer of a study; `trial` is None while no trial has a score."""

    trial: TrialRecord | None
    confirmed: bool
    headline: str
    sure: Sequence[str]
    """Sentences that say how sure the answer is."""
    cost: Sequence[tuple[str, str]]
    """(name, value) of model parameters, training time and epochs."""
    params: Sequence[tuple[str, str]]
    next: Sequence[tuple[str, str]]
    """(command, what the command does)."""


def answer(view: StudyView, stores: Stores = USUAL) -> Answer:
    """The answer of a study: its confirmed winner, or its best trial."""
    choice = choice_of(view)
    if choice is None:
        return _nothing(view, stores)
    trial = choice.trial
    failed = _mostly_failed(view, stores)
    return Answer(
        trial,
        choice.confirmed,
        f"Use trial {trial.number}.",
        [*(_confirmed(view) if choice.confirmed else _single(view, trial)), *(sentence for sentence, _ in failed)],
        _cost(view, trial),
        [(name, setting(value)) for name, value in trial.params.items()],
        [*_next(view, stores), *(command for _, command in failed)],
    )


def _nothing(view: StudyView, stores: Stores) -> Answer:
    """The answer where no trial has a score: how the trials ended, and the command that shows more."""
    states = count_states(view.trials)
    total, failed, last = len(view.trials), states.get("failed", 0), _why(view)
    sure: list[str] = []
    if not total:
        headline = "Nothing to use yet: no trial has started."
        sure.append("Start one with hpo run and an experiment.")
    elif last is not None and failed == total:
        whole = {1: "its only trial", 2: "both trials"}.get(total, f"all {count(total)} trials")
        headline = f"Nothing to use: {whole} failed{_reasons(view)}: {_message(last)}"
    else:
        what = "none of its trials has" if total > 1 else "its only trial does not have"
        headline = f"Nothing to use yet: {what} a score ({counts(states)})."
        if "pruned" in states:
            sure.append("A pruned trial has a score only if it finished an epoch, or with folds all of them.")
        if last is not None:
            sure.append(f"Trial {last.number} failed: {_message(last)}")
    if last is not None and failed == total:
        sure.append(f"This was the error of trial {last.number}; all failures are listed below.")
    return Answer(None, False, headline, sure, (), (), [] if last is None else [_show(view, last, stores)])


def _reasons(view: StudyView) -> str:
    """How many trials failed for each reason, where there are several reasons."""
    rows = failures(view.trials)
    return f" ({counts({row.reason: len(row.numbers) for row in rows})})" if len(rows) > 1 else ""


def _why(view: StudyView) -> TrialRecord | None:
    """The last trial that failed for the most frequent reason."""
    rows = failures(view.trials)
    return view.trial(rows[0].numbers[-1]) if rows else None


def _message(trial: TrialRecord) -> str:
    line = trial.failure.line if trial.failure else ""
    message = cut(line, _LETTERS) if line else f"{trial.reason}, without a message"
    return message if message.endswith((".", "!", "?")) else f"{message}."


def _show(view: StudyView, trial: TrialRecord, stores: Stores) -> tuple[str, str]:
    return stores.read(f"hpo show {view.name} {trial.number}"), f"shows all details of trial {trial.number}"


def _mostly_failed(view: StudyView, stores: Stores) -> list[tuple[str, tuple[str, str]]]:
    """A warning and the command that shows more, where at least half of all trials failed."""
    failed, total = sum(trial.state == "failed" for trial in view.trials), len(view.trials)
    last = _why(view)
    if last is None or 2 * failed < total:
        return []
    many = f"{count(failed)} of the {count(total)} trials failed"
    sentence = f"{many}, so the search tried little. Trial {last.number}: {_message(last)}"
    return [(sentence, _show(view, last, stores))]


def _confirmed(view: StudyView) -> list[str]:
    found, metric = view.confirmation, view.objective.metric
    assert found is not None
    winner, estimate = found.winner, found.estimate
    lines = []
    if estimate is not None:
        within = f", 95% interval {interval(estimate.low, estimate.high)}"
        line = f"Trained again over {basis(found)}, {metric} is {score(estimate.mean)} on average{within}"
        lines.append(f"{with_clause(line, found)}.")
        lines.append(f"In its single run during the search it had {score(winner.searched)}.")
    lines.extend(comparisons(found))
    lines.append(f"From seed to seed the score varies by {score(found.noise_floor)} (standard deviation, pooled).")
    if found.test:
        lines.append(tests(found))
    best = best_trial(view.trials, view.objective)
    if best is not None and best.number not in {finalist.trial for finalist in found.finalists}:
        lines.append(f"Trial {best.number} scored {score(best.value)} in the search and was not among the finalists.")
    return lines


def _single(view: StudyView, trial: TrialRecord) -> list[str]:
    metric, scored = view.objective.metric, len(ranked(view.trials, view.objective))
    extreme = "highest" if view.objective.direction == "maximize" else "lowest"
    lines = [f"{metric} was {score(trial.value)}, {trial.reached(metric)}{'' if trial.executions else ', in one run'}."]
    if trial.state != "complete":
        ended = trial.left_unfinished or "stopped early"
        more = (
            "; if its checkpoint is there, hpo run with a larger budget goes on with it"
            if trial.left_unfinished
            else ""
        )
        lines.append(f"The trial was {ended}, so it might have become better{more}.")
        lines.append(_best_complete(view))
    if scored > 1:
        runs = "means over executions" if trial.executions else "single runs"
        lines.append(
            f"It is the {extreme} of {count(scored)} {runs}, and such a score overstates the "
            "configuration: part of it is the luck of the seed. Confirming the finalists shows how large that part is."
        )
    else:
        lines.append("Part of it may be the luck of the seed. Confirming the trial shows how large that part is.")
    return lines


def _best_complete(view: StudyView) -> str:
    best = best_trial([trial for trial in view.trials if trial.state == "complete"], view.objective)
    if best is None:
        return "No trial was trained to its own end yet."
    return f"Of the trials that were trained to their own end, trial {best.number} is the best: {score(best.value)}."


def _cost(view: StudyView, trial: TrialRecord) -> list[tuple[str, str]]:
    winner = view.confirmation.winner if view.confirmation else None
    size = winner.model_parameters if winner and winner.model_parameters else trial.model_parameters
    seconds = winner.seconds if winner and winner.seconds else trial.seconds
    return [
        ("model parameters", count(size)),
        ("to train", duration(seconds)),
        ("epochs", f"{trial.epochs}, best at {trial.best_epoch}" if trial.best_epoch else str(trial.epochs)),
    ]


def _next(view: StudyView, stores: Stores) -> list[tuple[str, str]]:
    finalists = min(5, len(ranked(view.trials, view.objective)))
    what = f"trains the {finalists} best again with new seeds" if finalists > 1 else "trains it again with new seeds"
    confirm = (stores.all(f"hpo confirm {view.name} --top {finalists} --seeds 5"), what)
    export = (
        stores.all(f"hpo export {view.name} --to best.yaml --model best.keras"),
        "writes its configuration and its model to files",
    )
    return [export] if view.confirmation else [confirm, export]
