"""How fast recurrent and one-dimensional convolutional networks train in the graph, against `model.fit`.

Both train the same model on the same windows in one process with one thread, in turns; the figure is CPU time, so that
other work of the machine counts little. `python -m benchmarks.sequences`
"""

import os

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")

import argparse
import time
from collections.abc import Callable
from statistics import median
from typing import Any

import keras
import numpy as np
import tensorflow as tf

from hpo import models
from hpo.config.experiment import DatasetSpec, TrainingSpec
from hpo.data import Dataset, load
from hpo.training.compiling import compile_model
from hpo.training.graph import GraphLoop

CASES: dict[str, tuple[str, dict[str, Any]]] = {
    "LSTM, 32 units": ("rnn", {}),
    "GRU, 32 units": ("rnn", {"cell": "gru"}),
    "two LSTM in both directions": ("rnn", {"layers": 2, "bidirectional": True}),
    "conv1d, two blocks": ("conv1d", {"filters": 16, "dense": 32}),
}


def main() -> None:
    """Prints the CPU time of an epoch by both ways."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.sequences", description=__doc__)
    parser.add_argument("--repeats", type=int, default=5, help="epochs by each way, in turns")
    options = parser.parse_args()
    tf.config.threading.set_intra_op_parallelism_threads(1)
    tf.config.threading.set_inter_op_parallelism_threads(1)
    section = {"name": "google", "target": "volume", "validation": {"time": "date"}, "series": {"window": 20}}
    data = load(DatasetSpec.model_validate(section), [])
    for batch in (32, 128):
        for name, (model, params) in CASES.items():
            params = {"units": 32, **params} if model == "rnn" else params
            by_graph, by_fit = _seconds(data, model, params, batch, options.repeats)
            print(f"batch {batch:3}  {name:28} {by_fit / by_graph:5.2f} times  ({by_graph:.3f} s and {by_fit:.3f} s)")


def _seconds(data: Dataset, model: str, params: dict[str, Any], batch: int, repeats: int) -> tuple[float, float]:
    """CPU seconds of an epoch with its validation, in the graph and by `model.fit`."""
    loop = GraphLoop(_compiled(data, model, params), data)
    other = _compiled(data, model, params)
    scale = data.info.scaling.apply
    x, y = scale(data.training.x), data.training.y
    held_out = (scale(data.validation.x), data.validation.y)

    def in_graph() -> None:
        loop.train(np.random.default_rng(0).permutation(len(x)), batch, lambda _: None)
        loop.evaluate("validation", lambda _: None)

    def by_fit() -> None:
        other.fit(x, y, batch_size=batch, validation_data=held_out, validation_batch_size=512, verbose=0)

    in_graph()
    by_fit()
    pairs = [(_cpu(in_graph), _cpu(by_fit)) for _ in range(repeats)]
    first, second = zip(*pairs, strict=True)
    return median(first), median(second)


def _compiled(data: Dataset, model: str, params: dict[str, Any]) -> keras.Model:
    keras.utils.set_random_seed(0)
    built = models.build(model, params, data.info).model
    return compile_model(built, TrainingSpec(), data.info)


def _cpu(call: Callable[[], None]) -> float:
    begun = time.process_time()
    call()
    return time.process_time() - begun


if __name__ == "__main__":
    main()
