"""The ways that benchmarks.throughput compares: a list of configurations through some processes, timed from within."""

import contextlib
import multiprocessing
import tempfile
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from multiprocessing.queues import Queue
from pathlib import Path
from typing import TYPE_CHECKING, Any

from benchmarks import job
from benchmarks.processes import cpu_seconds

if TYPE_CHECKING:
    from hpo.engines import Engine
    from hpo.training.messages import Job

Config = Mapping[str, Any]
Keys = Mapping[str, Any]
"""Keys of the training section."""
NOTHING: Keys = {}
Run = Callable[[Sequence[Config], int], None]

TINY: Config = {
    "depth": 1, "width": 8, "activation": "relu", "batch_size": 64, "learning_rate": 1e-3, "dropout": 0.0,
}  # fmt: skip
"""What each process trains before the clock starts, so that TensorFlow has run everything once."""

_WARM_UP_SAMPLES = 512


@dataclass(frozen=True)
class Timing:
    """What it took to train a list of configurations. Wall times in seconds."""

    configs: str
    """Name of the list."""
    startup: float
    """From the command to processes that have loaded the data and trained a tiny model."""
    wall: float
    cpu: float
    """CPU seconds of all processes within `wall`."""
    samples: int
    """Samples trained on, without those of validation and test."""


def timed(way: str, lists: Mapping[str, Sequence[Config]], epochs: int, began: float) -> Iterator[Timing]:
    """Trains lists of configurations, one after the other, in one of the WAYS; `began`: the command's unix time."""
    with WAYS[way]() as run:
        startup = time.time() - began
        for name, configs in lists.items():
            cpu, start = cpu_seconds(), time.perf_counter()
            run(configs, epochs)
            wall = time.perf_counter() - start
            yield Timing(name, startup, wall, cpu_seconds() - cpu, len(configs) * epochs * job.TRAINING_SAMPLES)


@contextlib.contextmanager
def _processes(loop: str, count: int, threads: int | None) -> Iterator[Run]:
    """Fresh processes that take configurations from a queue; `threads` None: TensorFlow's default."""
    context = multiprocessing.get_context("spawn")
    orders: Queue[tuple[Config, int]] = context.Queue()
    answers: Queue[None] = context.Queue()
    processes = [
        context.Process(target=_serve, args=(loop, threads, orders, answers), daemon=True) for _ in range(count)
    ]
    for process in processes:
        process.start()

    def wait(messages: int) -> None:
        for _ in range(messages):
            answers.get(timeout=1800)

    def run(configs: Sequence[Config], epochs: int) -> None:
        for config in configs:
            orders.put((config, epochs))
        wait(len(configs))

    wait(count)
    try:
        yield run
    finally:
        for process in processes:
            process.kill()
            process.join()


def _serve(loop: str, threads: int | None, orders: "Queue[tuple[Config, int]]", answers: "Queue[None]") -> None:
    import keras
    import tensorflow as tf

    from benchmarks import loops

    if threads is not None:
        tf.config.threading.set_intra_op_parallelism_threads(threads)
        tf.config.threading.set_inter_op_parallelism_threads(threads)
    train = getattr(loops, loop)
    data = job.load_data()
    train(TINY, job.Data(*(part[:_WARM_UP_SAMPLES] for part in data)), 1)
    answers.put(None)
    while True:
        config, epochs = orders.get()
        keras.utils.clear_session()
        train(config, data, epochs)
        answers.put(None)


@contextlib.contextmanager
def _hpo(workers: int, training: Keys = NOTHING, name: str = "local") -> Iterator[Run]:
    """hpo's own engine and trials; without study and tracker, pruning and early stopping."""
    from hpo.config.dataset_parts import Validation
    from hpo.config.experiment import DatasetSpec, EngineSpec
    from hpo.data import load, save
    from hpo.engines.table import make_engine

    with tempfile.TemporaryDirectory() as scratch:
        folder = Path(scratch)
        engine = make_engine(EngineSpec(name=name, workers=workers), None, folder / "workers.log")
        with contextlib.closing(engine):
            save(load(DatasetSpec(name="digits"), ()), folder / "tiny")
            save(
                load(DatasetSpec(name="fashion_mnist", validation=Validation(size=job.VALIDATION_SAMPLES)), ()),
                folder / "data",
            )
            while engine.workers < workers:
                engine.events(0.1)
            # One for each worker: none takes a second before it ended its first.
            train_all(engine, [TINY] * workers, 1, folder / "tiny")
            yield lambda configs, epochs: train_all(engine, configs, epochs, folder / "data", training)


def train_all(engine: "Engine", configs: Sequence[Config], epochs: int, data: Path, training: Keys = NOTHING) -> None:
    """Trains configurations on an engine, on the dataset prepared in a folder; `training`: keys of that section.

    Raises:
        RuntimeError: one failed.
    """
    from hpo.training.messages import EpochDone, Finished, Started

    waiting = [_hpo_job(number, config, epochs, data, training) for number, config in enumerate(configs)]
    running: set[int] = set()
    while waiting or running:
        while waiting and len(running) < engine.workers:
            running.add(waiting[0].trial)
            engine.submit(waiting.pop(0))
        for event in engine.events(1.0):
            if isinstance(event, EpochDone):
                engine.proceed(event.trial)
            elif isinstance(event, Finished):
                running.remove(event.trial)
            elif not isinstance(event, Started):
                raise RuntimeError(f"configuration {event.trial}: {event}")


def _hpo_job(number: int, config: Config, epochs: int, data: Path, keys: Keys) -> "Job":
    from hpo.config.experiment import Objective, TrainingSpec
    from hpo.training.messages import Job

    training = TrainingSpec(
        epochs=epochs, batch_size=config["batch_size"], learning_rate=config["learning_rate"], early_stopping=None,
        **keys,
    )  # fmt: skip
    params = {name: value for name, value in config.items() if name not in ("batch_size", "learning_rate")}
    model = "cnn" if "filters" in config else "mlp"
    return Job(number, params, number, model, training, Objective(metric=job.OBJECTIVE), str(data))


WAYS: Mapping[str, Callable[[], contextlib.AbstractContextManager[Run]]] = {
    "fit1": lambda: _processes("by_fit", 1, None),
    "fit2": lambda: _processes("by_fit", 2, None),
    "loop1": lambda: _processes("by_bare_loop", 1, 1),
    "loop2": lambda: _processes("by_bare_loop", 2, 1),
    "hpo1": lambda: _hpo(1),
    "hpo2": lambda: _hpo(2),
    "ray2": lambda: _hpo(2, name="ray"),
    "hpo2_bfloat16": lambda: _hpo(2, {"products": "bfloat16"}),
    "hpo2_mixed_bfloat16": lambda: _hpo(2, {"precision": "mixed_bfloat16"}),
}
"""Name -> a context in which processes are ready, and yield what runs configurations for some epochs."""
