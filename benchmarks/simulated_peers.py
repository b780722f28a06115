"""Our schedules beside the peers' algorithms, simulated on the standard job's recorded curves.

    python -m benchmarks.simulated_peers --seeds 20 --seconds 300

Each study trains on so many workers for so many seconds; an epoch takes the CPU seconds that it takes hpo, for the
peers, too. So algorithms are compared here, and not how fast each library trains.
"""

import argparse
import itertools
import json
import math
from collections.abc import Callable, Iterator, Mapping, Sequence
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import optuna

from benchmarks.curves import Recorded
from benchmarks.simulated_studies import OnePassStudy, PausingStudy, Running, Setting, Spec
from benchmarks.standard_curves import NAME
from benchmarks.tasks import load_task

MARKS = (0.1, 0.2, 0.4, 1.0)
"""Where the best score so far is read off, in shares of the time."""

_INDEPENDENT = {"name": "tpe", "multivariate": False}
_HALVING = {"name": "successive_halving", "min_resource": 1, "reduction_factor": 3}
_NONE = {"name": "none"}


class RayStudy(OnePassStudy):
    """Ray Tune's OptunaSearch and ASHAScheduler with their defaults: rungs 1, 4, 16, the best quarter goes on."""

    def __init__(self, task: Recorded, setting: Setting, seed: int) -> None:
        super().__init__(task, setting, seed)
        self._rungs: dict[int, dict[int, float]] = {16: {}, 4: {}, 1: {}}

    def _stops(self, running: Running, score: float) -> bool:
        """As `_Bracket.on_result` of ray.tune.schedulers.async_hyperband decides."""
        number = running.trial.number
        for rung, recorded in self._rungs.items():
            if running.epoch < rung or number in recorded:
                continue
            worse = bool(recorded) and score < np.nanpercentile(list(recorded.values()), 75)
            recorded[number] = score
            return bool(worse)
        return False

    def _ends(self, running: Running, score: float) -> bool:
        running.epoch += 1
        if score > running.best:
            running.best, running.best_epoch = score, running.epoch
        running.trial.report(score, step=running.epoch)
        early = running.epoch - running.best_epoch >= self._setting.patience
        if self._stops(running, score) or early or running.epoch == self._setting.epochs:
            self._study.tell(running.trial, score)
            return True
        return False


class HyperbandStudy:
    """KerasTuner's Hyperband with its defaults, one process; a trial of a later round goes on where it was."""

    def __init__(self, task: Recorded, setting: Setting, seed: int) -> None:
        self._curves, self._setting, self._factor = task.sample(), setting, 3
        self._rows = iter(np.random.default_rng([1, seed]).permutation(len(self._curves)))

    def run(self) -> Iterator[tuple[float, float]]:
        """Yields, after each epoch of any trial, the time and the epoch's score."""
        clock, most = 0.0, self._setting.epochs
        last = int(math.log(most, self._factor))
        for bracket in itertools.cycle(range(last, -1, -1)):
            ends = math.ceil(1 + math.log(most, self._factor)) / (bracket + 1)
            chosen = [int(next(self._rows)) for _ in range(math.ceil(ends * self._factor**bracket))]
            before, best = 0, dict[int, float]()
            for number in range(bracket + 1):
                chosen = chosen[: math.ceil(ends * self._factor ** (bracket - number))]
                epochs = math.ceil(most / self._factor ** (bracket - number))
                for row in chosen:
                    for moment, score in self._train(row, before, epochs, clock):
                        clock, best[row] = moment, max(best.get(row, -np.inf), score)
                        yield clock, score
                chosen, before = sorted(chosen, key=lambda row: -best[row]), epochs

    def _train(self, row: int, begin: int, epochs: int, clock: float) -> Iterator[tuple[float, float]]:
        """Early stopping begins anew in each round, as its callback does."""
        curve, best, waited = self._curves[row], -np.inf, 0
        for epoch in range(begin, epochs):
            clock += float(curve.costs[epoch] - (curve.costs[epoch - 1] if epoch else 0.0))
            score = float(curve.scores[epoch])
            waited = 0 if score > best else waited + 1
            best = max(best, score)
            yield clock, score
            if waited >= self._setting.patience:
                return


@dataclass(frozen=True)
class Method:
    """A way to tune."""

    name: str
    kind: Callable[[Recorded, Setting, int], OnePassStudy | PausingStudy | RayStudy | HyperbandStudy]
    workers: int
    schedule: Spec
    sampler: Spec = field(default_factory=lambda: _INDEPENDENT)
    pruner: Spec = field(default_factory=lambda: _NONE)
    peer: bool = False


def _ours(schedule: Spec) -> Method:
    kind = OnePassStudy if schedule["name"] == "one_pass" else PausingStudy
    options = ", ".join(f"{key}={value}" for key, value in schedule.items() if key != "name")
    return Method(f"hpo, {schedule['name']}{options and f' ({options})'}", kind, 2, schedule, pruner=_HALVING)


METHODS = (
    Method("Optuna: TPE, median pruner", OnePassStudy, 1, _NONE, {"name": "tpe"}, {"name": "median"}, peer=True),
    Method("Optuna: the same x 2 processes", OnePassStudy, 2, _NONE, {"name": "tpe"}, {"name": "median"}, peer=True),
    Method("Ray Tune: TPE, ASHA", RayStudy, 2, _NONE, {"name": "tpe"}, peer=True),
    Method("KerasTuner: Hyperband", HyperbandStudy, 1, _NONE, peer=True),
    *(_ours({"name": name}) for name in ("one_pass", "asha", "gp_asha")),
)


def best_so_far(job: tuple[Method, int, float]) -> list[tuple[float, float]]:
    """The moments at which a study's best score rose, and those scores."""
    method, seed, seconds = job
    optuna.logging.set_verbosity(optuna.logging.ERROR)
    setting = Setting(method.schedule, method.sampler, method.pruner, 20, 3, method.workers, math.inf, 2000)
    found: list[tuple[float, float]] = []
    task = load_task(Path(), NAME, 20)
    assert isinstance(task, Recorded)
    for clock, score in method.kind(task, setting, seed).run():
        if clock > seconds:
            break
        if not found or score > found[-1][1]:
            found.append((clock, score))
    return found


def reached(course: Sequence[tuple[float, float]], score: float) -> float:
    """When a course reached a score; infinity if it did not."""
    return next((clock for clock, best in course if best >= score), math.inf)


def best_by(course: Sequence[tuple[float, float]], moment: float) -> float:
    """The best score of a course by a moment; NaN if there was none."""
    return max((best for clock, best in course if clock <= moment), default=math.nan)


def table(courses: Mapping[str, Sequence[Sequence[tuple[float, float]]]], peers: Sequence[str], seconds: float) -> str:
    """Markdown: medians over seeds, and how much better than the best peer of the same seed each method ends."""
    seeds = range(len(courses[peers[0]]))
    targets = [max(best_by(courses[peer][seed], seconds) for peer in peers) for seed in seeds]
    heads = ["method", *(f"best@{mark * seconds:g}s" for mark in MARKS), "seconds to the peers' best", "not reached"]
    rows = [[*heads, "end, less the best peer's: mean", "worse in"], ["---"] * (len(heads) + 2)]
    for name, found in courses.items():
        bests = [f"{np.median([best_by(one, mark * seconds) for one in found]):.4f}" for mark in MARKS]
        times = np.array([reached(course, target) for course, target in zip(found, targets, strict=True)])
        others = [
            max(best_by(courses[peer][seed], seconds) for peer in peers if peer != name or len(peers) == 1)
            for seed in seeds
        ]
        more = np.array([best_by(one, seconds) for one in found]) - others
        middle = f"{np.median(times):.0f}" if np.isfinite(np.median(times)) else "-"
        ends = [f"{more.mean():+.4f} ±{more.std() / np.sqrt(len(more)):.4f}", f"{np.mean(more < 0):.0%}"]
        rows.append([name, *bests, middle, f"{np.mean(np.isinf(times)):.0%}", *ends])
    return "\n".join(f"| {' | '.join(row)} |" for row in rows)


def main() -> None:
    """Runs the comparison and prints its table."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.simulated_peers", description=__doc__.split("\n")[0])
    parser.add_argument("--seeds", type=int, default=20)
    parser.add_argument("--seconds", type=float, default=300.0)
    parser.add_argument("--schedule", type=json.loads, action="append", default=[], help="JSON; a further one of ours")
    parser.add_argument("--only", help="methods whose names contain this, beside the peers")
    parser.add_argument("--jobs", type=int, default=1, help="processes")
    parser.add_argument("--json", type=Path, help="file of the courses; those that it has are not simulated again")
    options = parser.parse_args()
    methods = [*METHODS, *map(_ours, options.schedule)]
    methods = [one for one in methods if one.peer or not options.only or options.only in one.name]
    known: dict[str, Any] = json.loads(options.json.read_text()) if options.json and options.json.exists() else {}
    key = f"{options.seconds:g} s, {options.seeds} seeds"
    missing = [one for one in methods if f"{one.name}, {key}" not in known]
    jobs = [(one, seed, options.seconds) for one in missing for seed in range(options.seeds)]
    with ProcessPoolExecutor(options.jobs) as pool:
        found = list(pool.map(best_so_far, jobs))
    for number, one in enumerate(missing):
        known[f"{one.name}, {key}"] = found[number * options.seeds : (number + 1) * options.seeds]
    if options.json:
        options.json.write_text(json.dumps(known))
    courses = {one.name: known[f"{one.name}, {key}"] for one in methods}
    print(table(courses, [one.name for one in methods if one.peer], options.seconds))


if __name__ == "__main__":
    main()
