"""Which schedule, sampler and pruner: studies simulated on recorded learning curves, without training.

    python -m benchmarks.schedules --curves FOLDER

A study here is hpo's own (`hpo.schedule`, `hpo.study.samplers`, Optuna's ask, report, prune and tell, early stopping)
but for the training, whose epochs and their costs are read from a record, and the store, which is in memory.
"""

import argparse
import itertools
import json
import os
from collections.abc import Iterator, Sequence
from concurrent.futures import ProcessPoolExecutor
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np
import optuna

from benchmarks.simulated_studies import Setting, Spec, simulated
from benchmarks.tasks import load_task, task_names

BUDGETS = (5, 10, 20, 40)
"""Where regret is read off, in full trainings of the best configuration."""
_SOURCES = ("LCBench", "TaskSet", "Fashion_MNIST")

_RANDOM, _TPE, _NONE, _MEDIAN = {"name": "random"}, {"name": "tpe"}, {"name": "none"}, {"name": "median"}
_ONE_PASS, _INDEPENDENT = {"name": "one_pass"}, {"name": "tpe", "multivariate": False}


def _halving(factor: int, **options: Any) -> Spec:
    return {"name": "successive_halving", "min_resource": 1, "reduction_factor": factor, **options}


PRUNERS: tuple[Spec, ...] = (
    _NONE,
    _MEDIAN,
    {**_MEDIAN, "n_startup_trials": 2},
    {**_MEDIAN, "n_warmup_steps": 3},
    {**_MEDIAN, "interval_steps": 3},
    {"name": "percentile", "percentile": 25.0},
    {"name": "percentile", "percentile": 10.0},
    _halving(2),
    _halving(3),
    _halving(4),
    _halving(3, min_resource=2),
    _halving(3, bootstrap_count=3),
    {"name": "hyperband", "reduction_factor": 2},
    {"name": "hyperband", "reduction_factor": 3},
    {"name": "patient", "patience": 1, "wrapped_pruner": _MEDIAN},
    {"name": "patient", "patience": 0, "wrapped_pruner": _halving(3)},
)
"""Compared under the sampler random, which is cheap to simulate."""

SAMPLERS: tuple[Spec, ...] = (
    _TPE,
    {**_TPE, "multivariate": False},
    {**_TPE, "n_startup_trials": 5},
    {**_TPE, "n_startup_trials": 20},
    {"name": "qmc"},
    {"name": "cmaes"},
)
"""Compared under successive halving. `group` changes nothing here: these spaces have no conditions."""


@dataclass(frozen=True)
class Outcome:
    """What one study reached."""

    setting: Setting
    task: str
    seed: int
    cost: float
    """Cost of all workers until the target was met, in full trainings of the best configuration; at most the cap."""
    met: bool
    regrets: tuple[float, ...]
    """The regret at each of BUDGETS: 0 is the best of 1000 random configurations or more, 1 their median."""


def simulate(folder: Path, setting: Setting, name: str, seed: int) -> Outcome:
    """Runs one study until its target is met and the last of BUDGETS is spent, or no better score is possible."""
    optuna.logging.set_verbosity(optuna.logging.ERROR)
    task = load_task(folder, name, setting.epochs)
    best, met, regrets = -np.inf, np.inf, list[float]()
    for clock, score in simulated(task, setting, seed):
        cost = clock * setting.workers / task.unit
        while len(regrets) < len(BUDGETS) and cost > BUDGETS[len(regrets)]:
            regrets.append(task.regret(best))
        best = np.fmax(best, score)
        if best >= task.target:
            met = min(met, cost)
        spent = len(regrets) == len(BUDGETS) and (met <= cost or cost >= setting.cap)
        if spent or task.regret(best) == 0.0:
            break
    regrets += [task.regret(best)] * (len(BUDGETS) - len(regrets))
    return Outcome(setting, name, seed, min(met, setting.cap), met <= setting.cap, tuple(regrets))


def _simulate(job: tuple[Path, Setting, str, int]) -> Outcome:
    return simulate(*job)


def table(outcomes: Sequence[Outcome]) -> str:
    """Markdown, a row for each setting, the cheapest first.

    The error of a cost is its standard error beside the other settings on the same tasks.
    """
    heads = ["schedule", "sampler", "pruner"]
    sources = [source for source in _SOURCES if any(one.task.startswith(source.lower()) for one in outcomes)]
    for source in sources:
        heads += [f"{source} cost", "unmet %", *(f"regret % at {budget}" for budget in BUDGETS)]
    groups: dict[str, list[Outcome]] = {}
    for outcome in outcomes:
        groups.setdefault(json.dumps(asdict(outcome.setting)), []).append(outcome)
    by_task = {name: [one for one in outcomes if one.task == name] for name in {one.task for one in outcomes}}
    usual = {name: _log_cost(ones) for name, ones in by_task.items()}
    rows = []
    for group in sorted(groups.values(), key=_log_cost):
        setting = group[0].setting
        cells = [_text(setting.schedule), *_used(setting)]
        for source in sources:
            cells += _figures([one for one in group if one.task.startswith(source.lower())], usual)
        rows.append(cells)
    return "\n".join(f"| {' | '.join(cells)} |" for cells in [heads, ["---"] * len(heads), *rows])


def _log_cost(outcomes: Sequence[Outcome]) -> float:
    return float(np.mean([np.log(one.cost) for one in outcomes]))


def _figures(outcomes: Sequence[Outcome], usual: dict[str, float]) -> list[str]:
    if not outcomes:
        return ["-"] * (2 + len(BUDGETS))
    error = np.std([np.log(one.cost) - usual[one.task] for one in outcomes]) / np.sqrt(len(outcomes))
    unmet = 100 * np.mean([not one.met for one in outcomes])
    regrets = 100 * np.mean([one.regrets for one in outcomes], axis=0)
    cost = f"{np.exp(_log_cost(outcomes)):.1f} ±{100 * error:.0f}%"
    return [cost, f"{unmet:.0f}", *(f"{regret:.1f}" for regret in regrets)]


def _used(setting: Setting) -> list[str]:
    """The sampler and the pruner, where the schedule uses them."""
    name = setting.schedule["name"]
    sampler, pruner = _text(setting.sampler), _text(setting.pruner)
    return [sampler if name != "gp_asha" else "", pruner if name == "one_pass" else ""]


def _text(spec: Spec) -> str:
    options = [_text(value) if isinstance(value, dict) else f"{key}={value}" for key, value in spec.items()][1:]
    return f"{spec['name']}({', '.join(options)})" if options else str(spec["name"])


def _compared(arguments: argparse.Namespace) -> Iterator[tuple[Spec, Spec, Spec]]:
    given = arguments.sampler or arguments.pruner
    for schedule in arguments.schedule or ([] if given else [{"name": "gp_asha"}]):
        yield from itertools.product([schedule], arguments.sampler or [_INDEPENDENT], [_NONE])
    if given and not arguments.schedule:
        yield from itertools.product(
            [_ONE_PASS], arguments.sampler or [_INDEPENDENT], arguments.pruner or [_halving(3)]
        )
    if not given and not arguments.schedule:
        yield from itertools.product([_ONE_PASS], [_RANDOM], PRUNERS)
        yield from itertools.product([_ONE_PASS], SAMPLERS, [_halving(3)])


def main() -> None:
    """Runs the comparison and prints its table."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.schedules", description=__doc__.split("\n")[0])
    parser.add_argument("--curves", type=Path, default=Path(os.environ.get("HPO_CURVES", "../shared/benchmarks")))
    parser.add_argument("--schedule", type=json.loads, action="append", help='JSON, as {"name": "asha"}; repeatable')
    parser.add_argument("--sampler", type=json.loads, action="append", help='JSON, as {"name": "tpe"}; repeatable')
    parser.add_argument("--pruner", type=json.loads, action="append", help='JSON, as {"name": "none"}; repeatable')
    parser.add_argument("--tasks", type=int, default=8, help="how many, spread over LCBench's 18 and TaskSet's 6")
    parser.add_argument("--names", help="tasks by name instead, separated by commas: lcbench-34539")
    parser.add_argument("--seeds", type=int, default=2)
    parser.add_argument("--epochs", type=int, default=20, help="at most 50")
    parser.add_argument("--patience", type=int, default=3, help="0: no early stopping")
    parser.add_argument("--workers", type=int, default=1)
    parser.add_argument("--cap", type=float, default=40.0, help="full trainings of the best configuration")
    parser.add_argument("--trials", type=int, default=300, help="at most 1000")
    parser.add_argument("--jobs", type=int, default=1, help="processes")
    parser.add_argument("--json", type=Path, help="file for the raw rows")
    arguments = parser.parse_args()
    names = task_names(arguments.curves)
    spread = [names[index * len(names) // arguments.tasks] for index in range(arguments.tasks)]
    names = arguments.names.split(",") if arguments.names else spread
    rest = (arguments.epochs, arguments.patience, arguments.workers, arguments.cap, arguments.trials)
    settings = [Setting(*compared, *rest) for compared in _compared(arguments)]
    jobs = [(arguments.curves, *job) for job in itertools.product(settings, names, range(arguments.seeds))]
    if arguments.jobs == 1:
        outcomes = list(map(_simulate, jobs))
    else:
        with ProcessPoolExecutor(arguments.jobs) as pool:
            outcomes = list(pool.map(_simulate, jobs))
    if arguments.json:
        arguments.json.write_text("\n".join(json.dumps(asdict(outcome)) for outcome in outcomes))
    print(table(outcomes))


if __name__ == "__main__":
    main()
