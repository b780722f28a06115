"""What commands print: tables for people, JSON for programs."""

import json
import math
import sys
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import asdict
from datetime import datetime
from typing import TYPE_CHECKING, Any

from rich.console import Console
from rich.table import Table
from rich.text import Text

from hpo.compare.compare import ranking, row
from hpo.record import TrialRecord, ranked
from hpo.safe_console import console
from hpo.urls import masked

if TYPE_CHECKING:
    from hpo.check import Checked, Tried
    from hpo.experiment import DatasetSpec
    from hpo.run import Result
    from hpo.section import Section
    from hpo.store import StudyView

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
        "ended_by": trial.ended_by, "failure": trial.failure, "error": trial.error, "curves": dict(trial.curves),
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
    if best:
        out.print(_table(best, result.objective.metric, "The best trials, by validation score"))
        out.print("Test scores chose nothing; they are shown beside the trials.")
        _print_remarks(out, best)
    out.print(f"Study store: {result.storage}\nMLflow store: {result.tracking_uri}\n")
    home = "" if result.home == type(result.home).cwd() / "mlruns" else f" --home {result.home}"
    if not best:
        out.print("No trial has a score yet; the same command goes on.")
        return
    for command, what in (
        (f"hpo ui {result.name}{home}", "compare the trials in the MLflow UI"),
        (f"hpo compare {result.name}{home}", "all trials, ranked"),
        (f"hpo confirm {result.name}{home}", "the best five again over fresh seeds: which to use, and how sure"),
        (f"hpo export {result.name}{home} --to best.yaml --model best.keras", "take the best one home"),
    ):
        out.print(f"  {command}   # {what}", soft_wrap=True)


def print_study(out: Console, view: "StudyView") -> None:
    """A study: what it is, how far it is, its best trials."""
    states = ", ".join(f"{count} {state}" for state, count in counts(view.trials).items()) or "none"
    data, space = view.identity["dataset"], view.identity["search_space"]
    facts = Table.grid(padding=(0, 2))
    facts.add_row("study", view.name)
    facts.add_row("objective", f"{view.objective.metric}, {view.objective.direction}")
    facts.add_row("dataset", f"{data['name']} ({data['digest']})")
    facts.add_row("model", f"{space['model']}, parameters {', '.join(space['parameters'])}")
    facts.add_row("trials", states)
    out.print(facts)
    best = ranked(view.trials, view.objective)[:_TOP]
    if best:
        out.print(_table(best, view.objective.metric, "The best trials, by validation score"))
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


def studies_json(views: "Sequence[StudyView]") -> dict[str, Any]:
    """The studies of a store for programs."""
    return {"studies": [_study_line(view) for view in views]}


def _study_line(view: "StudyView") -> dict[str, Any]:
    best = next(iter(ranked(view.trials, view.objective)), None)
    return {
        "study": view.name, "objective": view.objective.metric, "best": best.value if best else None,
        "trial": best.number if best else None, "states": counts(view.trials),
        "dataset": view.identity["dataset"]["name"], "model": view.identity["search_space"]["model"],
    }  # fmt: skip


def counts_of_failures(trials: Sequence[TrialRecord]) -> dict[str, int]:
    """How many trials failed for each reason."""
    reasons = [trial.failure for trial in trials if trial.failure]
    return {reason: reasons.count(reason) for reason in dict.fromkeys(reasons)}


def print_studies(out: Console, views: "Sequence[StudyView]") -> None:
    """A line for each study."""
    if not views:
        out.print("no studies yet; start one with hpo run EXPERIMENT")
        return
    table = Table("study", "objective", "best", "trial", "trials", "dataset", "model")
    for view in views:
        best = next(iter(ranked(view.trials, view.objective)), None)
        states = ", ".join(f"{count} {state}" for state, count in counts(view.trials).items())
        score = [cell(best.value), str(best.number)] if best else ["-", "-"]
        table.add_row(
            view.name, view.objective.metric, *score, states or "none",
            view.identity["dataset"]["name"], view.identity["search_space"]["model"],
        )  # fmt: skip
    out.print(table)


def print_trial(out: Console, view: "StudyView", trial: TrialRecord) -> None:
    """All of one trial: its line, its parameters, its curves, its failure."""
    facts = Table.grid(padding=(0, 2))
    for name, value in row(view, trial).items():
        if value is not None:
            facts.add_row(name, cell(value))
    facts.add_row("seed", str(trial.seed))
    for name, value in _settings(trial):
        facts.add_row(name, cell(value))
    if trial.source:
        facts.add_row("taken over from", trial.source)
    if trial.ended_by:
        facts.add_row("ended by", trial.ended_by)
    if trial.test_note:
        facts.add_row("of its test scores", Text(trial.test_note))
    if trial.model_note:
        facts.add_row("of its model", Text(trial.model_note))
    out.print(facts)
    if trial.curves:
        table = Table("epoch", *trial.curves, title="Curves")
        for epoch in range(1, trial.epochs + 1):
            mark = " best" if epoch == trial.best_epoch else ""
            table.add_row(f"{epoch}{mark}", *(cell(curve[epoch - 1]) for curve in trial.curves.values()))
        out.print(table)
    if trial.error:
        out.print(Text(trial.error, style="red"))


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
    for section, settings in (asdict(trial.resolved) if trial.resolved else {}).items():
        for name, value in settings.items():
            if value is not None and (section != "model" or name not in trial.params):
                yield f"{section}.{name}", value


def _table(trials: Sequence[TrialRecord], metric: str, title: str) -> Table:
    names = list(dict.fromkeys(name for trial in trials for name in trial.params))
    tests = list(dict.fromkeys(name for trial in trials for name in trial.test))
    varied = [name for name in names if len({repr(trial.params.get(name)) for trial in trials}) > 1]
    table = Table("#", "trial", "state", metric, "epoch", "seconds", "weights", title=title, title_justify="left")
    for name in (*(varied or names), *(f"test_{name}" for name in tests)):
        table.add_column(name, overflow="fold")
    for place, trial in enumerate(trials, 1):
        table.add_row(
            str(place) if trial.value is not None else "-", str(trial.number), trial.failure or trial.state,
            cell(trial.value), f"{trial.best_epoch or '-'}/{trial.epochs}", cell(trial.seconds, ".1f"),
            f"{trial.model_parameters:,}" if trial.model_parameters else "-",
            *(cell(trial.params.get(name), ".3g") for name in varied or names),
            *(cell(trial.test.get(name)) for name in tests),
        )  # fmt: skip
    return table


def cell(value: Any, form: str = ".4f") -> str:
    """A value as a cell of a table."""
    if value is None:
        return "-"
    if isinstance(value, float):
        # Fixed decimals would show a learning rate of 0.00002 as zero.
        return f"{value:{form}}" if abs(value) >= 0.001 or value == 0 else f"{value:.2e}"
    return str(value)


def _plain(value: object) -> object:
    if isinstance(value, datetime):
        return value.isoformat()
    if isinstance(value, Mapping):
        return dict(value)
    if hasattr(value, "item"):
        return value.item()
    return str(value)


def print_check(out: Console, checked: "Checked") -> None:
    """What would run."""
    plan, info = checked.plan, checked.dataset
    study = plan.experiment.study
    facts = Table.grid(padding=(0, 2))
    sizes = ", ".join(f"{count:,} {part}" for part, count in info.sizes.items())
    facts.add_row("experiment", f"{plan.experiment.name}: {plan.experiment.objective.metric}, "
                  f"{plan.experiment.objective.direction}")  # fmt: skip
    facts.add_row("dataset", f"{info.name}: {info.task}, {sizes}; input {info.input_shape}, {info.outputs} outputs")
    facts.add_row("scaling", f"{info.scaling.method}, fitted on the training part")
    if info.folds is not None:
        facts.add_row("validation", f"{info.folds} folds, of which these are the sizes of the first; a model for each")
    for name, text in _besides(plan.experiment.dataset).items():
        facts.add_row(name, text)
    budget = [f"{plan.trials} trials" if plan.trials else "any number of trials"]
    budget += [f"{study.timeout:g} s"] if study.timeout else []
    facts.add_row("study", f"{study.sampler.name}, {study.pruner.name}; at most {' and '.join(budget)}")
    for size, tried in checked.tried.items():
        facts.add_row(f"{size} model", _tried(tried))
    for remark in dict.fromkeys(remark for tried in checked.tried.values() for remark in tried.remarks):
        facts.add_row("note", Text(remark))
    if checked.note is not None:
        facts.add_row("note", Text(checked.note))
    if checked.seconds is not None:
        low, high = checked.seconds
        facts.add_row("time", f"about {low:.0f} s to {high:.0f} s, if no trial is stopped early")
    facts.add_row("stores", f"{masked(plan.storage)}, {masked(plan.tracking_uri)}")
    out.print(facts)
    out.print("Both were tried for one step of training, validation and test; nothing was written.")


def _tried(tried: "Tried") -> Text:
    if tried.failure is not None:
        return Text(f"such trials fail: {tried.failure}: {tried.error}")
    if tried.cost is None:
        return Text(f"{tried.parameters:,} parameters; its fit is its own, and its cost not known")
    cost = tried.cost
    return Text(f"{cost.parameters:,} parameters, {cost.memory / 2**20:.1f} MB, {cost.epoch_seconds:.2f} s an epoch")


def _besides(spec: "DatasetSpec") -> dict[str, str]:
    """What is done to the data beside splitting and scaling them."""
    found = {}
    if spec.steps_per_epoch is not None:
        found["epoch"] = f"{spec.steps_per_epoch:,} fresh batches; the training samples are drawn to fit the scaling"
    if spec.augmentation is not None:
        found["augmentation"] = _flat(spec.augmentation)
    for name, extra in (spec.extra_tests or {}).items():
        found[f"test_{name}"] = f"the test part, {_flat(extra)}"
    return found


def _flat(section: "Section") -> str:
    return ", ".join(f"{key} {value}" for key, value in section.model_dump(exclude_none=True, mode="json").items())


def print_schema(schema: Mapping[str, Any]) -> None:
    """A JSON Schema, indented."""
    sys.stdout.write(json.dumps(schema, indent=2) + "\n")


def finite(value: Any) -> Any:
    """A value of a table for JSON, which knows no NaN."""
    return None if isinstance(value, float) and not math.isfinite(value) else value
