"""What commands print: tables for people, JSON for programs."""

import json
import math
import sys
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import asdict
from datetime import datetime
from typing import TYPE_CHECKING, Any

from rich.console import Console
from rich.text import Text

from hpo.compare.compare import ranking, row
from hpo.study.record import TrialRecord, ranked
from hpo.text.console import console
from hpo.text.tables import Column, by_variation, cell, parameter_columns, print_facts, print_settings, print_table

if TYPE_CHECKING:
    from hpo.run import Result
    from hpo.study.read import StudyView

__all__ = ["console"]

_TOP = 5
_WHY = {
    "done": "done",
    "timeout": "out of time",
    "target": "target reached",
    "exhausted": "done, no configuration of the search space is left to try,",
}


def print_json(value: object) -> None:
    """One JSON object on stdout."""
    sys.stdout.write(json.dumps(value, default=_plain, allow_nan=False) + "\n")


def trial_json(trial: TrialRecord, metric: str) -> dict[str, Any]:
    """A trial for programs."""
    return {
        "trial": trial.number, "state": trial.state, metric: trial.value, "best_epoch": trial.best_epoch,
        "epochs": trial.epochs, "seconds": trial.seconds, "model_parameters": trial.model_parameters,
        "params": dict(trial.params), "test": dict(trial.test), "seed": trial.seed, "attempt": trial.attempt,
        "source": trial.source, "resolved": asdict(trial.resolved) if trial.resolved else None,
        "ended_by": trial.ended_by, "failure": trial.reason,
        "error": trial.failure.text if trial.failure else None,
        "curves": with_folds(trial.curves, trial.fold_lengths),
        "fold_best_epochs": list(trial.fold_best_epochs), "deviations": trial.deviations,
        "model_file": trial.model_file, "model_note": trial.model_note, "test_note": trial.test_note,
    }  # fmt: skip


def result_json(result: "Result") -> dict[str, Any]:
    """A run's result for programs."""
    best = ranked(result.trials, result.objective)
    metric = result.objective.metric
    return {
        "study": result.name, "ended": result.ended, "states": counts(result.trials),
        "best": trial_json(best[0], metric) if best else None,
        "top": [trial_json(trial, metric) for trial in best[:_TOP]],
        "storage": result.storage, "tracking_uri": result.tracking_uri, "home": str(result.home),
        "seconds": result.seconds,
    }  # fmt: skip


def counts(trials: Sequence[TrialRecord]) -> dict[str, int]:
    """How many trials are in each state."""
    states = [trial.state for trial in trials]
    return {state: states.count(state) for state in dict.fromkeys(states)}


def print_result(out: Console, result: "Result") -> None:
    """The end of a run: the best trials, where everything is, what to type next."""
    states = ", ".join(f"{count} {state}" for state, count in counts(result.trials).items()) or "none"
    why = _WHY[result.ended]
    out.print(f"\nStudy {result.name}: {why} after {result.seconds:.0f} s; trials: {states}")
    best = ranked(result.trials, result.objective)[:_TOP]
    home = "" if result.home == type(result.home).cwd() / "mlruns" else f" --home {result.home}"
    if best:
        _print_best(out, best, result.objective.metric, more=f"hpo compare {result.name}{home} --wide shows them")
        out.print("No trial was chosen by its test score.")
        _print_remarks(out, best)
    out.print(f"Study store: {result.storage}\nMLflow store: {result.tracking_uri}\n", soft_wrap=True)
    if not best:
        out.print("No trial has a score yet; the same command continues.")
        return
    for command, what in (
        (f"hpo ui {result.name}{_uri(result) or home}", "compare the trials in the MLflow UI"),
        (f"hpo compare {result.name}{home}", "all trials, ranked"),
        (f"hpo confirm {result.name}{home}", "the best five again over fresh seeds: which to use, and how sure"),
        (
            f"hpo export {result.name}{home} --to best.yaml --model best.keras",
            "save the best configuration and its model",
        ),
    ):
        out.print(f"  {command}   # {what}", soft_wrap=True)


def _uri(result: "Result") -> str | None:
    """The option that names the tracking server, where the runs are on one."""
    from hpo.tracking.links import server_address

    server = server_address(result.tracking_uri)
    return None if server is None else f" --uri {server}"


def print_study(out: Console, view: "StudyView", wide: bool = False) -> None:
    """A study: what it is, how far it is, its best trials."""
    states = ", ".join(f"{count} {state}" for state, count in counts(view.trials).items()) or "none"
    data, space = view.identity["dataset"], view.identity["search_space"]
    facts = [
        ("study", view.name),
        ("objective", f"{view.objective.metric}, {view.objective.direction}"),
        ("dataset", f"{data['name']} ({data['digest']})"),
        ("model", f"{space['model']}, parameters {', '.join(space['parameters'])}"),
        ("trials", states),
    ]
    print_facts(out, facts)
    best = ranked(view.trials, view.objective)[:_TOP]
    if best:
        _print_best(out, best, view.objective.metric, wide, f"hpo show {view.name} --wide shows them")
        _print_remarks(out, best)
    for failure, count in counts_of_failures(view.trials).items():
        out.print(f"failed: {count} x {failure}")


def study_json(view: "StudyView") -> dict[str, Any]:
    """A study for programs."""
    metric = view.objective.metric
    return {
        "study": view.name, "objective": metric, "direction": view.objective.direction,
        "dataset": dict(view.identity["dataset"]), "search_space": dict(view.identity["search_space"]),
        "seed": view.identity["seed"], "versions": dict(view.versions), "states": counts(view.trials),
        "trials": [trial_json(trial, metric) for trial in ranking(view)],
    }  # fmt: skip


def counts_of_failures(trials: Sequence[TrialRecord]) -> dict[str, int]:
    """How many trials failed for each reason."""
    reasons = [trial.reason for trial in trials if trial.reason]
    return {reason: reasons.count(reason) for reason in dict.fromkeys(reasons)}


def print_trial(out: Console, view: "StudyView", trial: TrialRecord, wide: bool = False) -> None:
    """All of one trial: its line, its parameters, its curves, its failure."""
    known = {
        **row(view, trial),
        "seed": trial.seed,
        **dict(_settings(trial)),
        "taken over from": trial.source or None,
        "ended by": trial.ended_by or None,
        "of its test scores": trial.test_note or None,
        "of its model": trial.model_note or None,
    }
    print_facts(out, [(name, cell(value)) for name, value in known.items() if value is not None])
    if trial.curves:
        epochs = range(1, trial.epochs + 1)
        first = [view.objective.metric, "val_loss", "loss", "fold"]
        marks = [f"{epoch} best" if epoch == trial.best_epoch else str(epoch) for epoch in epochs]
        columns = [
            Column(name, [cell(value) for value in curve], 1 + (first.index(name) if name in first else len(first)))
            for name, curve in with_folds(trial.curves, trial.fold_lengths).items()
        ]
        best = None if trial.best_epoch is None else trial.best_epoch - 1
        print_table(
            out, [Column("epoch", marks, states=False, text=True), *columns], title="Curves", wide=wide, bold=best
        )
    if trial.failure:
        out.print(Text(trial.failure.text, style="red"))


def with_folds(curves: Mapping[str, Sequence[float]], fold_lengths: Sequence[int]) -> dict[str, Sequence[float]]:
    """Curves as they are shown: with the number of each epoch's fold as one more, where there are folds."""
    folds = [float(fold) for fold, length in enumerate(fold_lengths, 1) for _ in range(length)]
    return {**curves, **({"fold": folds} if folds else {})}


def _print_remarks(out: Console, trials: Sequence[TrialRecord]) -> None:
    """What there is to say of the test scores and the models of trials, each thing once."""
    said: dict[str, list[str]] = {}
    for trial in trials:
        for remark in trial.remarks:
            said.setdefault(remark, []).append(str(trial.number))
    for remark, numbers in said.items():
        out.print(Text(f"Trial {', '.join(numbers)}, {remark}"), soft_wrap=True)


def _settings(trial: TrialRecord) -> Iterator[tuple[str, Any]]:
    """What the trial resolved to, key by key; of the model what its parameters do not say already."""
    for section, resolved in (asdict(trial.resolved) if trial.resolved else {}).items():
        for name, value in resolved.items():
            if value is not None and (section != "model" or name not in trial.params):
                yield f"{section}.{name}", value


def _print_best(
    out: Console, trials: Sequence[TrialRecord], metric: str, wide: bool = False, more: str = "--wide shows them"
) -> None:
    """The table of the best trials; where it lacks parameters, the configuration of the first in words."""
    columns = trial_columns(trials, metric)
    title = "The best trials, by validation score"
    left_out = print_table(out, columns, title=title, wide=wide, more=more, bold=0)
    best = trials[0]
    if any(name in best.params for name in left_out):
        print_settings(out, f"Trial {best.number}:", best.params)


def trial_columns(trials: Sequence[TrialRecord], metric: str) -> list[Column]:
    """A row for each trial: its score, what it took, the parameters that vary most first, its test scores."""
    params = {
        name: [trial.params.get(name) for trial in trials]
        for name in dict.fromkeys(n for t in trials for n in t.params)
    }
    varied = [name for name in by_variation(params) if len(set(map(repr, params[name]))) > 1]
    tests = list(dict.fromkeys(name for trial in trials for name in trial.test))
    first = metric.removeprefix("val_")
    return [
        Column("#", [str(place) if one.value is not None else "-" for place, one in enumerate(trials, 1)]),
        Column("trial", [str(trial.number) for trial in trials]),
        Column("state", [trial.outcome for trial in trials], 4, states=True),
        Column(metric, [cell(trial.value) for trial in trials]),
        Column("epoch", [f"{trial.best_epoch or '-'}/{trial.epochs}" for trial in trials], 3),
        Column("seconds", [cell(trial.seconds, ".1f") for trial in trials], 6),
        Column("size", [f"{one.model_parameters:,}" if one.model_parameters else "-" for one in trials], 6),
        *parameter_columns(params, varied or list(params)),
        *(Column(f"test_{name}", [cell(trial.test.get(name)) for trial in trials], 2 if name == first else 7)
          for name in tests),
    ]  # fmt: skip


def _plain(value: object) -> object:
    if isinstance(value, datetime):
        return value.isoformat()
    if isinstance(value, Mapping):
        return dict(value)
    if hasattr(value, "item"):
        return value.item()
    return str(value)


def print_schema(schema: Mapping[str, Any]) -> None:
    """A JSON Schema, indented."""
    sys.stdout.write(json.dumps(schema, indent=2) + "\n")


def finite(value: Any) -> Any:
    """A value of a table for JSON, which knows no NaN."""
    return None if isinstance(value, float) and not math.isfinite(value) else value
