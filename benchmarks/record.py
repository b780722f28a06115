"""Records learning curves of the standard job: random configurations, each trained to its last epoch.

    OMP_NUM_THREADS=1 nice -n 19 python -m benchmarks.record --out mlruns/curves --part 0/2

Each process trains its part of the configurations, which are in random order, and appends a line for each to a file of
its own; the same command goes on where it was interrupted. `--table` writes what all parts have as one table.
"""

import argparse
import gzip
import json
import tempfile
import time
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd

from benchmarks import job

if TYPE_CHECKING:
    from hpo.training.messages import Job

TABLE = job.ROOT / "benchmarks" / "fashion_mnist_curves.csv.gz"
"""A row for each configuration: its number, its values, then `score_E` and `cpu_E` for each epoch E from 1.

A score is the validation accuracy after that epoch, empty from where the training diverged; cpu is the CPU seconds of
the trial from its beginning to the end of that epoch, models and graphs built included.
"""


def main() -> None:
    """Records curves, or writes their table."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.record", description=__doc__.split("\n")[0])
    parser.add_argument("--out", type=Path, required=True, help="folder of the recorded lines")
    parser.add_argument("--part", default="0/1", help="which part of the configurations, as 0/2 and 1/2")
    parser.add_argument("--count", type=int, default=300, help="configurations, all parts together")
    parser.add_argument("--table", action="store_true", help=f"write {TABLE.name} from the lines instead")
    options = parser.parse_args()
    options.out.mkdir(parents=True, exist_ok=True)
    if options.table:
        found = table(recorded(options.out))
        TABLE.write_bytes(gzip.compress(found.to_csv(index=False).encode(), mtime=0))
        print(f"{len(found)} configurations, {TABLE.stat().st_size} bytes: {TABLE}")
        return
    part, parts = map(int, options.part.split("/"))
    record(options.out / f"part-{part}.jsonl", range(part, options.count, parts))


def recorded(folder: Path) -> list[dict[str, Any]]:
    """The lines of all parts."""
    files = sorted(folder.glob("part-*.jsonl"))
    lines = [line for file in files for line in file.read_text(encoding="utf-8").splitlines()]
    return sorted(map(json.loads, lines), key=lambda line: int(line["number"]))


def table(lines: list[dict[str, Any]]) -> pd.DataFrame:
    """The recorded lines as TABLE has them."""
    rows = []
    for line in lines:
        epochs = range(1, job.EPOCHS + 1)
        scores, cpu = (dict(zip(epochs, line[key], strict=False)) for key in ("scores", "cpu"))
        curve = {f"score_{epoch}": scores.get(epoch) for epoch in epochs}
        costs = {f"cpu_{epoch}": cpu.get(epoch) for epoch in epochs}
        rows.append({"number": line["number"], **line["config"], **curve, **costs})
    return pd.DataFrame(rows)


def record(file: Path, numbers: range) -> None:
    """Trains the configurations of these numbers, one after the other; those that the file has are left out."""
    from hpo.data.by_configuration import PreparedVariants
    from hpo.loop.jobs import make_job, variants_of
    from hpo.plan.plan import load_plan
    from hpo.schedule.cube import Cube
    from hpo.training.process import limit_threads

    limit_threads(1)
    plan = load_plan(job.EXPERIMENT, ["training.early_stopping=null"])
    cube = Cube(plan.space)
    known = {line["number"] for line in recorded(file.parent)}
    with tempfile.TemporaryDirectory() as scratch:
        data = PreparedVariants(variants_of(plan), Path(scratch))
        for number in [one for one in numbers if one not in known]:
            config = cube.decode(np.random.default_rng([0, number]).random(cube.size))
            scores, cpu = curve(make_job(plan, config, number, data.folder))
            line = {"number": number, "config": config, "scores": scores, "cpu": cpu}
            with file.open("a", encoding="utf-8") as rows:
                rows.write(json.dumps(line) + "\n")


def curve(one: "Job") -> tuple[list[float], list[float]]:
    """The objective after each epoch of a job, and the CPU seconds since its beginning."""
    from hpo.engines.channel import QueueLine
    from hpo.training.messages import EpochDone, Event, Failed
    from hpo.training.trial import train

    scores, cpu, failures = list[float](), list[float](), list[Failed]()
    began = time.process_time()

    def hear(event: Event) -> None:
        if isinstance(event, EpochDone):
            scores.append(round(float(event.metrics[job.OBJECTIVE]), 6))
            cpu.append(round(time.process_time() - began, 4))
            line.proceed()
        elif isinstance(event, Failed):
            failures.append(event)

    line = QueueLine(hear)
    train(one, line)
    for failure in failures:
        if failure.reason != "nonfinite":
            raise RuntimeError(f"configuration {one.seed}: {failure}")
    return scores, cpu


if __name__ == "__main__":
    main()
