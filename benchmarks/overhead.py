"""What hpo costs beside training: CPU time, memory, and the user's waiting. `python -m benchmarks.overhead`."""

import argparse
import contextlib
import statistics
import subprocess
import tempfile
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import psutil

from benchmarks import job
from benchmarks.peers.hpo_rows import history, trial_runs
from benchmarks.processes import Usage, environment, observe, python
from benchmarks.ways import TINY, train_all

_HPO = python("-m", "hpo")
_IMPORT_TENSORFLOW = python("-c", "import tensorflow")
_IMPORT_TYPER = python("-c", "import typer, rich")


@dataclass(frozen=True)
class Figure:
    """One line of the table."""

    name: str
    value: str
    against: str = ""


def shares(workers: int) -> list[Figure]:
    """CPU seconds of a study with trials of about 10 s, by process, and the share that is not training."""
    with tempfile.TemporaryDirectory() as folder:
        home, samples = Path(folder), list[tuple[float, Usage]]()
        command = [*_HPO, "run", str(job.ROOT / "benchmarks" / "ten_seconds.yaml"), "--home", str(home)]
        command += ["--workers", str(workers)]
        usage = observe([command], home / "log", seen=lambda usage: samples.append((time.time(), usage)))
        trials = trial_runs(home)
        epochs = [point for trial in trials for point in history(home, trial, "seconds")]
    # What else runs on the machine lengthens epochs and trials alike: their ratio remains.
    in_epochs = sum(point.value for point in epochs)
    in_trials = sum(trial.info.end_time - trial.info.start_time for trial in trials) / 1000
    training = usage.cpu["worker"] * in_epochs / in_trials
    first, last = (pick(point.timestamp for point in epochs) / 1000 for pick in (min, max))
    before, after = ([used for at, used in samples if at <= moment][-1].cpu for moment in (first, last))
    steady = {role: seconds - before.get(role, 0.0) for role, seconds in after.items()}
    return [
        Figure("CPU seconds by process", ", ".join(f"{role} {seconds:.1f}" for role, seconds in usage.cpu.items())),
        Figure(
            "wall seconds a trial", f"{in_trials / len(trials):.1f}, {in_epochs / len(trials):.1f} of them in epochs"
        ),
        Figure("CPU share outside the workers, from the first epoch to the last", _percent(_outside(steady))),
        Figure("CPU share outside the workers, whole command", _percent(_outside(usage.cpu))),
        Figure("CPU share outside epochs (Keras), whole command", _percent(1 - training / usage.cpu_seconds)),
    ]


def _outside(cpu: dict[str, float]) -> float:
    return 1 - cpu.get("worker", 0.0) / sum(cpu.values())


def _percent(share: float) -> str:
    return f"{100 * share:.1f} %"


def memory(trials: int) -> list[Figure]:
    """A worker's resident memory after a tenth of the tiny trials, and after all of them."""
    from hpo.config.experiment import DatasetSpec
    from hpo.data import load, save
    from hpo.engines.local import LocalEngine

    rng = np.random.default_rng(0)
    configs = [{**TINY, "width": int(rng.integers(8, 65)), "depth": int(rng.integers(1, 4))} for _ in range(trials)]
    early = max(1, trials // 10)
    with tempfile.TemporaryDirectory() as scratch, contextlib.ExitStack() as stack:
        folder = Path(scratch)
        engine = LocalEngine(1, 1, folder / "worker.log")
        stack.callback(engine.close)
        save(load(DatasetSpec(name="digits"), ()), folder / "data")
        train_all(engine, configs[:early], 1, folder / "data")
        pid, first = engine.pids()[0], _resident(engine.pids()[0])
        train_all(engine, configs[early:], 1, folder / "data")
        last, replaced = _resident(engine.pids()[0]), engine.pids()[0] != pid
    value = f"{last:.0f} MiB{' (the worker was replaced)' if replaced else ''}"
    return [Figure(f"a worker's memory after {trials} tiny trials", value, f"{last / first:.2f} of after {early}")]


def _resident(pid: int) -> float:
    return float(psutil.Process(pid).memory_info().rss) / 2**20


def first_step(repeats: int) -> list[Figure]:
    """From the command to the end of the first trial's first step, against importing TensorFlow."""

    def once() -> float:
        with tempfile.TemporaryDirectory() as home:
            began = time.time()
            _run([*_HPO, "run", str(job.ROOT / "benchmarks" / "one_step.yaml"), "--home", home])
            (trial,) = trial_runs(Path(home))
            return float(history(Path(home), trial, job.OBJECTIVE)[0].timestamp / 1000 - began)

    return [_against("first step, its validation included", repeats, once, _IMPORT_TENSORFLOW, "import tensorflow")]


def commands(repeats: int) -> list[Figure]:
    """The quickstart, and the commands that should answer at once."""
    with tempfile.TemporaryDirectory() as home:
        quickstart = _wall([*_HPO, "run", str(job.ROOT / "experiments" / "digits_mlp.yaml"), "--home", home])
        figures = [Figure("the quickstart", f"{quickstart:.1f} s")]
        for arguments in (["--help"], ["list", "--home", home]):
            name = f"hpo {arguments[0]}"
            wall = lambda arguments=arguments: _wall([*_HPO, *arguments])  # noqa: E731
            figures.append(_against(name, repeats, wall, _IMPORT_TYPER, "import typer, rich"))
    return figures


def _against(name: str, repeats: int, once: Callable[[], float], other: Sequence[str], called: str) -> Figure:
    """Medians of a measurement and of another command's wall time, taken in turns."""
    pairs = [(once(), _wall(other)) for _ in range(repeats)]
    mine, theirs = (statistics.median(times) for times in zip(*pairs, strict=True))
    return Figure(name, f"{mine:.2f} s", f"{mine / theirs:.2f} of python -c '{called}' ({theirs:.2f} s)")


def _wall(command: Sequence[str]) -> float:
    began = time.perf_counter()
    _run(command)
    return time.perf_counter() - began


def _run(command: Sequence[str]) -> None:
    done = subprocess.run(command, cwd=job.ROOT, env=environment(), capture_output=True, text=True, check=False)
    if done.returncode:
        raise RuntimeError(f"{' '.join(command)} failed:\n{done.stderr[-3000:]}")


def main() -> None:
    parser = argparse.ArgumentParser(prog="python -m benchmarks.overhead", description=__doc__)
    parser.add_argument("--parts", default="commands,first_step,shares,memory", help="comma-separated: %(default)s")
    parser.add_argument("--repeats", type=int, default=3, help="of commands and of the first step")
    parser.add_argument("--workers", type=int, default=2, help="of the study with trials of 10 s")
    parser.add_argument("--trials", type=int, default=200, help="tiny trials of one worker")
    options = parser.parse_args()
    parts: dict[str, Callable[[], list[Figure]]] = {
        "commands": lambda: commands(options.repeats),
        "first_step": lambda: first_step(options.repeats),
        "shares": lambda: shares(options.workers),
        "memory": lambda: memory(options.trials),
    }
    names = options.parts.split(",")
    if unknown := set(names) - set(parts):
        parser.error(f"--parts: unknown {', '.join(sorted(unknown))}; valid: {', '.join(parts)}")
    for name in names:
        for figure in parts[name]():
            print(f"{figure.name}: {figure.value}{f', {figure.against}' if figure.against else ''}", flush=True)


if __name__ == "__main__":
    main()
