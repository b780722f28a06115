"""Studies of few trials on the standard job's recorded curves: gp_asha beside one_pass, each to its last trial.

    python -m benchmarks.fifty_trials --trials 50 --seeds 6

With one worker, 20 epochs and patience 3. Both begin the same number of configurations; what they spend differs.
"""

import argparse
import math
from concurrent.futures import ProcessPoolExecutor
from pathlib import Path

import numpy as np
import optuna

from benchmarks.simulated_studies import Setting, Spec, simulated
from benchmarks.standard_curves import NAME
from benchmarks.tasks import load_task

_TPE = {"name": "tpe", "multivariate": False}
_HALVING = {"name": "successive_halving", "min_resource": 1, "reduction_factor": 3}
SCHEDULES: dict[str, tuple[Spec, Spec]] = {
    "gp_asha": ({"name": "gp_asha"}, _HALVING),
    "one_pass": ({"name": "one_pass"}, _HALVING),
    "one_pass, no pruner": ({"name": "one_pass"}, {"name": "none"}),
}


def course(job: tuple[str, int, int]) -> list[tuple[float, float]]:
    """The moments, in seconds of training, at which a study's best score rose, and its end."""
    name, trials, seed = job
    optuna.logging.set_verbosity(optuna.logging.ERROR)
    schedule, pruner = SCHEDULES[name]
    setting = Setting(schedule, _TPE, pruner, 20, 3, 1, math.inf, trials)
    found, best = [], -math.inf
    for clock, score in simulated(load_task(Path(), NAME, 20), setting, seed):
        best = max(best, score)
        found.append((clock, best))
    return found


def main() -> None:
    """Runs the studies and prints a table: medians over seeds."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.fifty_trials", description=__doc__.split("\n")[0])
    parser.add_argument("--trials", type=int, default=50)
    parser.add_argument("--seeds", type=int, default=6)
    parser.add_argument("--jobs", type=int, default=1, help="processes")
    options = parser.parse_args()
    jobs = [(name, options.trials, seed) for name in SCHEDULES for seed in range(options.seeds)]
    with ProcessPoolExecutor(options.jobs) as pool:
        courses = dict(zip(jobs, pool.map(course, jobs), strict=True))
    print(
        "| schedule | best score | least to most | seconds of training | seconds to gp_asha's best |\n"
        + "|---" * 5
        + "|"
    )
    for name in SCHEDULES:
        mine = [courses[name, options.trials, seed] for seed in range(options.seeds)]
        targets = [courses["gp_asha", options.trials, seed][-1][1] for seed in range(options.seeds)]
        ends = np.array([one[-1][1] for one in mine])
        spent = float(np.median([one[-1][0] for one in mine]))
        to = [
            next((clock for clock, best in one if best >= target), math.inf)
            for one, target in zip(mine, targets, strict=True)
        ]
        reached = float(np.median(to))
        seconds = f"{reached:.0f}" if math.isfinite(reached) else "not reached"
        print(f"| {name} | {np.median(ends):.4f} | {ends.min():.4f} to {ends.max():.4f} | {spent:.0f} | {seconds} |")


if __name__ == "__main__":
    main()
