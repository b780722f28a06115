"""hpo on NVIDIA GPUs: what workers get of them, how fast they train, and what becomes of a trial without memory.

    python -m benchmarks.gpu --json gpu.json

Takes ten minutes at most. Without a GPU, or with `--cpu`, it is only a test of itself: all sizes are tiny.
"""

import argparse
import contextlib
import json
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from benchmarks import job
from benchmarks.gpu_parts import assignment, memory
from benchmarks.processes import environment, python
from benchmarks.ways import TINY, Config, train_all
from hpo.config.dataset_parts import Validation
from hpo.config.experiment import DatasetSpec, EngineSpec
from hpo.data import load, open_prepared, save
from hpo.engines.gpus import Gpu, gpus_of_machine
from hpo.engines.table import make_engine

Row = dict[str, Any]

_TINY_CNN: Config = {
    "blocks": 1, "filters": 4, "dense": 8, "activation": "relu", "batch_size": 64, "learning_rate": 1e-3,
    "dropout": 0.0,
}  # fmt: skip
_WARM_UP = 512
"""Images of the dataset on which each process trains before the clock starts."""


@dataclass(frozen=True)
class Size:
    """How much is measured."""

    images: int
    """Of the training and the validation part; a sixth is for validation, and as many more are for the test."""
    epochs: int
    trials: int
    """Of each list."""
    at_a_time: tuple[int, ...]


FULL = Size(images=60_000, epochs=2, trials=8, at_a_time=(1, 4, 8))
SMALL = Size(images=240, epochs=1, trials=1, at_a_time=(2,))

PARTS = ("assignment", "fit", "hpo", "memory")
"""Each is a process of its own, so that one that hangs costs its own figures alone, and finds the GPUs empty."""
_FAILED = "its process failed"
_NEEDS_GPU = {"memory": "without a GPU no trial runs out of a GPU's memory"}


def main() -> None:
    """Measures all parts, or is the process of one."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.gpu", description=__doc__)
    parser.add_argument("--cpu", action="store_true", help="use no GPU, at tiny sizes: a test of this script")
    parser.add_argument("--json", type=Path, help="file for all figures")
    parser.add_argument("--minutes", type=float, default=10.0, help="what is not done by then is left out")
    parser.add_argument("--parts", default=",".join(PARTS), help="comma-separated: %(default)s")
    parser.add_argument("--one", nargs=2, metavar=("PART", "FOLDER"), help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.one:
        part, folder = options.one
        for row in rows_of(part, Path(folder), SMALL if options.cpu else FULL):
            print(json.dumps(row), flush=True)
        return
    wanted = options.parts.split(",")
    if unknown := set(wanted) - set(PARTS):
        parser.error(f"--parts: unknown {', '.join(sorted(unknown))}; valid: {', '.join(PARTS)}")
    gpus = [] if options.cpu else gpus_of_machine()
    for gpu in gpus:
        print(f"{gpu.name}: {gpu.memory} MiB")
    if not gpus:
        print("no GPU is used: the sizes are tiny, and the figures say nothing")
    found: dict[str, Any] = {"gpus": [vars(gpu) for gpu in gpus], "left_out": {}}
    ends = time.monotonic() + 60 * options.minutes
    with tempfile.TemporaryDirectory() as scratch:
        write_data(Path(scratch), FULL if gpus else SMALL)
        for part in wanted:
            why = _NEEDS_GPU.get(part) if not gpus else None
            if why is None:
                found[part], why = measured(part, Path(scratch), gpus, ends - time.monotonic())
                show(part, found)
            if why is not None:
                found["left_out"][part] = why
                print(f"\n{part}: left out: {why}", flush=True)
            if options.json:
                options.json.write_text(json.dumps(found, indent=1), encoding="utf-8")
    wrong = any(not row.get("ok", True) for part in wanted for row in found.get(part, []))
    if wrong or any(why.startswith(_FAILED) for why in found["left_out"].values()):
        sys.exit("not all is as it should be: a part failed, or the ok of a row is False")


def measured(part: str, folder: Path, gpus: Sequence[Gpu], seconds: float) -> tuple[list[Row], str | None]:
    """The rows of a part, and why some are missing, if so."""
    settings = environment()
    if not gpus:
        settings["CUDA_VISIBLE_DEVICES"] = ""
    elif part != "assignment":
        settings["CUDA_VISIBLE_DEVICES"] = gpus[0].name
    command = python("-m", "benchmarks.gpu", "--one", part, folder, *([] if gpus else ["--cpu"]))
    with (folder / f"{part}.rows").open("w+", encoding="utf-8") as rows, (folder / f"{part}.err").open("w+") as errors:
        why = None
        try:
            done = subprocess.run(
                command, cwd=job.ROOT, env=settings, stdout=rows, stderr=errors, timeout=max(1.0, seconds), check=False
            )
            if done.returncode:
                errors.seek(0)
                why = f"{_FAILED}:\n{errors.read()[-3000:]}"
        except subprocess.TimeoutExpired:
            why = "the time was over"
        rows.seek(0)
        return [json.loads(line) for line in rows if line.startswith("{")], why


def show(part: str, found: Mapping[str, Any]) -> None:
    """Prints the table of a part; that of hpo with its rates as parts of those of `model.fit`."""
    table = pd.DataFrame(found[part])
    if table.empty:
        return
    if part == "hpo" and found.get("fit"):
        fit = {row["trials"]: row["samples_a_minute"] for row in found["fit"]}
        table["by_fit"] = table["samples_a_minute"] / table["trials"].map(fit)
        alone = table[table["way"] == "hpo, 1 at a time"].set_index("trials")["samples_a_minute"]
        table["by_one_at_a_time"] = table["samples_a_minute"] / table["trials"].map(alone)
    print(f"\n{part}\n{table.round(2).to_string(index=False)}", flush=True)


def write_data(folder: Path, size: Size) -> None:
    """Lays images into a folder, for `load` and for workers: `images.npz`, `data` and, of a few of them, `tiny`."""
    x, y = images_like_mnist(size.images + size.images // 6)
    test = slice(size.images, None)
    parts = {"data": (x[: size.images], y[: size.images]), "tiny": (x[:_WARM_UP], y[:_WARM_UP])}
    for name, (images, classes) in parts.items():
        file = folder / f"{name}.npz"
        np.savez(file, x_train=images, y_train=classes, x_test=x[test], y_test=y[test])
        save(load(DatasetSpec(path=str(file), validation=Validation(size=len(images) // 6)), ()), folder / name)


def images_like_mnist(count: int) -> tuple[job.Array, job.Array]:
    """Bytes of shape (count, 28, 28, 1), and ten classes: a pattern each, moved by up to two pixels, and noise."""
    rng = np.random.default_rng(0)
    patterns = np.kron(rng.uniform(0, 1, (10, 7, 7)), np.ones((4, 4)))
    classes = rng.integers(0, 10, count)
    images = np.empty((count, 28, 28, 1), np.uint8)
    for number, (kind, *by) in enumerate(zip(classes, *rng.integers(-2, 3, (2, count)), strict=True)):
        image = np.roll(patterns[kind], by, (0, 1)) * 160 + rng.normal(48, 32, (28, 28))
        images[number, :, :, 0] = image.clip(0, 255)
    return images, classes


def rows_of(part: str, folder: Path, size: Size) -> Iterator[Row]:
    """Measures a part."""
    if part == "assignment":
        yield from assignment(folder)
    elif part == "memory":
        yield from memory(folder)
    elif part == "fit":
        with by_fit(folder, size) as run:
            yield from timed("model.fit", run, size)
    else:
        for count in size.at_a_time:
            with by_hpo(folder, count, size) as run:
                yield from timed(f"hpo, {count} at a time", run, size)


def timed(way: str, run: Callable[[Sequence[Config]], None], size: Size) -> Iterator[Row]:
    """Trains both lists, one after the other."""
    for name, configs in lists(size.trials).items():
        start = time.perf_counter()
        run(configs)
        seconds = time.perf_counter() - start
        samples = len(configs) * size.epochs * (size.images - size.images // 6)
        yield {"way": way, "trials": name, "seconds": seconds, "samples_a_minute": 60 * samples / seconds}


def lists(trials: int) -> dict[str, list[Config]]:
    """Small MLPs and small CNNs, of several sizes."""
    given = {"activation": "relu", "batch_size": 128, "learning_rate": 1e-3, "dropout": 0.2}
    places = range(trials)
    return {
        "mlp": [{"depth": 1 + place % 3, "width": 64 * (1 + place), **given} for place in places],
        "cnn": [{"blocks": 2, "filters": 8 + 4 * (place % 4), "dense": 64, **given} for place in places],
    }


@contextlib.contextmanager
def by_fit(folder: Path, size: Size) -> Iterator[Callable[[Sequence[Config]], None]]:
    """Keras's own loop in this process, on the parts that hpo trains on."""
    whole, tiny = (_arrays(folder / name) for name in ("data", "tiny"))
    from benchmarks import loops

    for config in (TINY, _TINY_CNN):
        loops.by_fit(config, tiny, 1)

    def run(configs: Sequence[Config]) -> None:
        for config in configs:
            loops.by_fit(config, whole, size.epochs)

    yield run


def _arrays(folder: Path) -> job.Data:
    dataset = open_prepared(folder)
    pairs = [(dataset.info.prepared(part.x), part.y) for part in (dataset.training, dataset.validation, dataset.test)]
    return job.Data(*(array for pair in pairs for array in pair))


@contextlib.contextmanager
def by_hpo(folder: Path, workers: int, size: Size) -> Iterator[Callable[[Sequence[Config]], None]]:
    """hpo's own engine and trials, so many at a time on a card."""
    engine = make_engine(EngineSpec(workers=workers), None, folder / "workers.log")
    with contextlib.closing(engine):
        for config in (TINY, _TINY_CNN):
            # One for each worker: none takes a second before it ended its first.
            train_all(engine, [config] * workers, 1, folder / "tiny")
        yield lambda configs: train_all(engine, configs, size.epochs, folder / "data")


if __name__ == "__main__":
    main()
