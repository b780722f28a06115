"""How fast the head of a frozen MobileNet trains on features that are computed once, against `model.fit` through it.

Both build and train the same model on the same images, in one process with one thread; hpo tests it as well. The figure
is CPU time, so that other work of the machine counts little. `python -m benchmarks.frozen_network`
"""

import os

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")

import argparse
import tempfile
import time
from pathlib import Path

import keras
import numpy as np
import tensorflow as tf

from hpo.config.experiment import DatasetSpec, Objective, TrainingSpec
from hpo.data import load, open_prepared, save
from hpo.training.building import built_for
from hpo.training.messages import Event, Failed, Finished, Job
from hpo.training.trial import train


class _Line:
    """Takes the events of a trial, and lets it train to its end."""

    last: Event | None = None

    def emit(self, event: Event) -> None:
        self.last = event

    def stop_reason(self) -> None:
        return None

    def verdict(self) -> None:
        return None


def main() -> None:
    """Prints the CPU time of a head phase by both ways, for the first trial of a worker and for those after it."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.frozen_network", description=__doc__)
    parser.add_argument("--images", type=int, default=500, help="of 96 x 96 pixels, in all parts together")
    parser.add_argument("--epochs", type=int, default=20)
    parser.add_argument("--trials", type=int, default=4, help="that differ in their learning rate")
    options = parser.parse_args()
    tf.config.threading.set_intra_op_parallelism_threads(1)
    tf.config.threading.set_inter_op_parallelism_threads(1)
    with tempfile.TemporaryDirectory() as folder:
        first, *later = [_seconds(job) for job in _jobs(Path(folder), options)]
    by_fit = sum(one[1] for one in (first, *later)) / (1 + len(later))
    after = sum(one[0] for one in later) / max(1, len(later))
    print(f"model.fit through the network: {by_fit:.1f} s of CPU time for {options.epochs} epochs")
    print(f"hpo, the first trial: {first[0]:.1f} s, {by_fit / first[0]:.1f} times as fast")
    print(f"hpo, each trial after it: {after:.1f} s, {by_fit / after:.1f} times as fast")
    whole = first[0] + after * len(later)
    print(f"hpo, {1 + len(later)} trials: {by_fit * (1 + len(later)) / whole:.1f} times as fast")


def _jobs(folder: Path, options: argparse.Namespace) -> list[Job]:
    rng, images = np.random.default_rng(0), options.images
    labels = rng.integers(0, 5, images)
    x = np.clip(rng.normal(40 * labels[:, None, None, None], 60, (images, 96, 96, 3)), 0, 255).astype(np.uint8)
    np.savez(folder / "images.npz", x_train=x, y_train=labels)
    save(load(DatasetSpec(path=str(folder / "images.npz")), []), folder / "data")
    weights = folder / "network.weights.h5"
    keras.applications.MobileNet((96, 96, 3), include_top=False, weights=None).save_weights(weights)
    return [
        Job(
            trial, {"architecture": "MobileNet", "weights": str(weights)}, 0, "application",
            TrainingSpec(epochs=options.epochs, learning_rate=rate, early_stopping=None),
            Objective(metric="val_accuracy", direction="maximize"), str(folder / "data"),
        )
        for trial, rate in enumerate(np.geomspace(0.001, 0.03, options.trials).tolist())
    ]  # fmt: skip


def _seconds(job: Job) -> tuple[float, float]:
    """CPU seconds of a trial, and of `model.fit` of the same model on the same images."""
    line, begun = _Line(), time.process_time()
    train(job, line)
    middle = time.process_time()
    if not isinstance(line.last, Finished):
        raise SystemExit(line.last.message if isinstance(line.last, Failed) else "the trial did not end")
    dataset = open_prepared(job.data)
    model = built_for(job, dataset).model
    (x, y), held_out = ((dataset.info.prepared(one.x), one.y) for one in (dataset.training, dataset.validation))
    model.fit(x, y, batch_size=32, epochs=job.training.epochs, validation_data=held_out, verbose=0)
    return middle - begun, time.process_time() - middle


if __name__ == "__main__":
    main()
