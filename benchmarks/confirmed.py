"""How often the best single trial is not the one to use, and by how much its score overstates it.

`python -m benchmarks.confirmed --studies 5`: studies that differ in their seed alone, each confirmed. The same
command goes on where it was stopped.
"""

import argparse
import json
import os
import statistics
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pandas as pd
from rich.console import Console

import hpo
from benchmarks import job
from hpo.statistics.decision import overstated
from hpo.study.read import confirming_runs, read_study
from hpo.study.record import TrialRecord, ranked

DATASETS: dict[str, Any] = {
    "digits": "digits",
    "fashion_mnist": {"name": "fashion_mnist", "limit": 10_000},
}


def experiment(dataset: str, seed: int, trials: int, workers: int) -> dict[str, Any]:
    """A study of the standard space of MLPs, with hpo's default sampler and pruner; 0 workers: in this process."""
    return {
        "name": f"{dataset.replace('_', '-')}-{seed}",
        "dataset": DATASETS[dataset],
        "search_space": str(job.ROOT / "search_spaces" / "mlp.yaml"),
        "objective": job.OBJECTIVE,
        "training": {"epochs": job.EPOCHS, "early_stopping": {"patience": job.PATIENCE}},
        "study": {"trials": trials, "seed": seed},
        "engine": {"workers": workers} if workers else {"name": "serial"},
    }


def row(dataset: str, seed: int, home: Path, options: argparse.Namespace) -> dict[str, Any]:
    """One study: searched, confirmed, and what its best single trial came to over the same seeds."""
    console = Console(stderr=True, quiet=options.quiet)
    plan = experiment(dataset, seed, options.trials, options.workers)
    searched = hpo.run(plan, home=home, console=console)
    confirmed = hpo.confirm(searched.name, options.finalists, options.seeds, home=home, console=console)
    confirmation, objective = confirmed.confirmation, confirmed.objective
    url = f"sqlite:///{home / 'optuna.db'}"
    best = ranked(read_study(url, searched.name).trials, objective)[0]
    runs = confirming_runs(url, searched.name)
    single = next(one for one in confirmation.finalists if one.trial == best.number)
    return {
        "dataset": dataset, "seed": seed, "trials": len(searched.trials),
        "worker_seconds_searching": _seconds(list(searched.trials)), "worker_seconds_confirming": _seconds(runs),
        "noise_floor": confirmation.noise_floor, "tied": sum(one.tied for one in confirmation.finalists),
        "single": single.trial, "chosen": confirmation.chosen, "best_mean": confirmation.finalists[0].trial,
        "single_overstated": overstated(single, objective),
        "single_mean": single.validation and single.validation.mean,
        "chosen_mean": confirmation.winner.validation and confirmation.winner.validation.mean,
        "single_test": _test(runs, single.trial), "chosen_test": _test(runs, confirmation.chosen),
        "single_parameters": single.model_parameters, "chosen_parameters": confirmation.winner.model_parameters,
        "finalists": [one.model_dump(mode="json") for one in confirmation.finalists],
    }  # fmt: skip


def _test(runs: Sequence[TrialRecord], trial: int) -> float | None:
    """Mean test accuracy of a finalist over its seeds."""
    scores = [run.test["accuracy"] for run in runs if run.confirms and run.confirms.trial == trial and run.test]
    return statistics.mean(scores) if scores else None


def _seconds(trials: Sequence[TrialRecord]) -> float:
    """Wall time of all trials together, as if on one worker."""
    return sum(trial.seconds or 0.0 for trial in trials)


def figures(rows: Sequence[dict[str, Any]]) -> pd.DataFrame:
    """A line for each dataset; scores in percentage points, means over studies, extremes in brackets."""
    frame = pd.DataFrame(rows)
    lines = []
    for dataset, group in frame.groupby("dataset", sort=False):
        off = 100 * group["single_overstated"]
        lines.append({
            "dataset": dataset,
            "studies": len(group),
            "another chosen": f"{(group['chosen'] != group['single']).sum()} of {len(group)}",
            "another mean is best": f"{(group['best_mean'] != group['single']).sum()} of {len(group)}",
            "single overstated by": f"{off.mean():.2f} ({off.min():.2f} to {off.max():.2f})",
            "noise floor": f"{100 * group['noise_floor'].mean():.2f}",
            "not told apart": f"{group['tied'].mean():.1f}",
            "test, chosen - single": f"{100 * (group['chosen_test'] - group['single_test']).mean():+.2f}",
            "cost, confirming / searching": f"{_ratio(group):.2f}",
            "size, chosen / single": f"{(group['chosen_parameters'] / group['single_parameters']).median():.2f}",
        })  # fmt: skip
    return pd.DataFrame(lines)


def _ratio(group: pd.DataFrame) -> float:
    return float(group["worker_seconds_confirming"].sum() / group["worker_seconds_searching"].sum())


def main() -> None:
    parser = argparse.ArgumentParser(prog="python -m benchmarks.confirmed", description=__doc__)
    parser.add_argument("--studies", type=int, default=5, help="of each dataset, with seeds 0, 1, ...")
    parser.add_argument("--datasets", default=",".join(DATASETS), help="comma-separated: %(default)s")
    parser.add_argument("--trials", type=int, default=40, help="of each study")
    parser.add_argument("--finalists", type=int, default=5)
    parser.add_argument("--seeds", type=int, default=5, help="of each finalist")
    parser.add_argument("--workers", type=int, default=2)
    parser.add_argument("--out", type=Path, default=Path("mlruns/benchmarks/confirmed"), help="homes and rows.json")
    parser.add_argument("--quiet", action="store_true", help="no progress")
    options = parser.parse_args()
    names = options.datasets.split(",")
    if unknown := set(names) - set(DATASETS):
        parser.error(f"--datasets: unknown {', '.join(sorted(unknown))}; valid: {', '.join(DATASETS)}")
    os.environ.setdefault("HPO_DATA", str(job.data_folder()))
    rows = []
    for seed in range(options.studies):
        for dataset in names:
            rows.append(row(dataset, seed, (options.out / f"{dataset}-{seed}").absolute(), options))
            (options.out / "rows.json").write_text(json.dumps(rows, indent=1), encoding="utf-8")
    with pd.option_context("display.width", 250, "display.max_columns", None):
        print(figures(rows).to_string(index=False))


if __name__ == "__main__":
    main()
