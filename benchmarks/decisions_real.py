"""Whether the decisions of `hpo confirm` hold on real data: studies that are searched, confirmed, and then measured.

The truth of a configuration is its mean over fresh seeds, which had no part in the confirmation; with `--splits` each
of them has a split into training and validation of its own. Both it and the best single run are trained over the same
ones. Whatever has been trained is kept, and the same command goes on.
"""

import argparse
import json
import os
import statistics
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from rich.console import Console

import hpo
from benchmarks import job
from benchmarks.confirmed import DATASETS, experiment
from hpo.study.confirmation import Confirmation
from hpo.study.read import confirming_runs, read_study
from hpo.study.record import TrialRecord, ranked


def row(seed: int, options: argparse.Namespace) -> dict[str, Any]:
    """One study: what its confirmation said, and what is true over fresh seeds."""
    home = (options.out / f"{options.real}-{seed}").absolute()
    console = Console(stderr=True, quiet=options.quiet)
    plan = experiment(options.real, seed, options.trials, options.workers)
    plan["training"] = {**plan["training"], "epochs": options.epochs}
    searched = hpo.run(plan, home=home, console=console)
    url, said = f"sqlite:///{home / 'optuna.db'}", home / f"confirmation{'-splits' * options.splits}.json"
    if not said.exists():
        confirmed = hpo.confirm(searched.name, splits=options.splits, home=home, console=console)
        said.write_text(confirmed.confirmation.model_dump_json(), encoding="utf-8")
    confirmation = Confirmation.model_validate_json(said.read_text(encoding="utf-8"))
    view = read_study(url, searched.name)
    single = ranked(view.trials, view.objective)[0].number
    used = max(len(one.values) + len(one.failures) for one in confirmation.finalists)
    both = list(dict.fromkeys([confirmation.chosen, single]))
    every = used + options.truth
    hpo.confirm(searched.name, both, every, race=False, splits=options.splits, home=home, console=console)
    fresh = [one for one in confirming_runs(url, searched.name) if _is_fresh(one, used, options.splits)]
    truth, expected = _mean(fresh, confirmation.chosen), confirmation.estimate
    assert expected is not None
    return {
        "seed": seed, "single": single, "chosen": confirmation.chosen, "truth": truth,
        "expected": expected.mean, "low": expected.low, "high": expected.high,
        "covered": expected.low <= truth <= expected.high,
        "test_single": _mean(fresh, single, "accuracy"), "test_chosen": _mean(fresh, confirmation.chosen, "accuracy"),
    }  # fmt: skip


def _is_fresh(run: TrialRecord, used: int, splits: bool) -> bool:
    """Whether a run had no part in the confirmation, and has the kind of split that is wanted."""
    return run.confirms is not None and run.confirms.ordinal > used and (run.confirms.split is not None) == splits


def _mean(runs: Sequence[TrialRecord], trial: int, test: str | None = None) -> float:
    """The mean validation score of a trial's runs, or that of a test score."""
    own = [run for run in runs if run.confirms and run.confirms.trial == trial and run.value is not None]
    return statistics.fmean(run.value if test is None else run.test[test] for run in own)  # type: ignore[misc]


def figures(rows: Sequence[Mapping[str, Any]]) -> dict[str, str]:
    """The figures over studies, in words; scores in percentage points."""
    covered, count = sum(row["covered"] for row in rows), len(rows)
    apart = [100 * (row["test_chosen"] - row["test_single"]) for row in rows]
    error = f", standard error {statistics.stdev(apart) / count**0.5:.2f}" if count > 1 else ""
    return {
        "studies": f"{count}",
        "interval holds": f"{covered} of {count}",
        "mean too good by": f"{100 * statistics.fmean(row['expected'] - row['truth'] for row in rows):+.2f}",
        "half width": f"{50 * statistics.fmean(row['high'] - row['low'] for row in rows):.2f}",
        "another chosen": f"{sum(row['chosen'] != row['single'] for row in rows)} of {count}",
        "test, chosen - single": f"{statistics.fmean(apart):+.2f}{error}",
    }


def add_options(parser: argparse.ArgumentParser) -> None:
    """Adds the options of real studies."""
    parser.add_argument("--real", choices=DATASETS, help="train real studies of this dataset instead")
    parser.add_argument("--studies", type=int, default=20, help="with seeds 0, 1, ...: %(default)s")
    parser.add_argument("--trials", type=int, default=40, help="of each study: %(default)s")
    parser.add_argument("--epochs", type=int, default=job.EPOCHS, help="at most, of each run: %(default)s")
    parser.add_argument("--truth", type=int, default=30, help="fresh seeds that make the truth: %(default)s")
    parser.add_argument("--splits", action="store_true", help="a split of its own for each seed, of the truth too")
    parser.add_argument("--workers", type=int, default=2, help="0: in this process; default: %(default)s")
    parser.add_argument("--out", type=Path, default=Path("mlruns/benchmarks/decisions_hold"), help="homes, rows.json")
    parser.add_argument("--quiet", action="store_true", help="no progress")


def measure(options: argparse.Namespace) -> None:
    """Trains what is missing, and prints the figures after each study."""
    os.environ.setdefault("HPO_DATA", str(job.data_folder()))
    options.out.mkdir(parents=True, exist_ok=True)
    rows, file = [], options.out / f"{options.real}{'-splits' * options.splits}.json"
    for seed in range(options.studies):
        rows.append(row(seed, options))
        file.write_text(json.dumps(rows, indent=1), encoding="utf-8")
        print("; ".join(f"{name}: {value}" for name, value in figures(rows).items()), flush=True)
