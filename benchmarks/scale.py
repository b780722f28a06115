"""What one coordinator drives: the real loop, study and tracking, simulated workers. `python -m benchmarks.scale`.

A row for each number of workers and of trials: how busy the workers are until the last trial begins, how long an epoch
waits for its decision, what an ask takes, and what a trial costs the coordinator's process.
"""

import argparse
import cProfile
import io
import json
import multiprocessing
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager, nullcontext
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
import psutil

from benchmarks.job import ROOT

_HEADS = (
    "store", "workers", "trials", "epochs", "hours", "busy", "decisions/s at most", "decision ms: p50", "p99",
    "longest",
    "ask ms: first", "last", "CPU ms a trial", "KiB a trial", "MLflow behind: runs", "s",
)  # fmt: skip


@dataclass(frozen=True)
class Setting:
    """What is simulated."""

    workers: int
    trials: int
    study: dict[str, Any]
    """Keys of the study section."""
    epoch_seconds: float
    real: bool
    """Whether the clock is real: nothing is skipped."""
    cpu: bool = False
    """Whether the coordinator's seconds are those of CPU."""
    profile: Path | None = None


@dataclass
class _Asks:
    """What asks took that began a trial, in seconds; by the number of the trial."""

    seconds: list[tuple[int, float]]

    def timed(self, ask: Callable[[int | None], Any], timer: Callable[[], float]) -> Callable[[int | None], Any]:
        def wrapped(trials: int | None) -> Any:
            began = timer()
            record = ask(trials)
            if record is not None and not record.curves:
                self.seconds.append((record.number, timer() - began))
            return record

        return wrapped

    def median(self, numbers: range) -> float:
        """Milliseconds."""
        return float(np.median([1000 * took for number, took in self.seconds if number in numbers] or [np.nan]))


class _Reporter:
    """Notes how many runs MLflow lacks when the study has ended."""

    behind = 0

    def warn(self, message: str) -> None:
        print(f"warning: {message}", flush=True)

    @contextmanager
    def logging(self) -> Iterator[Callable[[int], None]]:
        def left(runs: int) -> None:
            self.behind = max(self.behind, runs)

        yield left


def simulate(setting: Setting, storage: str | None) -> list[str]:
    """Runs a study with simulated workers; returns the row of its figures."""
    from rich.console import Console

    from benchmarks.replay_engine import Clock, ReplayEngine
    from hpo.config.declared import NOTHING_DECLARED
    from hpo.data.prepared_variants import PreparedVariants
    from hpo.loop.driving import opened, run_study
    from hpo.loop.jobs import Prepared, variants_of
    from hpo.loop.mlflow_observer import tracked
    from hpo.loop.progress import Progress
    from hpo.plan.plan import load_plan

    study = {"trials": setting.trials, **setting.study, **({"storage": storage} if storage else {})}
    experiment = {
        "name": f"scale-{setting.workers}-{setting.trials}", "dataset": "digits", "objective": "val_accuracy",
        "search_space": str(ROOT / "search_spaces" / "mlp.yaml"), "study": study,
        "training": {"epochs": 20, "early_stopping": {"patience": 3}},
    }  # fmt: skip
    asks, reporter = _Asks([]), _Reporter()
    with ExitStack() as stack:
        home = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="hpo-scale-")))
        plan = replace(load_plan(experiment, home=home), declared=NOTHING_DECLARED)
        variants = variants_of(plan)
        clock = Clock(setting.real, setting.cpu)
        engine = ReplayEngine(setting.workers, setting.epoch_seconds, 20, clock)
        ready = Prepared(plan, engine, variants.base.info, PreparedVariants(variants, home))
        progress = Progress(Console(file=io.StringIO(), width=200), plan.experiment.objective, plan.trials, None)
        with opened(plan, ready.info) as opened_study:
            vars(opened_study)["ask"] = asks.timed(opened_study.ask, clock.timer)
            with tracked(plan, ready.info, False, reporter) as log:
                process = psutil.Process()
                before, cpu = process.memory_info().rss, time.process_time()
                clock = engine.clock = Clock(setting.real, setting.cpu)
                with cProfile.Profile() if setting.profile else nullcontext() as profiled:
                    run_study(opened_study, ready, time.monotonic(), (log, progress))
                worked, now, ended = clock.worked, clock.now, time.monotonic()
            cpu, behind = time.process_time() - cpu, time.monotonic() - ended
            grown = process.memory_info().rss - before
        if profiled is not None and setting.profile:
            profiled.dump_stats(setting.profile)
    seen, first = engine.seen, range(50, min(150, setting.trials))
    last = range(setting.trials - len(first), setting.trials)
    p50, p99, longest = 1000 * np.quantile(seen.latencies, [0.5, 0.99, 1.0])
    busy, decisions = seen.share_busy(setting.workers), len(seen.latencies)
    return [
        "SQLite" if storage is None else "PostgreSQL", f"{setting.workers:,}", f"{setting.trials:,}",
        f"{decisions:,}", f"{now / 3600:.2f}", f"{busy:.2%}", f"{decisions / worked:.0f}", f"{p50:.1f}", f"{p99:.1f}",
        f"{longest:.0f}", f"{asks.median(first):.1f}", f"{asks.median(last):.1f}",
        f"{1000 * cpu / setting.trials:.1f}", f"{grown / 1024 / setting.trials:.1f}", f"{reporter.behind}",
        f"{behind:.1f}",
    ]  # fmt: skip


def main() -> None:
    """Simulates each combination in a process of its own, and prints the table."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.scale", description=__doc__.split("\n")[0])
    counts = lambda text: [int(one) for one in text.split(",")]  # noqa: E731
    parser.add_argument("--workers", type=counts, default=[1, 10, 100, 500, 1000], help="comma-separated")
    parser.add_argument("--trials", type=counts, default=[100, 1000, 10000], help="comma-separated")
    parser.add_argument("--epoch-seconds", type=float, default=60.0, help="of an epoch, on average")
    parser.add_argument("--study", type=json.loads, default={}, help='keys of the study section: {"sampler": "tpe"}')
    parser.add_argument("--postgresql", action="store_true", help="on a PostgreSQL server of its own, not on SQLite")
    parser.add_argument("--real-time", action="store_true", help="skip nothing: epochs take their seconds")
    parser.add_argument("--cpu-time", action="store_true", help="count seconds of CPU: for a machine that is not idle")
    parser.add_argument("--profile", type=Path, help="file for cProfile's figures of the coordinator's thread")
    options = parser.parse_args()
    from benchmarks.soak.server import own_server

    print("\n".join(f"| {' | '.join(row)} |" for row in (_HEADS, ["---"] * len(_HEADS))), flush=True)
    with own_server() if options.postgresql else nullcontext() as storage:
        for trials in options.trials:
            for workers in options.workers:
                how = (options.real_time, options.cpu_time, options.profile)
                setting = Setting(workers, trials, options.study, options.epoch_seconds, *how)
                with multiprocessing.get_context("spawn").Pool(1) as pool:
                    print(f"| {' | '.join(pool.apply(simulate, (setting, storage)))} |", flush=True)


if __name__ == "__main__":
    main()
