"""The experiments that answer the notebooks' questions: run, trained again over fresh seeds, and put into tables.

`python -m benchmarks.notebooks mnist_ffnn fashion_relu`: the same command goes on where it was stopped.
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
from hpo.study.read import confirming_runs, read_study
from hpo.study.record import TrialRecord, ranked

# Configurations that are trained again, best first; all if not named. None: a run takes too long.
# The table of a study of which some are trained again leaves out the others.
FINALISTS: Mapping[str, int | None] = {"mnist_cnn": None, "fashion_cnn": None, "fashion_mlp": 1, "mnist_layers": 1}
NAMES = sorted(
    path.stem
    for path in (job.ROOT / "experiments").glob("*.yaml")
    if path.stem.partition("_")[0] in ("mnist", "fashion", "iris", "function") and path.stem != "mnist_mlp"
)


def rows(name: str, home: Path, seeds: int, workers: int | None) -> list[dict[str, Any]]:
    """A line for each configuration of an experiment, those that failed last; scores at the best epoch."""
    console = Console(stderr=True)
    overrides = [] if workers is None else [f"engine.workers={workers}"]
    result = hpo.run(job.ROOT / "experiments" / f"{name}.yaml", overrides=overrides, home=home, console=console)
    ordered = ranked(list(result.trials), result.objective)
    wanted = FINALISTS.get(name, len(result.trials)) if seeds else None
    url = f"sqlite:///{home / 'optuna.db'}"
    if wanted is not None:
        hpo.confirm(result.name, min(wanted, len(ordered)), seeds, race=False, home=home, console=console)
        ordered = ordered[:wanted]
    runs = confirming_runs(url, result.name) if wanted is not None else []
    space = read_study(url, result.name).experiment["search_space"]["parameters"]
    varying = [parameter for parameter in space if space[parameter]["type"] != "constant"]
    lines = []
    for trial in ordered:
        own = [run for run in runs if run.confirms and run.confirms.trial == trial.number and run.test] or [trial]
        lines.append({
            "trial": trial.number, "runs": len(own),
            "parameters": {key: trial.params[key] for key in varying if key in trial.params},
            "model_parameters": trial.model_parameters,
            **_scores(own), "curves": [{key: list(curve) for key, curve in run.curves.items()} for run in own],
        })  # fmt: skip
    failed = [trial for trial in result.trials if trial.state == "failed"]
    return lines + [
        {
            "experiment": name,
            "trial": trial.number,
            "runs": 0,
            "parameters": dict(trial.params),
            "failure": trial.reason,
        }
        for trial in failed
    ]


def _scores(runs: Sequence[TrialRecord]) -> dict[str, Any]:
    """Means and deviations over runs: scores at the best epoch, epochs trained, seconds in epochs."""
    found: dict[str, list[float]] = {}
    for run in runs:
        scores = {
            **{key: value for key, value in run.best.items() if key not in ("learning_rate", "seconds")},
            **{f"test_{key}": value for key, value in run.test.items()},
            "best_epoch": float(run.best_epoch or 0), "epochs": float(run.epochs),
            "seconds": sum(run.curves["seconds"]),
        }  # fmt: skip
        for key, value in scores.items():
            found.setdefault(key, []).append(value)
    return {
        key: {"mean": statistics.mean(values), "deviation": statistics.stdev(values) if len(values) > 1 else None}
        for key, values in found.items()
    }


def table(lines: Sequence[Mapping[str, Any]]) -> str:
    """Markdown: a line for each configuration, mean and deviation."""
    columns = list(dict.fromkeys(
        key for line in lines for key, value in line.items() if isinstance(value, dict) and "mean" in value
    ))  # fmt: skip
    text = [f"| {' | '.join(['configuration', 'runs', *columns])} |", "|---" * (len(columns) + 2) + "|"]
    for line in lines:
        cells = [_cell(line.get(column)) for column in columns]
        if "failure" in line:
            cells[0] = f"failed: {line['failure']}"
        what = ", ".join(f"{key} {json.dumps(value)}" for key, value in line["parameters"].items()) or "as in the file"
        text.append(f"| {' | '.join([what, str(line['runs']), *cells])} |")
    return "\n".join(text)


def _cell(score: Mapping[str, float] | None) -> str:
    if score is None:
        return ""
    deviation = "" if score["deviation"] is None else f" ± {score['deviation']:.4f}"
    return f"{score['mean']:.4f}{deviation}"


def main() -> None:
    parser = argparse.ArgumentParser(prog="python -m benchmarks.notebooks", description=__doc__)
    parser.add_argument("names", nargs="*", default=NAMES, help="files of experiments/; all where not given")
    parser.add_argument("--seeds", type=int, default=3, help="of each configuration; 0: the study's own runs alone")
    parser.add_argument("--workers", type=int, default=None)
    parser.add_argument("--out", type=Path, default=Path("mlruns/benchmarks/notebooks"), help="homes and rows")
    options = parser.parse_args()
    if unknown := set(options.names) - set(NAMES):
        parser.error(f"unknown {', '.join(sorted(unknown))}; valid: {', '.join(NAMES)}")
    os.environ.setdefault("HPO_DATA", str(job.data_folder()))
    for name in options.names:
        lines = rows(name, (options.out / name).absolute(), options.seeds, options.workers)
        (options.out / f"{name}.json").write_text(json.dumps(lines, indent=1), encoding="utf-8")
        print(f"\n{name}\n\n{table(lines)}", flush=True)


if __name__ == "__main__":
    main()
