"""The output of commands about trials: all of one trial, the table of the best, remarks."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import asdict
from typing import TYPE_CHECKING, Any

from rich.console import Console
from rich.text import Text

from hpo.compare.compare import parameter_columns as columns_of_parameters
from hpo.compare.compare import row
from hpo.config.resolved import flat
from hpo.study.record import TrialRecord
from hpo.text.tables import Column, by_variation, parameter_columns, print_facts, print_settings, print_table
from hpo.text.values import NOTHING, count, duration, megabytes, number, score, setting

if TYPE_CHECKING:
    from hpo.study.read import StudyView

TOP = 5
"""The number of best trials that are shown."""


def trial_json(trial: TrialRecord, metric: str) -> dict[str, Any]:
    """A trial for programs."""
    return {
        "trial": trial.number, "state": trial.status, metric: trial.value, "best_epoch": trial.best_epoch,
        "epochs": trial.epochs, "seconds": trial.seconds, "model_parameters": trial.model_parameters,
        "params": dict(trial.params), "test": dict(trial.test), "seed": trial.seed, "attempt": trial.attempt,
        "source": trial.source, "resolved": asdict(trial.resolved) if trial.resolved else None,
        "ended_by": trial.ended_by, "failure": trial.reason,
        "error": trial.failure.text if trial.failure else None,
        "curves": with_folds(trial.curves, trial.fold_lengths),
        "fold_best_epochs": list(trial.fold_best_epochs), "deviations": trial.deviations,
        "model_file": trial.model_file, "model_note": trial.model_note, "test_note": trial.test_note,
        "executions": trial.executions, "gpu_memory": trial.gpu_memory,
    }  # fmt: skip


def print_trial(out: Console, view: "StudyView", trial: TrialRecord, wide: bool = False) -> None:
    """Prints one trial: its scores, parameters, settings, curves and failure."""
    print_facts(out, list(_facts(view, trial)))
    if trial.curves:
        _print_curves(out, trial, view.objective.metric, wide)
    if trial.failure:
        out.print(Text(trial.failure.text, style="red"))


def _facts(view: "StudyView", trial: TrialRecord) -> Iterator[tuple[str, str]]:
    params = columns_of_parameters([view])
    for name, value in row(view, trial).items():
        if name in params:
            yield name, setting(value)
        elif value is not None:
            yield "time" if name == "seconds" else name, result(name, value)
    yield "seed", str(trial.seed)
    yield from ((name, setting(value)) for name, value in flat(_settings(trial)))
    notes = {
        "taken over from": trial.source,
        "ended by": trial.ended_by,
        "score": f"{trial.averaged}; the curves are those of the first" if trial.averaged else None,
        "test scores": trial.test_note,
        "model": trial.model_note,
        "GPU memory": None if trial.gpu_memory is None else megabytes(trial.gpu_memory),
    }
    yield from ((name, note) for name, note in notes.items() if note)


def _settings(trial: TrialRecord) -> Mapping[str, Any]:
    """The settings that the trial resolved to, without those of the model that are parameters of the trial."""
    if trial.resolved is None:
        return {}
    model = {name: value for name, value in trial.resolved.model.items() if name not in trial.params}
    return {**asdict(trial.resolved), "model": model}


def result(name: str, value: Any) -> str:
    """A cell of the ranked table, in a column that is no parameter, as text."""
    if value is None:
        return NOTHING
    if isinstance(value, bool):
        return "yes" if value else "no"
    if name == "seconds":
        return duration(value)
    if name == "model_parameters":
        return count(int(value))
    return score(value) if isinstance(value, float) else str(value)


def _print_curves(out: Console, trial: TrialRecord, metric: str, wide: bool) -> None:
    """Prints the curves, a row for each epoch."""
    first = [metric, "val_loss", "loss", "fold"]
    marks = [f"{epoch} best" if epoch == trial.best_epoch else str(epoch) for epoch in range(1, trial.epochs + 1)]
    columns = [
        Column(
            "time" if name == "seconds" else name,
            [_CURVES.get(name, score)(value) for value in curve],
            1 + (first.index(name) if name in first else len(first)),
        )
        for name, curve in with_folds(trial.curves, trial.fold_lengths).items()
    ]
    best = None if trial.best_epoch is None else trial.best_epoch - 1
    print_table(out, [Column("epoch", marks, text=True), *columns], title="Curves", wide=wide, bold=best)


# The curves that are no metrics.
_CURVES = {"seconds": duration, "learning_rate": number, "fold": number}


def with_folds(curves: Mapping[str, Sequence[float]], fold_lengths: Sequence[int]) -> dict[str, Sequence[float]]:
    """Curves with one more, `fold`, the number of each epoch's fold, where there are folds."""
    folds = [float(fold) for fold, length in enumerate(fold_lengths, 1) for _ in range(length)]
    return {**curves, **({"fold": folds} if folds else {})}


def print_remarks(out: Console, trials: Sequence[TrialRecord]) -> None:
    """Prints remarks on the test scores and models of trials, each remark once with its trials."""
    trials_by_remark: dict[str, list[str]] = {}
    for trial in trials:
        for remark in [*([f"score: {trial.averaged}"] if trial.averaged else []), *trial.remarks]:
            trials_by_remark.setdefault(remark, []).append(str(trial.number))
    for remark, numbers in trials_by_remark.items():
        out.print(Text(f"Trial {', '.join(numbers)}, {remark}"), soft_wrap=True)


def print_best(
    out: Console, trials: Sequence[TrialRecord], metric: str, wide: bool = False, more: str = "--wide shows them"
) -> None:
    """Prints the table of the best trials, and below it the first one's parameters if columns of some were left out."""
    columns = trial_columns(trials, metric)
    title = "The best trials, by validation score"
    left_out = print_table(out, columns, title=title, wide=wide, more=more, bold=0)
    best = trials[0]
    if any(name in best.params for name in left_out):
        print_settings(out, f"Trial {best.number}:", {name: setting(value) for name, value in best.params.items()})


def trial_columns(trials: Sequence[TrialRecord], metric: str) -> list[Column]:
    """Columns with a row for each trial: score, cost, parameters, test scores. Parameters that vary most come first."""
    params = {
        name: [trial.params.get(name) for trial in trials]
        for name in dict.fromkeys(n for t in trials for n in t.params)
    }
    varied = [name for name in by_variation(params) if len(set(map(repr, params[name]))) > 1]
    tests = list(dict.fromkeys(name for trial in trials for name in trial.test))
    first = metric.removeprefix("val_")
    return [
        Column("#", [str(place) if one.value is not None else NOTHING for place, one in enumerate(trials, 1)]),
        Column("trial", [str(trial.number) for trial in trials]),
        Column("state", [trial.outcome for trial in trials], 4, states=True),
        Column(metric, [score(trial.value) for trial in trials]),
        Column("epoch", [f"{trial.best_epoch or NOTHING}/{trial.epochs}" for trial in trials], 3),
        Column("time", [duration(trial.seconds) for trial in trials], 6),
        Column("size", [count(trial.model_parameters) for trial in trials], 6),
        *parameter_columns(params, varied or list(params)),
        *(Column(f"test_{name}", [score(trial.test.get(name)) for trial in trials], 2 if name == first else 7)
          for name in tests),
    ]  # fmt: skip
