"""A job side by side: `python -m benchmarks.peers --job standard --seconds 300`. The table is made by rows.py."""

import argparse
import json
import tempfile
import time
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any

import matplotlib.figure

from benchmarks import job, rows
from benchmarks.peers.hpo_rows import read_hpo_rows
from benchmarks.peers.jobs import JOBS
from benchmarks.processes import observe, python

Command = Callable[[Path, int, str], list[str]]
"""From a home folder, a seed and the name of a job."""


def _script(name: str, *options: str) -> Command:
    def command(home: Path, seed: int, name_of_job: str) -> list[str]:
        own: tuple[str | Path, ...] = (
            "--rows",
            home / "rows",
            "--home",
            home,
            "--seed",
            str(seed),
            "--job",
            name_of_job,
            *options,
        )
        return python("-m", f"benchmarks.peers.{name}", *own)

    return command


def _hpo(workers: int, *settings: str) -> Command:
    def command(home: Path, seed: int, name_of_job: str) -> list[str]:
        assigned = [word for one in (f"study.seed={seed}", *settings) for word in ("--set", one)]
        return python(
            "-m", "hpo", "run", JOBS[name_of_job].experiment, "--home", home, "--workers", str(workers), *assigned
        )

    return command


PEERS: dict[str, Sequence[Command]] = {
    "optuna": [_script("optuna_study")],
    "optuna2": [_script("optuna_study")] * 2,
    "optuna2_with_defaults": [_script("optuna_study", "--defaults")] * 2,
    "keras_tuner": [_script("keras_tuner_search")],
    "ray": [_script("ray_tune")],
    "hpo1": [_hpo(1)],
    "hpo2": [_hpo(2)],
    # A configuration of which nothing is said takes the place of the defaults.
    "hpo2_without_defaults": [_hpo(2, "study.enqueue=[{}]")],
}
"""The commands of each peer, which run side by side."""


def main() -> None:
    parser = argparse.ArgumentParser(prog="python -m benchmarks.peers", description=__doc__)
    parser.add_argument("--job", default="standard", choices=JOBS, help="what is tuned: %(default)s")
    parser.add_argument("--seconds", type=float, default=300.0, help="deadline of each run, imports counted")
    parser.add_argument("--peers", default=",".join(PEERS), help="comma-separated: %(default)s")
    parser.add_argument("--repeats", type=int, default=1, help="with further seeds; the peers take turns")
    parser.add_argument("--seed", type=int, default=0, help="of the first repeat: %(default)s")
    parser.add_argument("--out", type=Path, default=None, help="folder; by default one in mlruns/benchmarks")
    options = parser.parse_args()
    names = options.peers.split(",")
    if unknown := set(names) - set(PEERS):
        parser.error(f"--peers: unknown {', '.join(sorted(unknown))}; valid: {', '.join(PEERS)}")
    out = options.out or job.ROOT / "mlruns" / "benchmarks" / time.strftime("peers-%Y%m%d-%H%M%S")
    out.mkdir(parents=True, exist_ok=True)
    found: list[rows.Row] = []
    used: list[rows.Row] = []
    for repeat in range(options.seed, options.seed + options.repeats):
        for name in names:
            print(f"{name}, repeat {repeat}: {options.seconds:g} s ...", flush=True)
            run_rows, usage = _run(name, repeat, options.seconds, out, options.job)
            found += run_rows
            used.append(usage)
            raw = {"seconds": options.seconds, "runs": used, "rows": found}
            (out / "rows.json").write_text(json.dumps(raw), encoding="utf-8")
    table = rows.figures(found, used, options.seconds)
    if options.repeats > 1:
        print(table.round(4).to_string(index=False), "\n\nmedians:")
    print(rows.medians(table).round(4).to_string())
    if found:
        _plot(found, options.seconds, out / "best_so_far.png")
    print(f"\nrows and plot: {out}")


def _run(name: str, repeat: int, seconds: float, out: Path, name_of_job: str) -> tuple[list[rows.Row], rows.Row]:
    with tempfile.TemporaryDirectory() as folder:
        home = Path(folder)
        commands = [command(home, repeat + number * 1000, name_of_job) for number, command in enumerate(PEERS[name])]
        began = time.time()
        usage = observe(commands, out / f"{name}-{repeat}.log", seconds)
        read = read_hpo_rows(home, JOBS[name_of_job].samples) if name.startswith("hpo") else _read(home / "rows")
        found = [_labelled(row, name, repeat, began) for row in read]
    used = {"cpu_seconds": usage.cpu_seconds, "peak_memory": usage.peak_memory}
    return [row for row in found if row["t"] <= seconds], {"peer": name, "repeat": repeat, **used}


def _read(file: Path) -> Iterator[dict[str, Any]]:
    for line in file.read_text(encoding="utf-8").splitlines() if file.exists() else ():
        yield json.loads(line)


def _labelled(row: dict[str, Any], peer: str, repeat: int, began: float) -> rows.Row:
    moment = row.pop("time")
    return {"peer": peer, "repeat": repeat, **row, "t": round(moment - began, 3)}


def _plot(found: Sequence[rows.Row], seconds: float, file: Path) -> None:
    figure = matplotlib.figure.Figure(figsize=(9, 5.5), layout="constrained")
    axes = figure.add_subplot(xlabel="seconds since the command", ylabel=f"best {job.OBJECTIVE} so far")
    for (peer, repeat), (times, scores) in rows.best_so_far(found).items():
        colour = f"C{list(PEERS).index(peer)}"
        label = None if repeat else peer
        axes.step([*times, seconds], [*scores, scores[-1]], where="post", color=colour, label=label, alpha=0.8)
    top = max(row["val_accuracy"] for row in found)
    axes.set(xlim=(0, seconds), ylim=(top - 0.06, top + 0.004))
    axes.grid(alpha=0.3)
    axes.legend()
    figure.savefig(file, dpi=120)


if __name__ == "__main__":
    main()
