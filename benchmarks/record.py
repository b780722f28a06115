"""Records learning curves of the standard job: random configurations, each trained to its last epoch.

    OMP_NUM_THREADS=1 nice -n 19 python -m benchmarks.record --out mlruns/curves --part 0/2
    python -m benchmarks.record --out mlruns/curves --table

Each process trains its part of the configurations, which are in random order, and appends a line for each to a file of
its own; the same command goes on where it was interrupted. `--for-gpu N` writes N configurations and the data for
`record_on_gpu.py`, whose lines go into the same folder. `--table` makes the table of all of them: with scores from the
GPU, and CPU seconds by a regression over the configurations that hpo trained itself.
"""

import argparse
import gzip
import json
import tempfile
import time
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd

from benchmarks import job
from benchmarks.standard_curves import TABLE, standard_space
from hpo.schedule.cube import Cube

if TYPE_CHECKING:
    from hpo.training.messages import Job

Line = Mapping[str, Any]

MEASURED = job.ROOT / "benchmarks" / "fashion_mnist_measured.csv.gz"
"""A row for each configuration that hpo trained itself: its number, its values, `score_E` and `cpu_E` for each epoch E.

cpu is the CPU seconds of the trial from its beginning to the end of that epoch, models and graphs built included.
"""


def main() -> None:
    """Records curves, or writes their table."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.record", description=__doc__.split("\n")[0])
    parser.add_argument("--out", type=Path, required=True, help="folder of the recorded lines")
    parser.add_argument("--part", default="0/1", help="which part of the configurations, as 0/2 and 1/2")
    parser.add_argument("--count", type=int, default=300, help="configurations, all parts together")
    parser.add_argument("--for-gpu", type=int, metavar="N", help="write configs.json and data.npz instead")
    parser.add_argument("--measured", action="store_true", help=f"write {MEASURED.name} from hpo's own lines instead")
    parser.add_argument("--table", action="store_true", help=f"write {TABLE.name} from the lines instead")
    options = parser.parse_args()
    options.out.mkdir(parents=True, exist_ok=True)
    if options.for_gpu:
        write_for_gpu(options.out, options.for_gpu)
    elif options.table:
        measured, trained = lines(options.out, "part-*.jsonl"), lines(options.out, "gpu-*.jsonl")
        print(agreement(measured, trained))
        found = table(measured, trained)
        TABLE.write_bytes(gzip.compress(found.to_csv(index=False, float_format="%.6g").encode(), mtime=0))
        print(f"{len(found)} configurations, {TABLE.stat().st_size} bytes: {TABLE}")
    elif options.measured:
        found = measured_table(lines(options.out, "part-*.jsonl"))
        MEASURED.write_bytes(gzip.compress(found.to_csv(index=False).encode(), mtime=0))
        print(f"{len(found)} configurations, {MEASURED.stat().st_size} bytes: {MEASURED}")
    else:
        part, parts = map(int, options.part.split("/"))
        record(options.out / f"part-{part}.jsonl", range(part, options.count, parts))


def drawn(number: int) -> dict[str, Any]:
    """A random configuration of the standard space, the same one for a number."""
    cube = Cube(standard_space())
    return cube.decode(np.random.default_rng([0, number]).random(cube.size))


def lines(folder: Path, pattern: str) -> dict[int, Line]:
    """The recorded lines of some files, by the numbers of their configurations."""
    texts = [text for file in sorted(folder.glob(pattern)) for text in file.read_text(encoding="utf-8").splitlines()]
    return {line["number"]: line for line in map(json.loads, texts)}


def write_for_gpu(folder: Path, count: int) -> None:
    """Writes what `record_on_gpu.py` reads; images as bytes."""
    configs = [{"number": number, **drawn(number)} for number in range(count)]
    (folder / "configs.json").write_text(json.dumps(configs), encoding="utf-8")
    data = job.load_data()
    parts = {"train": (data.x_train, data.y_train), "val": (data.x_val, data.y_val)}
    arrays: dict[str, Any] = {}
    for name, (x, y) in parts.items():
        arrays[f"x_{name}"] = np.round(255 * x.reshape(len(x), -1)).astype(np.uint8)
        arrays[f"y_{name}"] = y.astype(np.int32)
    np.savez_compressed(folder / "data.npz", **arrays)


def table(measured: Mapping[int, Line], trained: Mapping[int, Line]) -> pd.DataFrame:
    """The table of `standard_curves`."""
    known = [line for line in measured.values() if len(line["cpu"]) > 1]
    epochs = np.array([np.median(np.diff(line["cpu"])) for line in known])
    terms = np.array([_terms(line["config"]) for line in known])
    # Relative errors count.
    weights = _nonnegative(terms / epochs[:, None])
    errors = terms @ weights / epochs - 1
    begins = float(np.mean([line["cpu"][0] for line in known] - epochs))
    print(f"CPU seconds of an epoch: {len(known)} measured, relative error {100 * errors.std():.1f}%")
    rows = []
    for number, line in sorted(trained.items()):
        config = drawn(number)
        scores = {f"score_{epoch}": score for epoch, score in enumerate(line["scores"], 1)}
        seconds = float(_terms(config) @ weights)
        rows.append({"number": number, **config, "begin_seconds": begins, "epoch_seconds": seconds, **scores})
    return pd.DataFrame(rows)


def measured_table(measured: Mapping[int, Line]) -> pd.DataFrame:
    """The table of what hpo trained itself; empty from where a training diverged."""
    rows = []
    for number, line in sorted(measured.items()):
        curve = {f"score_{epoch}": score for epoch, score in enumerate(line["scores"], 1)}
        costs = {f"cpu_{epoch}": seconds for epoch, seconds in enumerate(line["cpu"], 1)}
        rows.append({"number": number, **line["config"], **curve, **costs})
    return pd.DataFrame(rows)


def _terms(config: Mapping[str, Any]) -> np.ndarray:
    """What the time of an epoch is a sum of: a step, its layers, Adam over all weights, products, activations."""
    width, depth, samples = config["width"], config["depth"], job.TRAINING_SAMPLES / 1e9
    steps = np.ceil(job.TRAINING_SAMPLES / config["batch_size"]) / 1e6
    weights = 784 * width + (depth - 1) * width**2 + 10 * width
    active = [samples * width * depth * (config["activation"] == name) for name in job.ACTIVATIONS]
    return np.array([samples, steps, steps * depth, steps * weights, samples * weights, *active])


def _nonnegative(terms: np.ndarray) -> np.ndarray:
    from scipy.optimize import nnls

    weights: np.ndarray = nnls(terms, np.ones(len(terms)))[0]
    return weights


def agreement(measured: Mapping[int, Line], trained: Mapping[int, Line]) -> str:
    """How far apart the same configurations are, trained by hpo and on the GPU, in percentage points."""
    both = [number for number in measured if number in trained and measured[number]["scores"]]
    pairs = np.array([[max(filter(None, one[number]["scores"])) for one in (measured, trained)] for number in both])
    good = pairs[pairs.max(axis=1) > 0.8]
    away = 100 * (good[:, 0] - good[:, 1])
    text = f"{len(good)} configurations above 0.8, best scores: difference {away.mean():+.2f} on average"
    return f"{text}, deviation {away.std():.2f}"


def record(file: Path, numbers: Sequence[int]) -> None:
    """Trains the configurations of these numbers, one after the other; those that the folder has are left out."""
    from hpo.data.prepared_variants import PreparedVariants
    from hpo.loop.jobs import make_job, variants_of
    from hpo.plan.plan import load_plan
    from hpo.training.process import limit_threads

    limit_threads(1)
    plan = load_plan(job.EXPERIMENT, ["training.early_stopping=null"])
    known = lines(file.parent, "part-*.jsonl")
    with tempfile.TemporaryDirectory() as scratch:
        data = PreparedVariants(variants_of(plan), Path(scratch))
        for number in [one for one in numbers if one not in known]:
            config = drawn(number)
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
