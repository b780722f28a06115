"""From many trials to a decision: how long `hpo compare` and `hpo report` take. `python -m benchmarks.decisions`."""

import argparse
import statistics
import subprocess
import tempfile
import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from benchmarks import job
from benchmarks.processes import environment, python
from benchmarks.synthetic import synthetic_study


@dataclass(frozen=True)
class Figure:
    """One line of the table."""

    name: str
    seconds: float
    """Wall time of the whole command, Python's start included; the median of the repeats."""
    size: int | None = None
    """Bytes of the file that it writes."""

    def __str__(self) -> str:
        size = "" if self.size is None else f", {self.size / 2**20:.1f} MiB"
        return f"{self.name}: {self.seconds:.1f} s{size}"


def figures(trials: int, repeats: int) -> list[Figure]:
    """The commands on a study of `trials` synthetic trials."""
    with tempfile.TemporaryDirectory() as folder:
        home = Path(folder)
        synthetic_study(f"sqlite:///{home}/optuna.db", "synthetic", trials)
        where = "state = 'complete' and depth >= 2"
        compare = ["compare", "synthetic", "--home", folder]
        return [
            _measured("hpo compare STUDY --top 20", [*compare, "--top", "20"], repeats),
            _measured(f'hpo compare STUDY --where "{where}"', [*compare, "--where", where], repeats),
            _measured("hpo compare STUDY --csv", [*compare, "--csv", home / "t.csv"], repeats, home / "t.csv"),
            _measured(
                "hpo report STUDY -o report.html",
                ["report", "synthetic", "--home", folder, "--no-log", "-o", home / "report.html"],
                repeats,
                home / "report.html",
            ),
        ]


def _measured(name: str, arguments: Sequence[str | Path], repeats: int, file: Path | None = None) -> Figure:
    seconds = statistics.median(_wall(arguments) for _ in range(repeats))
    return Figure(name, seconds, None if file is None else file.stat().st_size)


def _wall(arguments: Sequence[str | Path]) -> float:
    began = time.perf_counter()
    command = python("-m", "hpo", *arguments)
    done = subprocess.run(command, cwd=job.ROOT, env=environment(), capture_output=True, text=True, check=False)
    if done.returncode:
        raise RuntimeError(f"{' '.join(command)} failed:\n{done.stderr[-3000:]}")
    return time.perf_counter() - began


def main() -> None:
    parser = argparse.ArgumentParser(prog="python -m benchmarks.decisions", description=__doc__)
    parser.add_argument("--trials", type=int, default=10_000, help="of the synthetic study")
    parser.add_argument("--repeats", type=int, default=3)
    options = parser.parse_args()
    for figure in figures(options.trials, options.repeats):
        print(figure, flush=True)


if __name__ == "__main__":
    main()
