"""The output of `hpo train`: the new scores beside those of the export, and progress meanwhile."""

from collections.abc import Sequence
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Any

from rich.progress import BarColumn, MofNCompleteColumn, Progress, TaskID, TextColumn, TimeElapsedColumn
from rich.text import Text

from hpo.cli.trial_output import with_folds
from hpo.errors import UserError
from hpo.export.retrain import Retrained, require_model, retrain_all, runs_of, scores_of, spread
from hpo.loop.silent_trials import silent_for
from hpo.study.record import TrialRecord
from hpo.system.whole_files import check_writable
from hpo.text.console import is_live
from hpo.text.tables import Column, print_table
from hpo.text.values import count, score
from hpo.training.messages import EpochDone

if TYPE_CHECKING:
    from rich.console import Console

    from hpo.plan.exported_file import Exported


def trained_again(out: "Console", exported: "Exported", seeds: int, model: Path | None) -> list[Retrained]:
    """Trains an exported configuration over seeds, with a progress display that disappears at the end.

    Raises:
        UserError: the model's file has another suffix, or cannot be written.
    """
    if model is not None:
        if model.suffix != ".keras":
            raise UserError(f"{model}: must end in .keras")
        check_writable(model)
    with _Runs(out, exported.plan.experiment.objective.metric, seeds) as shown:
        return retrain_all(exported.plan, exported.parameters, runs_of(exported, seeds, model), (shown,))


class _Runs(Progress):
    """Shows the number of finished runs and, on a terminal, the epoch of each running one; observes the coordinator."""

    def __init__(self, out: "Console", metric: str, seeds: int) -> None:
        columns = (TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn(), TimeElapsedColumn())
        super().__init__(*columns, console=out, transient=True, disable=not is_live(out))
        self._metric = metric
        self._whole = self.add_task("training", total=seeds)
        self._running: dict[int, TaskID] = {}

    def trial_started(self, record: TrialRecord) -> None:
        """A run's training begins."""
        settings = record.resolved.training if record.resolved is not None else {}
        self._running[record.number] = self.add_task(f"seed {record.seed}", total=settings.get("epochs"))

    def epoch_done(self, record: TrialRecord, event: EpochDone) -> None:
        """A run finished an epoch."""
        text = f"seed {record.seed}, {self._metric} {score(event.metrics[self._metric])}"
        self.update(self._running[record.number], completed=event.epoch, description=text)

    def trial_ended(self, record: TrialRecord, best: TrialRecord | None) -> None:
        """A run ended, or its worker died and the run starts again."""
        if (task := self._running.pop(record.number, None)) is not None:
            self.remove_task(task)
        self.advance(self._whole, record.state != "failed")

    def trial_paused(self, record: TrialRecord, note: str | None) -> None:
        """No run of these pauses."""

    def engine_noted(self, note: str) -> None:
        """Shows it above the bar."""
        self.console.print(Text(f"note: {note}"), soft_wrap=True)

    def trial_silent(self, record: TrialRecord, seconds: float, limit: float | None) -> None:
        """Warns about a run that has reported nothing for long."""
        message = silent_for(f"the run with seed {record.seed}", seconds, limit)
        self.console.print(Text(f"warning: {message}", style="yellow"), soft_wrap=True)


def require_saved(runs: Sequence[Retrained], model: Path | None) -> None:
    """Checks that the first run left its model, where one was wanted.

    Raises:
        HpoError: it did not; says why, and how to get one.
    """
    if model is not None:
        require_model(runs[0], model)


def print_retrained(out: "Console", exported: "Exported", runs: Sequence[Retrained]) -> None:
    """Prints the scores of the export, of its confirmation, and of each run, then the runs' mean and deviation."""
    metric = exported.plan.experiment.objective.metric
    before = _exported_scores(exported)
    names = list(dict.fromkeys([*before, *(name for run in runs for name in scores_of(run, metric))]))
    rows: list[tuple[str, ...]] = []
    rows.append(("exported", str(exported.seed), count(exported.scores.get("best_epoch")), *_cells(before, names)))
    confirmed = _confirmed_scores(exported)
    if exported.confirmed is not None and exported.confirmed.validation is not None:
        seeds = f"{exported.confirmed.validation.seeds} seeds"
        rows.append(("confirmed mean", seeds, "", *_cells({n: mean for n, (mean, _) in confirmed.items()}, names)))
        rows.append(("confirmed deviation", seeds, "", *_cells({n: dev for n, (_, dev) in confirmed.items()}, names)))
    for run in runs:
        rows.append(("trained again", str(run.seed), count(run.best_epoch), *_cells(scores_of(run, metric), names)))
    alike = _alike(exported, runs)
    if len(alike) > 1:
        found, seeds = spread(alike, metric), f"{len(alike)} seeds"
        rows.append(("mean", seeds, "", *_cells({name: one.mean for name, one in found.items()}, names)))
        rows.append(("deviation", seeds, "", *_cells({name: one.deviation for name, one in found.items()}, names)))
    columns = list(zip(*rows, strict=True))
    first = [Column("", columns[0], text=True), Column("seed", columns[1]), Column("best epoch", columns[2], 2)]
    scores = [Column(name, columns[place], int(place > 3)) for place, name in enumerate(names, 3)]
    print_table(out, [*first, *scores], more="a wider window shows them, and --json")
    if exported.limit != exported.stopped_after and len(runs) > 1:
        out.print(
            f"The first run stopped after epoch {exported.stopped_after}, as the trial did; the others trained in full."
        )
    notes = {"test scores": runs[0].test_note, "model": runs[0].model_note}
    for what, note in notes.items():
        if note is not None:
            out.print(Text(f"{what}: {note}"), soft_wrap=True)
    if not same_data(exported, runs):
        out.print("The data differ from those of the export: their digests do not agree.")


def retrained_json(exported: "Exported", runs: Sequence[Retrained]) -> dict[str, Any]:
    """The scores for programs; `scores` has the run with the trial's own seed beside the export."""
    metric = exported.plan.experiment.objective.metric
    before, own = _exported_scores(exported), runs[0]
    again = {**scores_of(own, metric), "best_epoch": own.best_epoch}
    before["best_epoch"] = exported.scores.get("best_epoch")
    confirmed, over_seeds = _confirmed_scores(exported).items(), spread(_alike(exported, runs), metric)
    return {
        "scores": {name: {"exported": before.get(name), "trained_again": value} for name, value in again.items()},
        "runs": [
            {"seed": run.seed, "best_epoch": run.best_epoch, **scores_of(run, metric),
             "curves": with_folds(run.curves, run.fold_lengths),
             "resolved": asdict(run.resolved) if run.resolved else None}
            for run in runs
        ],
        "mean": {name: one.mean for name, one in over_seeds.items()},
        "deviation": {name: one.deviation for name, one in over_seeds.items()},
        "confirmed": {name: {"mean": mean, "deviation": deviation} for name, (mean, deviation) in confirmed},
        "same_data": same_data(exported, runs),
        "test_note": own.test_note,
        "model_note": own.model_note,
        "curves": with_folds(own.curves, own.fold_lengths),
    }  # fmt: skip


def same_data(exported: "Exported", runs: Sequence[Retrained]) -> bool:
    """Whether all runs trained on the data of the export."""
    return all(run.digest == exported.digest for run in runs)


def _alike(exported: "Exported", runs: Sequence[Retrained]) -> Sequence[Retrained]:
    """The runs that may be averaged: without the first one, where it was stopped early as the trial was."""
    return runs[1:] if exported.limit != exported.stopped_after else runs


def _exported_scores(exported: "Exported") -> dict[str, Any]:
    metric = exported.plan.experiment.objective.metric
    tests = exported.scores.get("test") or {}
    return {metric: exported.value} | {f"test_{name}": value for name, value in tests.items()}


def _confirmed_scores(exported: "Exported") -> dict[str, tuple[float, float]]:
    confirmed = exported.confirmed
    if confirmed is None or confirmed.validation is None:
        return {}
    estimates = {exported.plan.experiment.objective.metric: confirmed.validation}
    estimates |= {f"test_{name}": estimate for name, estimate in confirmed.test.items()}
    return {name: (one.mean, one.deviation) for name, one in estimates.items()}


def _cells(scores: dict[str, Any], names: Sequence[str]) -> list[str]:
    return [score(scores.get(name)) for name in names]
