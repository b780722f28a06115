"""What `until: worthwhile` saves and costs: simulated studies on recorded curves, each to the end of its budget.

    python -m benchmarks.worthwhile --trials 50 --seeds 10 --names fashion_mnist

Each study is run by gp_asha with one worker, 20 epochs and patience 3. Before each trial its model says what another
tenth of the budget would gain. Where `until: worthwhile` would have ended the study, the time and the best score are
compared with those at the end of its budget.
"""

import argparse
import math
from collections.abc import Sequence
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from benchmarks.simulated_studies import PausingStudy, Setting
from benchmarks.tasks import load_task, task_names
from hpo.schedule.estimates import Estimates

_NONE = {"name": "none"}


@dataclass(frozen=True)
class Ended:
    """Where a study would have ended, beside the end of its budget."""

    saved: float
    """The share of the time."""
    lost: float
    """What the best score would have been below that at the end."""


def ended(job: tuple[Path, str, int, int, float | None]) -> Ended:
    """Runs one study: the folder of the curves, the task, the number of trials, the seed, and `min_gain`."""
    folder, name, trials, seed, min_gain = job
    study, tenth = _study(folder, name, trials, seed), max(1, round(trials / 10))
    estimates, begun = Estimates(min_gain), trials
    best, clock = -np.inf, 0.0
    for moment, score in study.run():
        clock, best = moment, float(np.fmax(best, score))
        if begun == trials and study.begun not in estimates.known:
            estimates.known[study.begun] = study.expected_gain(tenth)
            begun = study.begun if estimates.is_over(tenth, study.merits) else trials
    # The same study, which begins no more than that, and goes on with the best of its paused trials.
    shorter = list(_study(folder, name, begun, seed).run())
    return Ended(1 - shorter[-1][0] / clock, best - max(score for _, score in shorter if np.isfinite(score)))


def _study(folder: Path, name: str, trials: int, seed: int) -> PausingStudy:
    setting = Setting({"name": "gp_asha"}, _NONE, _NONE, 20, 3, 1, math.inf, trials)
    return PausingStudy(load_task(folder, name, 20), setting, seed)


def table(found: Sequence[Ended]) -> str:
    """A line of Markdown: medians, quartiles, and how often nothing was saved."""
    saved, lost = np.array([one.saved for one in found]), np.array([one.lost for one in found])
    low, middle, high = np.quantile(saved, [0.25, 0.5, 0.75])
    scores = f"{np.median(lost):.4f} | {lost.mean():.4f} | {np.quantile(lost, 0.9):.4f} | {lost.max():.4f}"
    return f"| {len(found)} | {middle:.0%} ({low:.0%} to {high:.0%}) | {np.mean(saved == 0):.0%} | {scores} |"


def main() -> None:
    """Runs the studies and prints a table."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.worthwhile", description=__doc__.split("\n")[0])
    parser.add_argument("--curves", type=Path, default=Path(), help="the folder of LCBench and TaskSet")
    parser.add_argument("--names", help="tasks, separated by commas [default: the development tasks of LCBench]")
    parser.add_argument("--trials", type=int, default=50)
    parser.add_argument("--seeds", type=int, default=10)
    parser.add_argument("--min-gain", type=float)
    parser.add_argument("--jobs", type=int, default=1, help="processes")
    options = parser.parse_args()
    lcbench = (name for name in (task_names(options.curves) if not options.names else ()) if name.startswith("lcbench"))
    names = options.names.split(",") if options.names else list(lcbench)
    jobs = [
        (options.curves, name, options.trials, seed, options.min_gain)
        for name in names
        for seed in range(options.seeds)
    ]
    with ProcessPoolExecutor(options.jobs) as pool:
        found = list(pool.map(ended, jobs))
    print("| studies | time saved | saved nothing | score lost: median | mean | 90% | most |\n" + "|---" * 7 + "|")
    print(table(found))


if __name__ == "__main__":
    main()
