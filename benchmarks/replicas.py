"""The seeds of a small network as one program against one by one: CPU time a run, and runs a CPU-second.

`OMP_NUM_THREADS=1 python -m benchmarks.replicas`: runs of `confirm` on digits as a worker trains them, from the job to
the test scores, in this process and in turn: some one by one, then 64 together, after one of each that traces the
graphs. The coordinator's share is not in it.
"""

import argparse
import os
import statistics
import tempfile
import time
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "2")

from hpo.config.experiment import DatasetSpec, Objective, TrainingSpec
from hpo.data import load, save
from hpo.training.messages import Event, Failed, Finished, Job, Order, Seed, Several
from hpo.training.process import limit_threads
from hpo.training.trial import train


class Line:
    """A line whose answers are all to go on; counts the trials that ended well."""

    def __init__(self) -> None:
        self.ended = 0
        self.note: str | None = None

    def emit(self, event: Event) -> None:
        """Counts."""
        for one in event.events if isinstance(event, Several) else (event,):
            if isinstance(one, Failed):
                raise RuntimeError(one.traceback)
            self.ended += isinstance(one, Finished)
            self.note = getattr(one, "note", None) or self.note

    def stop_reason(self) -> Order | None:
        """None."""
        return None

    def verdict(self) -> Order | None:
        """To go on."""
        return None


def job_of(folder: Path, dropout: float, options: argparse.Namespace) -> Job:
    """Two layers of 64 units; no early stopping."""
    return Job(
        trial=0,
        params={"depth": 2, "width": options.width, "dropout": dropout},
        seed=0,
        model="mlp",
        training=TrainingSpec(epochs=options.epochs, early_stopping=None, batch_size=32, learning_rate=0.001),
        objective=Objective(metric="val_accuracy", direction="maximize"),
        data=str(folder),
    )


def seconds_of(jobs: Sequence[Job], together: bool) -> float:
    """CPU seconds a run."""
    first, line, began = jobs[0], Line(), time.process_time()
    if together:
        train(replace(first, beside=tuple(Seed(one.trial, one.seed) for one in jobs[1:])), line, True)
        if line.note is None or "as one program" not in line.note:
            raise RuntimeError(line.note)
    else:
        for job in jobs:
            train(job, line, True)
    return (time.process_time() - began) / len(jobs)


def main() -> None:
    """Prints a line a dropout: the medians over the repeats."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--together", type=int, default=64)
    parser.add_argument("--alone", type=int, default=8, help="runs one by one, for each 64 together")
    parser.add_argument("--epochs", type=int, default=20)
    parser.add_argument("--width", type=int, default=64)
    parser.add_argument("--repeats", type=int, default=3)
    parser.add_argument("--dropout", type=float, nargs="+", default=[0.0, 0.2])
    options = parser.parse_args()
    limit_threads(1)
    with tempfile.TemporaryDirectory() as scratch:
        folder = Path(scratch) / "data"
        save(load(DatasetSpec(name="digits"), []), folder)
        for dropout in options.dropout:
            job = job_of(folder, dropout, options)
            jobs = [replace(job, trial=seed, seed=seed) for seed in range(max(options.together, options.alone))]
            seconds_of(jobs[:2], False), seconds_of(jobs[: options.together], True)
            alone, together = [], []
            for _ in range(options.repeats):
                alone.append(seconds_of(jobs[: options.alone], False))
                together.append(seconds_of(jobs[: options.together], True))
            one, many = statistics.median(alone), statistics.median(together)
            print(
                f"dropout {dropout}: {1000 * one:.0f} ms of CPU a run one by one, {1000 * many:.0f} ms together, "
                f"{one / many:.1f} times the runs a CPU-second",
                flush=True,
            )


if __name__ == "__main__":
    main()
