"""What checkpoints cost a trial: CPU seconds with and without, alternating in one process.

    OMP_NUM_THREADS=1 python -m benchmarks.checkpoints --rounds 5

Prints the CPU seconds of each round and the median of the ratios. A trial takes about ten seconds: a dense network
of half a million weights on digits, trained by Adam for 60 epochs, with a checkpoint every five seconds and one at
its pause.
"""

import argparse
import statistics
import tempfile
import time
from pathlib import Path

from hpo.config.experiment import DatasetSpec, Objective, TrainingSpec
from hpo.data import load, save
from hpo.training.messages import Checkpointed, Checkpoints, Event, Job, Order, Paused
from hpo.training.process import limit_threads
from hpo.training.trial import train


class _Line:
    def __init__(self) -> None:
        self.events: list[Event] = []

    def emit(self, event: Event) -> None:
        self.events.append(event)

    def stop_reason(self) -> Order | None:
        return None

    def verdict(self) -> Order | None:
        return None


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else None)
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--epochs", type=int, default=60)
    parser.add_argument("--pauses", action="store_true", help="as for a schedule that pauses trials")
    options = parser.parse_args()
    limit_threads(1)
    with tempfile.TemporaryDirectory() as temporary:
        folder = Path(temporary)
        save(load(DatasetSpec(name="digits"), []), folder / "data")
        training = {"epochs": options.epochs, "early_stopping": False}
        job = Job(
            trial=0, params={"depth": 3, "width": 480}, seed=0, model="mlp", data=str(folder / "data"),
            training=TrainingSpec.model_validate(training),
            objective=Objective(metric="val_loss", direction="minimize"),
        )  # fmt: skip
        _seconds(job, None)
        ratios = []
        for round_ in range(options.rounds):
            policy = Checkpoints(str(folder / "checkpoints"), seconds=5.0, pauses=options.pauses)
            pair = [_seconds(job, policy), _seconds(job, None)]
            first, second = pair if round_ % 2 == 0 else reversed([_seconds(job, None), _seconds(job, policy)])
            ratios.append(first / second)
            print(f"with {first:.2f} s, without {second:.2f} s of CPU: {100 * (first / second - 1):+.2f}%")
        print(f"median {100 * (statistics.median(ratios) - 1):+.2f}%")


def _seconds(job: Job, policy: Checkpoints | None) -> float:
    from dataclasses import replace

    line = _Line()
    began, wall = time.process_time(), time.monotonic()
    train(replace(job, checkpoints=policy), line)
    spent = time.process_time() - began
    written = [event.checkpoint.bytes for event in line.events if isinstance(event, Checkpointed)]
    assert not any(isinstance(event, Paused) for event in line.events)
    megabytes = max(written, default=0) / 1e6
    print(f"  {time.monotonic() - wall:.1f} s wall, {len(written)} checkpoints of {megabytes:.1f} MB")
    return spent


if __name__ == "__main__":
    main()
